"""Arrays and data frames as arguments: what they print is abridged or rounded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from flask_caching import Cache

numpy = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("in_app")


@dataclasses.dataclass
class Sample:
    data: Any


class Pair(NamedTuple):
    name: str
    data: Any


def _long(last: float) -> Any:
    array = numpy.zeros(5000)
    array[2500] = last
    return array


def _frame(last: float) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"a": _long(last), "b": "x"})


def _series(last: float) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.Series(_long(last), name="s")


def _index(last: float) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.Index(_long(last))


@pytest.mark.parametrize(
    "make",
    [
        _long,
        lambda last: numpy.array([1.0, last / 1e12]),
        lambda last: numpy.array(last + 1e-12 * last),
        lambda last: numpy.zeros(int(last), dtype="f4"),
        lambda last: numpy.zeros(3, dtype=["f4", "f8"][int(last) % 2]),
        _frame,
        _series,
        _index,
    ],
    ids=["abridged", "rounded", "scalar", "length", "type", "frame", "series", "index"],
)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: data,
        lambda data: [data],
        lambda data: {"a": data},
        lambda data: (1, (data,)),
        Sample,
        lambda data: Pair("a", data),
        lambda data: [Sample({"k": data})],
    ],
    ids=["itself", "list", "dict", "tuple", "dataclass", "namedtuple", "deep"],
)
def test_arrays_that_differ_have_different_entries(
    cache: Cache, make: Callable[[float], Any], wrap: Callable[[Any], Any]
) -> None:
    runs = []

    @cache.memoize()
    def function(data: Any = None, *, by_name: Any = None) -> int:
        runs.append(1)
        return len(runs)

    assert function(wrap(make(1))) == function(wrap(make(1)))
    assert function(wrap(make(1))) != function(wrap(make(2)))
    assert function(by_name=wrap(make(1))) != function(by_name=wrap(make(2)))


class Vector(numpy.ndarray):  # type: ignore[misc,name-defined]
    pass


class Row(list[Any]):
    pass


def test_methods_of_what_holds_arrays_are_told_apart(cache: Cache) -> None:
    def total(self: Any) -> float:
        return float(numpy.sum(self if isinstance(self, (Vector, Row)) else self.data))

    method = cache.memoize()(total)
    makers: list[Callable[[Any], Any]] = [
        Sample,
        lambda data: Pair("a", data),
        lambda data: data.view(Vector),
        lambda data: Row([data]),
    ]
    for make in makers:
        assert method(make(_long(1))) == 1
        assert method(make(_long(2))) == 2
        assert method(make(_long(1))) == 1
        cache.delete_memoized(method, make(_long(1)))
        assert method(make(_long(2))) == 2


def test_a_numpy_scalar_is_not_a_python_number(cache: Cache) -> None:
    @cache.memoize()
    def kind_of(value: Any) -> str:
        return type(value).__name__

    assert kind_of(1.0) == "float"
    assert kind_of(numpy.float64(1)) == "float64"
    assert kind_of(numpy.float32(1)) == "float32"
    assert kind_of(numpy.int64(1)) == "int64"
    assert kind_of(numpy.int32(1)) == "int32"
    assert kind_of(1) == "int"
    assert kind_of(numpy.True_) in ("bool", "bool_")
    assert kind_of(True) == "bool"
    assert kind_of(numpy.str_("a")) == "str_"
    assert kind_of("a") == "str"


def test_an_array_as_a_default_works(cache: Cache) -> None:
    default = numpy.arange(3)

    @cache.memoize()
    def total(data: Any = default, *, more: Any = default) -> int:
        return int(data.sum() + more.sum())

    assert total() == 6
    assert total(numpy.arange(4)) == 9
    assert total(default) == 6
    cache.delete_memoized(total, default)
    assert total(data=default) == 6


def test_what_a_function_returned_is_not_what_it_was_given(cache: Cache) -> None:
    @cache.memoize()
    def same(data: Any) -> Any:
        return data

    data = numpy.arange(3)
    assert (same(data) == [0, 1, 2]).all()
    data[0] = 7
    assert (same(numpy.arange(3)) == [0, 1, 2]).all()
    assert (same(data) == [7, 1, 2]).all()
