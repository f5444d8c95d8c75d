"""Arguments that a refresh in the background has a copy of, whatever their shape."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.calls.arguments import own

LONG = 30.0


def in_itself() -> Any:
    tree: dict[str, Any] = {"name": "root"}
    tree["child"] = [{"parent": tree}, ({"parent": tree},)]
    return tree


def shared() -> Any:
    value: Any = ["innermost"]
    for _ in range(60):
        value = [value, value]
    return value


def deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


class Moody:
    """A key that cannot be told apart any more."""

    is_well = True

    def __hash__(self) -> int:
        if not self.is_well:
            raise OSError("unwell")
        return 1


class Key:
    """A key whose dict is added to by whoever asks for its hash."""

    def __init__(self, of: dict[Any, Any]) -> None:
        self.of = of

    def __hash__(self) -> int:
        self.of[str(len(self.of))] = []
        return 1


def growing() -> Any:
    value: dict[Any, Any] = {}
    value[Key(value)] = []
    return value


@pytest.mark.parametrize("make", [in_itself, shared, deep, growing])
def test_no_shape_of_an_argument_is_an_error_of_the_caller(
    app: Flask, cache: Cache, clock: Any, make: Any
) -> None:
    given, refreshed = make(), threading.Event()
    runs: list[bool] = []

    @cache.memoize(10, args_to_ignore=["value"], stale_while_revalidate=100)
    def number(value: Any) -> int:
        assert type(value) is type(given)
        is_elsewhere = threading.current_thread().daemon
        assert (value is given) != is_elsewhere
        runs.append(is_elsewhere)
        if is_elsewhere:
            refreshed.set()
        return len(runs)

    with app.app_context():
        assert number(given) == 1
        clock.advance(11)
        assert number(given) == 1
        assert refreshed.wait(LONG)
    assert runs == [False, True]


def test_what_cannot_be_copied_is_computed_by_its_caller(
    app: Flask, cache: Cache, clock: Any
) -> None:
    key = Moody()
    given = {key: [1]}
    runs: list[Any] = []

    @cache.memoize(10, args_to_ignore=["value"], stale_while_revalidate=100)
    def number(value: Any) -> int:
        assert value is given
        runs.append(threading.current_thread())
        return len(runs)

    with app.app_context():
        assert number(given) == 1
        clock.advance(11)
        key.is_well = False
        assert [number(given), number(given)] == [2, 2]
    assert runs == [threading.current_thread()] * 2


def test_a_context_that_cannot_be_made_has_the_caller_compute(
    app: Flask,
    cache: Cache,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs: list[Any] = []

    @cache.memoize(10, stale_while_revalidate=100)
    def number() -> int:
        runs.append(threading.current_thread())
        return len(runs)

    def refuse(app: Flask) -> Any:
        raise LookupError("no context")

    monkeypatch.setattr(number._flask_caching_policy, "refresh_context", refuse)  # type: ignore[attr-defined]
    with app.app_context(), caplog.at_level(logging.INFO, "flask_caching"):
        number()
        clock.advance(11)
        assert number() == 2
        clock.advance(11)
        assert number() == 3
    assert runs == [threading.current_thread()] * 3
    [said] = [it.getMessage() for it in caplog.records if "refreshed by its callers" in it.message]
    assert "(LookupError)" in said


def test_a_copy_has_the_shape_of_what_was_copied() -> None:
    tree = in_itself()
    copy = own(tree)
    assert copy is not tree
    first, (second,) = copy["child"]
    assert first["parent"] is copy
    assert second["parent"] is copy
    inner, members = [1], {2}
    other, beside, same, again = own([inner, members, inner, (inner, (members,))])
    assert other is same is again[0]
    assert other is not inner
    assert other == inner
    assert beside is again[1][0]
    assert beside is not members
    assert beside == members
    around: Any = ([],)
    around[0].append(around)
    copy = own(around)
    assert copy is not around
    assert copy[0] is not around[0]
    assert copy[0][0] is copy
    given = ((1, "a"), {"x": None}, [2.0, frozenset((3,))], {4}, object())
    assert own(given) == given


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_copy_takes_no_recursion_and_as_many_steps_as_there_are_containers(kind: type) -> None:
    deep: Any = [0]
    for _ in range(100_000):
        deep = kind((deep,))
    copy, levels = own(deep), 0
    while type(copy[0]) is not int:
        assert type(copy) is type(deep)
        copy, deep, levels = copy[0], deep[0], levels + 1
    assert levels == 100_000
    assert copy is not deep
    wide: Any = [0]
    for _ in range(60):
        wide = kind((wide, wide))
    copy = own(wide)
    while type(copy[0]) is not int:
        assert copy[0] is copy[1]
        copy = copy[0]
