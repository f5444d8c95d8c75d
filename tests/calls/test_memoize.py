"""Memoized functions: versions and their lifetimes, options, and what the decorator keeps."""

from __future__ import annotations

import contextlib
import copy
import inspect
import pickle
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask, Response
from flask_caching import Cache
from flask_caching.testing import ManualClock, manual_clock

pytestmark = pytest.mark.usefixtures("in_app")


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    with manual_clock() as clock:
        yield clock


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "cachelib.SimpleCache"])
def any_cache(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Cache:
    return Cache(app, config={"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)})


def test_a_function_that_takes_longer_than_its_timeout_is_still_cached(
    cache: Cache, clock: ManualClock
) -> None:
    runs = []

    @cache.memoize(timeout=5)
    def slow(a: int) -> int:
        clock.advance(10)
        runs.append(a)
        return len(runs)

    assert slow(1) == 1
    assert slow(1) == 1
    clock.advance(10)
    assert slow(2) == 2
    assert slow(2) == 2


def test_a_version_outlives_its_entries_and_not_for_ever(cache: Cache, clock: ManualClock) -> None:
    runs = []

    @cache.memoize(timeout=60)
    def function(a: int) -> int:
        runs.append(a)
        return len(runs)

    version = cache._memvname(f"{__name__}.{function.__qualname__.replace('<locals>', 'locals')}")
    function(1)
    assert cache.get(version) is not None
    clock.advance(30)
    function(2)
    clock.advance(59)
    assert function(2) == 2
    clock.advance(2)
    assert cache.get(version) is None


def test_a_short_timeout_does_not_cut_off_longer_results(any_cache: Cache) -> None:
    @any_cache.memoize()
    def function(a: int) -> int:
        return a

    namespace = f"{__name__}.{function.__qualname__.replace('<locals>', 'locals')}"
    with mock.patch.object(any_cache, "set_many", wraps=any_cache.set_many) as set_many:
        function.cache_timeout = 1000
        function(1)
        function.cache_timeout = 1
        function(2)
        timeouts = [call.kwargs["timeout"] for call in set_many.call_args_list]
    assert 1 not in timeouts
    assert any_cache.get(any_cache._memvname(namespace)) is not None


@pytest.mark.parametrize("shorter", [1, 1.5, timedelta(seconds=1)])
def test_others_results_live_on_after_a_call_with_a_short_timeout(
    cache: Cache, clock: ManualClock, shorter: Any
) -> None:
    runs = []

    @cache.memoize(timeout=100)
    def function(a: int) -> int:
        runs.append(a)
        return len(runs)

    assert function(1) == 1
    function.cache_timeout = shorter
    assert function(2) == 2
    clock.advance(50)
    assert function(1) == 1
    assert function(2) == 3


@pytest.mark.parametrize("timeout", [0, None, 30, 1.5, timedelta(seconds=30), "30"])
def test_every_kind_of_timeout_is_taken(cache: Cache, clock: ManualClock, timeout: Any) -> None:
    runs = []

    @cache.memoize(timeout=timeout)
    def function() -> int:
        runs.append(1)
        return len(runs)

    assert function() == function() == 1
    clock.advance(1)
    assert function() == 1
    clock.advance(400)
    assert function() == (1 if timeout == 0 else 2)


def test_a_negative_timeout_stores_nothing_that_is_found(cache: Cache) -> None:
    runs = []

    with pytest.warns(UserWarning, match="write 0 for what does not expire"):
        decorator = cache.memoize(timeout=-1)

    @decorator
    def function() -> int:
        runs.append(1)
        return len(runs)

    assert (function(), function()) == (1, 2)


def test_instances_leave_no_versions_behind(cache: Cache, clock: ManualClock) -> None:
    class Kind:
        def __init__(self, number: int) -> None:
            self.number = number

        def __repr__(self) -> str:
            return f"Kind({self.number})"

        @cache.memoize(timeout=10)
        def method(self) -> int:
            if self.number % 2:
                raise LookupError
            return self.number

    for number in range(100):
        with contextlib.suppress(LookupError):
            Kind(number).method()
    clock.advance(11)
    Kind(1000).method()
    assert len(cache.cache._cache) <= 4


def test_a_long_identity_of_an_instance_is_shortened(cache: Cache) -> None:
    class Kind:
        def __init__(self, text: str) -> None:
            self.text = text

        def __repr__(self) -> str:
            return f"Kind({self.text})"

        @cache.memoize()
        def method(self) -> str:
            return self.text

    one, other = Kind("a" * 5000 + "1"), Kind("a" * 5000 + "2")
    assert (one.method(), other.method()) == (one.text, other.text)
    assert max(len(key) for key in cache.cache._cache) < 250
    cache.delete_memoized(one.method)
    assert (one.method(), other.method()) == (one.text, other.text)


@pytest.mark.parametrize("decision", [1, "yes", [0], True])
@pytest.mark.parametrize("option", ["unless", "forced_update", "is_stale"])
def test_callables_decide_by_truth(cache: Cache, option: str, decision: Any) -> None:
    runs = []

    def function(a: int) -> int:
        runs.append(a)
        return len(runs)

    for answer in (lambda *args, **kwargs: decision, lambda *args: decision):
        memoized = cache.memoize(**{option: answer})(function)
        first = memoized(1)
        assert memoized(1) > first
    calm = cache.memoize(**{option: lambda *args, **kwargs: []})(function)  # type: ignore[arg-type]
    assert calm(2) == calm(2)


class Mistake(Exception):
    pass


def _mistaken(*args: Any, **kwargs: Any) -> Any:
    raise Mistake


@pytest.mark.parametrize(
    "option",
    ["unless", "forced_update", "is_stale", "make_name", "response_filter", "hash_method"],
)
def test_exceptions_of_callables_are_the_applications(
    cache: Cache, app: Flask, option: str
) -> None:
    app.debug = True
    if option == "is_stale":
        cache.memoize()(_one)()
    memoized = cache.memoize(**{option: _mistaken})(_one)  # type: ignore[arg-type]
    with pytest.raises(Mistake):
        memoized()


def _one() -> int:
    return 1


def test_exceptions_of_reprs_and_identities_are_the_applications(app: Flask, cache: Cache) -> None:
    app.debug = True

    class Broken:
        def __repr__(self) -> str:
            raise Mistake

        @cache.memoize()
        def method(self) -> int:
            return 1

    class BrokenIdentity:
        def __caching_id__(self) -> str:
            raise Mistake

        @cache.memoize()
        def method(self) -> int:
            return 1

    @cache.memoize()
    def function(a: Any) -> int:
        return 1

    for call in (Broken().method, BrokenIdentity().method, lambda: function(Broken())):
        with pytest.raises(Mistake):
            call()


def test_callables_are_given_what_they_ask_for(cache: Cache) -> None:
    seen: list[Any] = []

    def unless(f: Any, *args: Any, **kwargs: Any) -> bool:
        seen.append((f, args, kwargs))
        return False

    def forced_update(*args: Any, **kwargs: Any) -> bool:
        seen.append((args, kwargs))
        return False

    def is_stale(value: Any, *args: Any, **kwargs: Any) -> bool:
        seen.append((value, args, kwargs))
        return False

    memoized = cache.memoize(unless=unless, forced_update=forced_update, is_stale=is_stale)(_two)
    memoized(1, b=2)
    memoized(1, b=2)
    bare = cache.memoize(
        unless=lambda: False, forced_update=lambda: False, is_stale=lambda value: value != (1, 2)
    )(_two)
    assert bare(1, b=2) == (1, 2)
    assert seen == [
        (_two, (1,), {"b": 2}),
        ((1,), {"b": 2}),
        (_two, (1,), {"b": 2}),
        ((1,), {"b": 2}),
        ((1, 2), (1,), {"b": 2}),
    ]


def _two(a: int, b: int) -> tuple[int, int]:
    return a, b


def test_a_result_of_none_is_an_answer_only_where_that_is_said(cache: Cache) -> None:
    runs = []

    def function(a: int) -> None:
        runs.append(a)

    kept, recomputed = cache.memoize(cache_none=True)(function), cache.memoize()(function)
    kept(1)
    kept(1)
    assert runs == [1]
    recomputed(2)
    recomputed(2)
    assert runs == [1, 2, 2]


def test_a_response_to_a_conditional_request_is_not_stored_however_often_it_is_computed(
    cache: Cache,
) -> None:
    calls: list[int] = []

    @cache.memoize(60)
    def page(status: int) -> Response:
        calls.append(status)
        return Response("page", status=status)

    # The first calls teach the function's version, after which misses are computed natively.
    for status in (200, 201, 304, 304, 206, 206, 202, 202):
        assert page(status).status_code == status
    assert calls == [200, 201, 304, 304, 206, 206, 202]


@pytest.mark.parametrize("value", [(640, 206), ("text", 304), ("text", "206"), ([], 206, {})])
def test_a_tuple_is_data_and_not_a_response(cache: Cache, value: Any) -> None:
    runs = []

    @cache.memoize()
    def function() -> Any:
        runs.append(1)
        return value

    @cache.cached(key_prefix="numbers")
    def numbers() -> Any:
        runs.append(1)
        return 640, 206

    assert function() == function() == value
    assert numbers() == numbers() == (640, 206)
    assert len(runs) == 2


@pytest.mark.parametrize("warm", [False, True])
def test_an_argument_that_the_function_changes_is_the_one_it_was_given(
    cache: Cache, warm: bool
) -> None:
    @cache.memoize()
    def append(items: list[int], to: Any = None) -> int:
        items.append(1)
        return len(items)

    class Kind:
        def __init__(self) -> None:
            self.number = 0

        def __repr__(self) -> str:
            return f"Kind({self.number})"

        @cache.memoize()
        def increase(self) -> int:
            self.number += 1
            return self.number

    if warm:
        for number in range(5):
            append([number, 7])
            append([number, 7])
    items: list[int] = []
    assert [append(items), append(items), append(items)] == [1, 2, 3]
    assert append([]) == 1
    assert append([1]) == 2
    items = []
    assert [append([], items), append(items=[], to=items)] == [1, 1]
    kind = Kind()
    assert [kind.increase(), kind.increase(), kind.increase()] == [1, 2, 3]
    assert Kind().increase() == 1


def test_a_property_is_memoized(cache: Cache) -> None:
    class Kind:
        runs = 0

        def __repr__(self) -> str:
            return "Kind()"

        @property
        @cache.memoize()
        def total(self) -> int:
            Kind.runs += 1
            return Kind.runs

    assert Kind().total == Kind().total == 1
    cache.delete_memoized(Kind.total.fget)  # type: ignore[attr-defined]
    assert Kind().total == 2


# What the decorator keeps of the function.


def test_built_in_functions_without_a_signature_are_cached(cache: Cache, in_app: None) -> None:
    memoized: Any = cache.memoize()(max)
    assert [memoized(1, 2), memoized(1, 2), memoized(3, 2)] == [2, 2, 3]
    assert (cache.stats().hits, cache.stats().misses) == (1, 2)
    cache.delete_memoized(memoized, 1, 2)
    assert [memoized(1, 2), memoized(3, 2), memoized(1, -2, key=abs)] == [2, 3, -2]
    assert (cache.stats().hits, cache.stats().misses) == (2, 4)
    cached: Any = cache.cached(key_prefix="largest")(max)
    assert [cached(1, 2), cached(3, 4)] == [2, 2]


@Cache().memoize(timeout=7)
def at_module_level(a: int, /, b: str = "x", *rest: int, c: float = 1.0, **more: Any) -> str:
    """Its documentation."""
    return b


def test_the_decorated_function_is_a_function_that_looks_like_the_original() -> None:
    original = at_module_level.uncached
    decorated: Any = at_module_level
    assert inspect.isfunction(decorated)
    assert inspect.signature(decorated) == inspect.signature(original)
    assert decorated.__name__ == "at_module_level"
    assert decorated.__qualname__ == "at_module_level"
    assert decorated.__module__ == __name__
    assert decorated.__doc__ == "Its documentation."
    assert decorated.__wrapped__ is original
    assert decorated.__annotations__ == original.__annotations__
    assert decorated.cache_timeout == 7
    assert inspect.getsource(decorated).startswith("@Cache()")
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert copy.copy(decorated) is decorated
    assert copy.deepcopy(decorated) is decorated
    specified = mock.create_autospec(decorated)
    specified(1, b="y")
    with pytest.raises(TypeError):
        specified()


def test_a_method_keeps_its_attributes(cache: Cache) -> None:
    class Kind:
        @cache.memoize(timeout=7)
        def method(self, a: int) -> int:
            return a

    bound = Kind().method
    assert bound.uncached is Kind.__dict__["method"].uncached
    assert bound.cache_timeout == 7
    assert callable(bound.make_cache_key)
    assert callable(bound.delete_memoized)
    assert bound.uncached(None, 3) == 3
    with pytest.raises(AttributeError):
        bound.cache_timeout = 3  # type: ignore[misc]


def test_recursion_and_generators(cache: Cache) -> None:
    runs = []

    @cache.memoize()
    def fibonacci(n: int) -> int:
        runs.append(n)
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    @cache.memoize()
    def pieces(n: int) -> Any:
        yield from ("a", "b")

    assert fibonacci(30) == 832040
    assert len(runs) == 31
    assert pieces(1) == pieces(1) == "ab"


@pytest.mark.parametrize("decorate", [classmethod, staticmethod])
def test_decorators_in_the_wrong_order_are_named(cache: Cache, decorate: Any) -> None:
    with pytest.raises(TypeError, match=decorate.__name__):
        cache.memoize()(decorate(_one))


def test_a_timeout_that_is_none_is_the_applications_error(cache: Cache) -> None:
    with pytest.raises(ValueError, match="soon"):
        cache.memoize(timeout="soon")(_one)  # type: ignore[arg-type]
