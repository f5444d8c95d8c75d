"""Values and arguments of every shape: parts that refer to each other, and thousands of levels."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.keys.identity import NameCollisions, Unidentifiable, is_plain, text_of
from flask_caching.keys.plain import Allowance
from flask_caching.keys.signature import is_immutable
from flask_caching.values.storable import is_faithful

LEVELS = 60
#: Of each of so many, a stack of eight megabytes has less than a function of C takes.
DEEP = 50_000


@dataclass
class Node:
    left: Any
    right: Any


class Changing:
    """It prints what it holds, as an application's own class may."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"Changing({self.held!r})"


def parents_and_children(children: int) -> list[Any]:
    root: list[Any] = []
    root.extend([root, number] for number in range(children))
    return root


def all_to_all(number: int) -> list[Any]:
    lists: list[list[Any]] = [[] for _ in range(number)]
    for each in lists:
        each.extend(lists)
    return lists


def dicts_of_each_other() -> dict[str, Any]:
    one: dict[str, Any] = {}
    other: dict[str, Any] = {"one": one}
    one.update({f"other{number}": other for number in range(20)})
    return one


def doubled(pair: Callable[[Any], Any], bottom: Any) -> Any:
    return functools.reduce(lambda inner, _: pair(inner), range(LEVELS), bottom)


def nested(wrap: Callable[[Any], Any], bottom: Any) -> Any:
    return functools.reduce(lambda inner, _: wrap(inner), range(DEEP), bottom)


#: By what they are, the functions that make them.
SHAPES: dict[str, Callable[[], Any]] = {
    "four children with their parent": lambda: parents_and_children(4),
    "a thousand children with their parent": lambda: parents_and_children(1000),
    "dicts of each other": dicts_of_each_other,
    "twelve lists of all of them": lambda: all_to_all(12),
    "doubled lists": lambda: doubled(lambda inner: [inner, inner], []),
    "doubled dicts": lambda: doubled(lambda inner: {"a": inner, "b": inner}, {}),
    "doubled tuples": lambda: doubled(lambda inner: (inner, inner), ()),
    "doubled tuples of a list": lambda: doubled(lambda inner: (inner, inner), []),
    "doubled frozensets": lambda: doubled(lambda inner: frozenset({(1, inner), (2, inner)}), 0),
    "doubled objects": lambda: doubled(lambda inner: Node(inner, inner), 0),
    "ten times in itself": lambda: doubled(lambda inner: [inner] * 10, [1]),
    "a set in doubled lists": lambda: doubled(lambda inner: [inner, inner], [{1}]),
}

#: Words for those whose repr never ends.
ENDLESS = ("doubled", "ten times", "twelve")

DEPTHS: dict[str, Callable[[], Any]] = {
    "deep lists": lambda: nested(lambda inner: [inner], []),
    "deep dicts": lambda: nested(lambda inner: {"a": inner}, {}),
    "deep tuples": lambda: nested(lambda inner: (inner,), ()),
    "deep tuples of a list": lambda: nested(lambda inner: (inner,), []),
    "deep objects": lambda: nested(lambda inner: Node(inner, 1), 0),
    "deep lists of a set": lambda: nested(lambda inner: [inner], {1}),
}


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def in_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    app = Flask(__name__)
    settings = {"CACHE_TYPE": request.param}
    if request.param == "FileSystemCache":
        settings["CACHE_DIR"] = str(tmp_path)
    cache = Cache(app, config=settings)
    with app.app_context():
        yield cache


def same_shape(one: Any, other: Any) -> bool:
    return pickle.dumps(one) == pickle.dumps(other)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_comes_back_with_its_shape(in_cache: Cache, shape: str) -> None:
    value = SHAPES[shape]()
    assert in_cache.set("key", value)
    if "frozensets" not in shape and "objects" not in shape:
        assert same_shape(in_cache.get("key"), value)
    runs: list[int] = []

    @in_cache.memoize()
    def function() -> Any:
        runs.append(1)
        return value

    for _ in range(3):
        function()
    assert runs == [1]


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_value_that_is_too_deep_for_pickle_is_not_stored(in_cache: Cache, depth: str) -> None:
    value = DEPTHS[depth]()
    in_cache.set("key", 1)
    assert in_cache.set("key", value) is False
    assert in_cache.get("key") is None

    @in_cache.memoize()
    def function() -> Any:
        return value

    assert function() is value
    assert function() is value


@pytest.mark.parametrize(
    ("wrap", "shape"),
    [
        (wrap, shape)
        for wrap in (list, Changing)
        for shape in (*SHAPES, *DEPTHS)
        if wrap is list or not any(word in shape for word in ENDLESS)
    ],
)
def test_an_argument_of_any_shape(
    in_cache: Cache, monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Any], Any], shape: str
) -> None:
    # What is printed without end is given up sooner; how much is too much, is asked below.
    monkeypatch.setattr(Allowance, "_MORE", 2_000)
    made = {**SHAPES, **DEPTHS}[shape]()
    value = [made] if wrap is list else wrap(made)
    runs: list[int] = []

    @in_cache.memoize()
    def function(argument: Any, *, named: Any = None) -> int:
        runs.append(1)
        return len(runs)

    for _ in range(2):
        # Once for all where it can be told apart, otherwise each time.
        assert function(value) in (1, len(runs))
        function(0, named=value)
    in_cache.delete_memoized(function)


@pytest.mark.parametrize(
    "shape", ["four children with their parent", "a thousand children with their parent"]
)
def test_what_can_be_printed_is_cached_under_its_repr(shape: str) -> None:
    value = SHAPES[shape]()
    assert is_plain(value)
    assert text_of(value, NameCollisions(lambda value: None)) == repr(value)


def test_what_prints_to_more_than_there_is_memory_is_not_cached() -> None:
    for shape, make in SHAPES.items():
        if any(word in shape for word in ENDLESS):
            with pytest.raises(Unidentifiable):
                text_of(make(), NameCollisions(lambda value: None))


def test_many_references_to_few_things_are_cached() -> None:
    row = list(range(100))
    table = [row] * 1000
    assert text_of(table, NameCollisions(lambda value: None)) == repr(table)
    table = [[row, {1}]] * 10
    assert text_of(table, NameCollisions(lambda value: None)) == repr(table)


@pytest.mark.parametrize("shape", [*SHAPES, *DEPTHS])
def test_a_value_is_faithful_to_itself(shape: str) -> None:
    value = {**SHAPES, **DEPTHS}[shape]()
    assert is_faithful(value, value)


@pytest.mark.parametrize(
    ("value", "restored"),
    [
        ([1, 2], [1, 2.0]),
        ([1, 2], (1, 2)),
        ([1], [1, 1]),
        ({"a": 1}, {"a": True}),
        ({1: 1}, {"1": 1}),
        ([[[["deep"]]]], [[[[b"deep"]]]]),
        ([[], []], [[]] * 2),
        ({1, 2}, {1}),
    ],
)
def test_a_changed_value_is_not_faithful(value: Any, restored: Any) -> None:
    assert not is_faithful(value, restored)


def test_a_copy_of_a_shared_part_is_faithful() -> None:
    shared = [1]
    assert is_faithful([shared, shared], [[1], [1]])
    assert is_faithful(float("nan"), float("nan"))


@pytest.mark.parametrize("shape", ["doubled tuples", "doubled tuples of a list"])
def test_immutability_is_found_out_in_one_walk(shape: str) -> None:
    assert is_immutable(SHAPES[shape]()) is (shape == "doubled tuples")
    assert is_immutable(DEPTHS["deep tuples"]())
