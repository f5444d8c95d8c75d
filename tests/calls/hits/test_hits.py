"""The native table of calls: it answers, never wrongly, and keeps nothing alive."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import os
import pickle
import random
import threading
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from compat import programs
from compat.under_either import world
from flask import Flask
from flask_caching import Cache
from flask_caching._engine import CallParts
from flask_caching.backends import SimpleCache
from flask_caching.calls.memoized import MemoizePolicy
from flask_caching.calls.view import ViewPolicy
from flask_caching.testing import manual_clock
from shown import shown

SEED = int(os.environ.get("HITS_SEED", "7"))
PROGRAMS = int(os.environ.get("HITS_PROGRAMS", "60"))


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions whose calls took the ordinary path."""
    taken: list[str] = []
    for policy in (MemoizePolicy, ViewPolicy):
        original = policy.description

        def description(self: Any, *args: Any, original: Any = original) -> Any:
            taken.append(self.f.__name__)
            return original(self, *args)

        monkeypatch.setattr(policy, "description", description)
    return taken


class Person:
    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"Person({self.number})"


class Service:
    """Has no repr of its own."""


# It answers.


@pytest.mark.parametrize(
    "argument",
    [
        1,
        "a",
        b"a",
        None,
        True,
        1.5,
        10**30,
        (1, "a"),
        [1, [2]],
        {"a": [1]},
        Person(1),
        Service(),
        int,
    ],
    ids=shown,
)
def test_a_call_that_was_answered_takes_no_ordinary_path(
    cache: Cache, in_app: None, ordinary: list[str], argument: Any
) -> None:
    @cache.memoize()
    def f(x: Any) -> str:
        return "result"

    # What can be changed by the function is known once it was answered.
    assert f(argument) == f(argument)
    ordinary.clear()
    assert f(argument) == "result"
    assert ordinary == []


@pytest.mark.parametrize("query_string", [False, True])
def test_a_request_that_was_answered_takes_no_ordinary_path(
    app: Flask, cache: Cache, ordinary: list[str], query_string: bool
) -> None:
    @app.route("/<name>")
    @cache.cached(query_string=query_string)
    def view(name: str) -> str:
        return name

    client = app.test_client()
    client.get("/a?b=1")
    ordinary.clear()
    assert client.get("/a?b=1").text == "a"
    assert ordinary == []
    assert client.get("/b?b=1").text == "b"
    assert ordinary == ["view"]


def test_a_method_that_was_answered_takes_no_ordinary_path(
    cache: Cache, in_app: None, ordinary: list[str]
) -> None:
    class Adder:
        def __init__(self, base: int) -> None:
            self.base = base

        def __repr__(self) -> str:
            return f"Adder({self.base})"

        @cache.memoize()
        def add(self, other: int) -> int:
            return self.base + other

    one, two = Adder(1), Adder(2)
    for _ in range(2):
        assert [one.add(1), two.add(1)] == [2, 3]
    ordinary.clear()
    assert [one.add(1), two.add(1)] == [2, 3]
    assert ordinary == []
    one.base = 10
    assert one.add(1) == 11


def test_a_miss_of_plain_arguments_takes_no_ordinary_path(
    cache: Cache, in_app: None, ordinary: list[str]
) -> None:
    @cache.memoize(timeout=60)
    def f(x: int, y: int = 2) -> tuple[int, int]:
        return x, y

    f(1)
    ordinary.clear()
    assert [f(2), f(3, 4), f(2), f(3, 4)] == [(2, 2), (3, 4), (2, 2), (3, 4)]
    assert ordinary == []
    key = f.make_cache_key(f.uncached, 3, y=4)
    assert cache.get(key) == (3, 4)


# It never answers wrongly.


@pytest.mark.parametrize("backend", ["SimpleCache"])
@pytest.mark.parametrize("seed", range(SEED, SEED + PROGRAMS))
def test_random_programs_do_the_same_without_it(
    monkeypatch: pytest.MonkeyPatch, backend: str, seed: int
) -> None:
    program = programs.Generator(seed, backend).program(150)
    with_table = world.run({"CACHE_TYPE": backend}, False, program)

    original = Cache.__init__

    def asked_for(self: Cache, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        # As if `get` were the application's own.
        self._flags.replace(versions=False)

    def gone_through(self: Cache, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self._flags.replace()

    monkeypatch.setattr(Cache, "__init__", asked_for)
    assert with_table == world.run({"CACHE_TYPE": backend}, False, program)
    monkeypatch.setattr(Cache, "__init__", gone_through)
    for policy in (MemoizePolicy, ViewPolicy):
        monkeypatch.setattr(policy, "parts", lambda self: CallParts.unknown())
    assert with_table == world.run({"CACHE_TYPE": backend}, False, program)


def test_arguments_that_compare_equal_are_different_calls(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def f(x: Any) -> str:
        return repr(x)

    arguments: list[Any] = [1, 1.0, True, 0, 0.0, -0.0, False, "1", b"1", (1,), (1.0,), [1], None]
    for _ in range(3):
        assert [f(argument) for argument in arguments] == [repr(a) for a in arguments]


def test_an_argument_changed_in_place_is_another_call(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def f(x: list[int]) -> int:
        return sum(x)

    numbers = [1, 2]
    assert [f(numbers), f(numbers)] == [3, 3]
    numbers.append(4)
    assert [f(numbers), f(numbers)] == [7, 7]


def test_a_mutable_default_is_looked_at_each_time(cache: Cache, in_app: None) -> None:
    default = [1]

    @cache.memoize()
    def f(x: int, y: list[int] = default) -> int:
        return x + sum(y)

    assert [f(1), f(1)] == [2, 2]
    default.append(5)
    assert f(1) == 7


def test_a_result_belongs_to_the_caller(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def f(x: int) -> list[dict[str, int]]:
        return [{"x": x}]

    for _ in range(4):
        result = f(1)
        assert result == [{"x": 1}]
        result[0]["x"] = 99
        result.append({})


def test_deletion_expiry_and_overwriting_are_seen_by_the_next_call(
    cache: Cache, in_app: None
) -> None:
    calls: list[int] = []

    @cache.memoize(timeout=10)
    def f(x: int) -> int:
        calls.append(x)
        return len(calls)

    with manual_clock() as clock:
        assert [f(1), f(1)] == [1, 1]
        cache.delete_memoized(f, 1)
        assert [f(1), f(1)] == [2, 2]
        cache.delete_memoized(f)
        assert [f(1), f(1)] == [3, 3]
        cache.delete_memoized_verhash(f)
        assert [f(1), f(1)] == [4, 4]
        cache.clear()
        assert [f(1), f(1)] == [5, 5]
        clock.advance(11)
        assert [f(1), f(1)] == [6, 6]
        cache.set(f.make_cache_key(f.uncached, 1), 99)
        assert f(1) == 99
        cache.delete(f.make_cache_key(f.uncached, 1))
        assert f(1) == 7


def test_an_evicted_result_is_computed_again(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 4})
    calls: list[int] = []

    @cache.memoize()
    def f(x: int) -> int:
        calls.append(x)
        return x

    with app.app_context():
        for number in [*range(10), *range(10)]:
            assert f(number) == number
    assert len(calls) > 10
    assert len(cache.cache._cache) <= 4


def test_each_app_has_its_results(app: Flask, cache: Cache) -> None:
    other = Flask("other")
    cache.init_app(other, config={"CACHE_TYPE": "SimpleCache"})
    calls: list[int] = []

    @cache.memoize()
    def f(x: int) -> int:
        calls.append(x)
        return len(calls)

    for _ in range(3):
        with app.app_context():
            assert f(1) == 1
        with other.app_context():
            assert f(1) == 2
    assert f(1) == 2  # Outside any: the application set up last.


def test_a_backend_put_in_its_place_is_asked(app: Flask, cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def f(x: int) -> int:
        return x

    assert [f(1), f(1)] == [1, 1]
    backend = SimpleCache()
    app.extensions["cache"][cache] = backend
    assert [f(1), f(1)] == [1, 1]
    assert len(backend._cache) == 2


@pytest.mark.parametrize("name", ["get", "get_many"])
@pytest.mark.parametrize("where", ["class", "instance", "backend", "backend class"])
def test_what_replaces_a_method_is_called(
    cache: Cache, in_app: None, name: str, where: str
) -> None:
    @cache.memoize()
    def f(x: int) -> int:
        return x

    assert [f(1), f(1)] == [1, 1]
    target: Any = {
        "class": Cache,
        "instance": cache,
        "backend": cache.cache,
        "backend class": SimpleCache,
    }[where]
    with mock.patch.object(target, name, side_effect=RuntimeError("down")) as replaced:
        assert f(1) == 1
    assert replaced.called
    assert f(1) == 1


@pytest.mark.parametrize("name", ["set", "get"])
def test_a_subclass_sees_every_result(app: Flask, name: str) -> None:
    seen: list[str] = []

    class Watching(Cache):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("get")
            return super().get(*args, **kwargs)

        def set(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("set")
            return super().set(*args, **kwargs)

    cache = Watching(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize()
    def f(x: int) -> int:
        return x

    with app.app_context():
        for number in (1, 2, 3):
            f(number)
            f(number)
    assert seen.count("set") == 3
    assert seen.count("get") == 6


def test_a_replaced_key_function_is_called(app: Flask, cache: Cache) -> None:
    @cache.cached()
    def view() -> str:
        return str(len(keys))

    keys: list[str] = []

    def make_cache_key(*args: Any, **kwargs: Any) -> str:
        keys.append("called")
        return f"key{len(keys)}"

    with app.test_request_context("/"):
        assert [view(), view()] == ["0", "0"]
        view.make_cache_key = make_cache_key
        assert [view(), view()] == ["1", "2"]


def test_another_hash_method_makes_other_keys(cache: Cache, in_app: None) -> None:
    import hashlib

    calls: list[int] = []

    @cache.memoize()
    def f(x: int) -> int:
        calls.append(x)
        return x

    assert [f(1), f(1)] == [1, 1]
    cache.hash_method = hashlib.md5
    assert [f(1), f(1), f(2), f(2)] == [1, 1, 2, 2]
    assert calls == [1, 1, 2]
    assert cache.get(f.make_cache_key(f.uncached, 2)) == 2


def test_an_object_at_the_address_of_a_dead_one_is_another(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def f(service: Service) -> int:
        return service.number  # type: ignore[attr-defined, no-any-return]

    for number in range(2000):
        service = Service()
        service.number = number  # type: ignore[attr-defined]
        assert f(service) == number
        assert f(service) == number


def test_a_method_of_a_subclass_is_not_that_of_its_base(cache: Cache, in_app: None) -> None:
    class Base:
        def __repr__(self) -> str:
            return "same"

        @cache.memoize()
        def name(self) -> str:
            return type(self).__name__

    class Derived(Base):
        pass

    for _ in range(3):
        assert [Base().name(), Derived().name()] == ["Base", "Derived"]


def test_a_deletion_during_a_native_computation_wins(cache: Cache, in_app: None) -> None:
    source = {"value": "old"}

    def change() -> None:
        source["value"] = "new"
        cache.delete_memoized(f, 2)

    hooks: list[Any] = []

    @cache.memoize()
    def f(x: int) -> str:
        value = source["value"]
        for hook in hooks:
            hook()
        return value

    f(1)  # From here on misses are computed natively.
    hooks.append(change)
    assert f(2) == "old"
    hooks.clear()
    assert f(2) == "new"


@pytest.mark.parametrize("how", ["clear", "delete", "delete_many", "reset"])
def test_every_deletion_wins_over_a_native_computation(
    cache: Cache, in_app: None, how: str
) -> None:
    hooks: list[Any] = []

    @cache.memoize()
    def f(x: int) -> str:
        for hook in hooks:
            hook()
        return "old" if hooks else "new"

    f(1)
    key = f.make_cache_key(f.uncached, 2)
    hooks.append(
        {
            "clear": cache.clear,
            "delete": functools.partial(cache.delete, key),
            "delete_many": functools.partial(cache.delete_many, "other", key),
            "reset": functools.partial(cache.delete_memoized, f),
        }[how]
    )
    assert f(2) == "old"
    hooks.clear()
    assert f(2) == "new"


def test_what_a_function_raises_is_raised_and_not_stored(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def f(x: int) -> int:
        if x:
            raise LookupError(x)
        return x

    f(0)
    for _ in range(2):
        with pytest.raises(LookupError, match="5"):
            f(5)
        with pytest.raises(TypeError, match="positional argument"):
            f()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="positional argument"):
            f(1, 2)  # type: ignore[call-arg]


def test_results_that_are_no_plain_data_are_stored_too(
    cache: Cache, in_app: None, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Any] = []

    @cache.memoize()
    def f(kind: str) -> Any:
        calls.append(kind)
        if kind == "generator":
            return (piece for piece in "ab")
        if kind == "object":
            return Person(3)
        if kind == "unstorable":
            return threading.Lock()
        return None

    f("none")
    for _ in range(2):
        assert f("generator") == "ab"
        assert f("object").number == 3
        assert f("none") is None
        f("unstorable")
    assert calls.count("generator") == calls.count("object") == 1
    assert calls.count("unstorable") == 2
    assert len([r for r in caplog.records if "served but not cached" in r.message]) == 1


def test_a_timeout_set_later_applies_to_native_computations(cache: Cache, in_app: None) -> None:
    import datetime

    @cache.memoize(timeout=100)
    def f(x: int) -> int:
        return x

    f(1)
    with manual_clock() as clock:
        for number, timeout in enumerate([5, 5.0, datetime.timedelta(seconds=5), "5"], start=2):
            f.cache_timeout = timeout
            f(number)
            key = f.make_cache_key(f.uncached, number)
            clock.advance(4)
            assert cache.has(key)
            clock.advance(2)
            assert not cache.has(key)


# It keeps nothing alive, and the decorated function is a function.


def test_a_decorated_function_and_its_cache_can_be_collected() -> None:
    app = Flask("collected")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize()
    def f(x: Any) -> int:
        return 1

    @cache.cached()
    def view() -> str:
        return "x"

    service = Service()
    with app.test_request_context("/"):
        f(service)
        f(service)
        view()
        view()
    died = [weakref.ref(thing) for thing in (cache, f, view, service, app)]
    del app, cache, f, view, service
    gc.collect()
    assert [reference() for reference in died] == [None] * 5


def test_applications_and_caches_of_every_kind_leave_nothing_behind() -> None:
    class OwnCache(Cache):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            return super().get(*args, **kwargs)

    def work() -> list[weakref.ref[Any]]:
        app = Flask("collected")
        cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
        own = OwnCache(app, config={"CACHE_TYPE": "SimpleCache"})
        source = "{% cache 60, 'x' %}body{% endcache %}"
        functions: list[Any] = [
            cache.cached(make_cache_key=lambda x: "key")(lambda x: 1),
            cache.cached(key_prefix=lambda: "prefix")(lambda x: 1),
            cache.memoize(args_to_ignore=["y"])(lambda x, y=1: 1),
            cache.memoize(unless=lambda: False)(lambda x: 1),
            own.memoize()(lambda x: 1),
        ]
        with app.test_request_context("/"):
            for _ in range(3):
                assert [f(1) for f in functions] == [1] * 5
                assert app.jinja_env.from_string(source).render() == "body"
        return [weakref.ref(thing) for thing in (app, cache, own, cache.cache, *functions)]

    references = work()
    gc.collect()
    assert [reference() for reference in references] == [None] * 9
    before = len(gc.get_objects())
    for _ in range(20):
        work()
    gc.collect()
    assert len(gc.get_objects()) - before < 50


def test_a_default_that_changes_makes_another_call(
    cache: Cache, in_app: None, ordinary: list[str]
) -> None:
    options: dict[str, Any] = {"a": 1}
    person = Person(1)
    runs: list[Any] = []

    @cache.memoize()
    def f(x: int, options: dict[str, Any] = options, person: Person = person) -> str:
        runs.append(x)
        return f"{x} {options} {person}"

    def ask(*args: Any, **kwargs: Any) -> str:
        one, other, third = (f(*args, **kwargs) for _ in range(3))
        assert one == other == third == f.uncached(*args, **kwargs)
        runs.pop()
        return one

    assert ask(1) == "1 {'a': 1} Person(1)"
    ordinary.clear()
    assert ask(1) == "1 {'a': 1} Person(1)"
    assert ordinary == []
    options["b"] = [2]
    assert ask(1) == "1 {'a': 1, 'b': [2]} Person(1)"
    person.number = 2
    assert ask(1) == "1 {'a': 1, 'b': [2]} Person(2)"
    assert ask(1, {"a": 1}) == "1 {'a': 1} Person(2)"
    assert ask(1, {"a": 1}, Person(1)) == "1 {'a': 1} Person(1)"
    assert ask(1, person="nobody") == "1 {'a': 1, 'b': [2]} nobody"
    # The last but one is the first one, and was not run again.
    assert runs == [1] * 5
    del options["b"]
    person.number = 1
    ordinary.clear()
    assert ask(1) == "1 {'a': 1} Person(1)"
    assert runs == [1] * 5


def test_a_default_that_the_function_changes_is_the_one_it_was_called_with(
    cache: Cache, in_app: None
) -> None:
    @cache.memoize()
    def collect(x: int, collected: list[int] = []) -> list[int]:  # noqa: B006 - what is tested
        collected.append(x)
        return list(collected)

    assert [collect(1), collect(1), collect(2), collect(2)] == [
        [1],
        [1, 1],
        [1, 1, 2],
        [1, 1, 2, 2],
    ]
    assert collect(1, [5]) == collect(1, [5]) == [5, 1]
    assert collect(1, []) == collect(1, []) == [1]


def test_calls_and_decorations_leave_nothing_behind(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def f(x: Any) -> Any:
        return x

    def work() -> None:
        for number in range(300):
            f(number)
            f([number])
            f(Person(number))

            @cache.memoize()
            def g(x: int) -> int:
                return x

            g(1)
            g(1)
        cache.clear()

    work()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(5):
        work()
    gc.collect()
    assert len(gc.get_objects()) - before < 500


def test_many_threads_get_right_results(cache: Cache, app: Flask) -> None:
    @cache.memoize()
    def f(x: int) -> tuple[int, str]:
        return x, "y" * x

    wrong: list[Any] = []

    def work(seed: int) -> None:
        numbers = random.Random(seed)
        with app.app_context():
            for _ in range(3000):
                number = numbers.randrange(50)
                if numbers.random() < 0.02:
                    cache.delete_memoized(f, number)
                if f(number) != (number, "y" * number):
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.fixture
def module_function(cache: Cache) -> Iterator[Any]:
    @cache.memoize()
    def module_level(a: int, b: str = "x") -> str:
        """What it does."""
        return b * a

    module_level.__qualname__ = "module_level"
    globals()["module_level"] = module_level
    yield module_level
    del globals()["module_level"]


def test_a_decorated_function_is_a_function(module_function: Any) -> None:
    assert inspect.isfunction(module_function)
    assert str(inspect.signature(module_function)) == "(a: 'int', b: 'str' = 'x') -> 'str'"
    assert module_function.__doc__ == "What it does."
    assert pickle.loads(pickle.dumps(module_function)) is module_function
    assert copy.deepcopy(module_function) is module_function
    assert mock.create_autospec(module_function)(1, b="y") is not None
    with pytest.raises(TypeError):
        mock.create_autospec(module_function)()


def test_an_error_while_the_app_is_found_does_not_use_another(cache: Cache, app: Flask) -> None:
    foreign = Flask("foreign")
    calls: list[int] = []

    @cache.memoize()
    def f(x: int) -> int:
        calls.append(x)
        return x

    with app.app_context():
        f(1)
        f(1)
    with foreign.app_context():
        assert [f(1), f(1)] == [1, 1]
    assert len(calls) == 3
