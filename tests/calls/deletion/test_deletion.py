"""A deletion forgets exactly what it names, and wins over a computation that began before it."""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, render_template_string
from flask.views import MethodView, View
from flask_caching import Cache, make_template_fragment_key
from flask_caching.backends import BaseCache

in_app = pytest.mark.usefixtures("in_app")


class Foreign(BaseCache):
    """A backend of an application's own."""

    def __init__(self, default_timeout: int = 300) -> None:
        super().__init__(default_timeout)
        self.stored: dict[str, Any] = {}

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Foreign:
        return cls()

    def get(self, key: str) -> Any:
        return self.stored.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.stored[key] = value
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        return self.stored.setdefault(key, value) is value

    def delete(self, key: str) -> bool:
        return self.stored.pop(key, None) is not None

    def has(self, key: str) -> bool:
        return key in self.stored

    def clear(self) -> bool:
        self.stored.clear()
        return True


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "foreign", "overriding"])
def any_cache(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Cache]:
    class Overriding(Cache):
        def set(self, *args: Any, **kwargs: Any) -> bool | None:
            return super().set(*args, **kwargs)

        def get_many(self, *args: Any, **kwargs: Any) -> list[Any]:
            return super().get_many(*args, **kwargs)

    kind = request.param
    made = Overriding if kind == "overriding" else Cache
    cache_type = {"foreign": Foreign, "overriding": "SimpleCache"}.get(kind, kind)
    cache = made(app, config={"CACHE_TYPE": cache_type, "CACHE_DIR": str(tmp_path)})
    with app.app_context():
        yield cache


class Counter:
    """Counts the runs of the functions that its methods are given to."""

    def __init__(self) -> None:
        self.runs: list[Any] = []

    def __call__(self, *seen: Any) -> int:
        self.runs.append(seen)
        return len(self.runs)


class Falsy:
    """An instance that is false, with a repr of its own."""

    def __init__(self, name: str, count: Counter) -> None:
        self.name = name
        self.count = count

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"Falsy({self.name})"


def test_every_form_of_a_function_call_is_forgotten_and_nothing_else(any_cache: Cache) -> None:
    count = Counter()

    @any_cache.memoize()
    def function(a: int, b: int = 2, *args: int, c: int = 3, **kwargs: int) -> int:
        return count()

    forms: list[tuple[tuple[int, ...], dict[str, int]]] = [
        ((1,), {}),
        ((1, 2), {}),
        ((), {"a": 1}),
        ((1,), {"b": 2}),
        ((), {"b": 2, "a": 1}),
    ]
    for args, kwargs in forms:
        first, other, longer, keyword = (
            function(1),
            function(2),
            function(1, 2, 3),
            function(1, c=4),
        )
        any_cache.delete_memoized(function, *args, **kwargs)
        assert function(1) > first
        assert function(2) == other
        assert function(1, 2, 3) == longer
        assert function(1, c=4) == keyword
    extra = function(1, x=1, y=2)
    any_cache.delete_memoized(function, 1, y=2, x=1)
    assert function(1, x=1, y=2) > extra


def test_all_calls_of_a_function_are_forgotten_and_no_other_functions(any_cache: Cache) -> None:
    count = Counter()

    @any_cache.memoize()
    def function(a: int) -> int:
        return count()

    @any_cache.memoize()
    def function_of_longer_name(a: int) -> int:
        return count()

    for forget in (
        lambda: any_cache.delete_memoized(function),
        lambda: any_cache.delete_memoized_verhash(function),
        lambda: function.delete_memoized(),
    ):
        one, two, other = function(1), function(2), function_of_longer_name(1)
        forget()
        assert function(1) > one
        assert function(2) > two
        assert function_of_longer_name(1) == other
        assert function(1) == function(1)


def test_a_closure_is_forgotten_without_its_siblings(any_cache: Cache) -> None:
    count = Counter()

    def make(number: Any) -> Callable[[], int]:
        @any_cache.memoize()
        def function() -> int:
            return number and count()

        return function

    for one, other in (
        (make(1), make(2)),
        (make([1]), make([2])),
        (any_cache.memoize()(lambda: count(1)), any_cache.memoize()(lambda: count(2))),
    ):
        for forget in (any_cache.delete_memoized, any_cache.delete_memoized_verhash):
            first, second = one(), other()
            forget(one)
            assert one() > first
            assert other() == second


class TestMethods:
    @pytest.fixture
    def made(self, any_cache: Cache) -> Any:
        class Kind:
            def __init__(self, name: str) -> None:
                self.name = name
                self.count = Counter()

            def __repr__(self) -> str:
                return f"{type(self).__name__}({self.name})"

            def __bool__(self) -> bool:
                return False

            @any_cache.memoize()
            def method(self, a: int = 1, *, b: int = 0) -> int:
                return self.count()

            @any_cache.memoize()
            def other(self, a: int = 1) -> int:
                return self.count()

            @classmethod
            @any_cache.memoize()
            def of_class(cls, a: int = 1) -> int:
                return total(cls)

            @staticmethod
            @any_cache.memoize()
            def static(a: int = 1) -> int:
                return total()

            @any_cache.memoize()
            def unusual(this, a: int = 1) -> int:
                return this.count()  # type: ignore[no-any-return]

        class Sub(Kind):
            pass

        total = Counter()
        Kind.Sub = Sub  # type: ignore[attr-defined]
        return Kind

    @pytest.mark.parametrize("falsy_form", ["bound", "verhash"])
    def test_a_bound_method_forgets_its_instance_only(
        self, made: Any, any_cache: Cache, falsy_form: str
    ) -> None:
        one, two = made("1"), made("2")
        forget = (
            any_cache.delete_memoized
            if falsy_form == "bound"
            else any_cache.delete_memoized_verhash
        )
        first, second, other = one.method(1), two.method(1), one.other()
        forget(one.method)
        assert one.method(1) > first
        assert two.method(1) == second
        assert one.other() == other

    def test_an_unbound_method_forgets_every_instance(self, made: Any, any_cache: Cache) -> None:
        one, two, sub = made("1"), made("2"), made.Sub("1")
        before = one.method(), two.method(), sub.method()
        any_cache.delete_memoized(made.method)
        after = one.method(), two.method(), sub.method()
        assert all(new > old for new, old in zip(after, before, strict=True))

    @pytest.mark.parametrize(
        "form",
        [
            lambda cache, kind, one: cache.delete_memoized(one.method, 5),
            lambda cache, kind, one: cache.delete_memoized(one.method, a=5),
            lambda cache, kind, one: cache.delete_memoized(one.method, one, 5),
            lambda cache, kind, one: cache.delete_memoized(one.method, one, a=5),
            lambda cache, kind, one: cache.delete_memoized(kind.method, one, 5),
            lambda cache, kind, one: cache.delete_memoized(kind.method, one, a=5),
            lambda cache, kind, one: cache.delete_memoized(kind.method, self=one, a=5),
            lambda cache, kind, one: cache.delete_memoized(functools.partial(one.method, 5)),
            lambda cache, kind, one: cache.delete_memoized(functools.partial(kind.method, one), 5),
        ],
    )
    def test_one_call_of_one_instance(self, made: Any, any_cache: Cache, form: Any) -> None:
        one, two = made("1"), made("2")
        runs = [one.method(5), one.method(6), one.method(5, b=1), two.method(5)]
        form(any_cache, made, one)
        assert one.method(5) > runs[0]
        assert one.method(6) == runs[1]
        assert one.method(5, b=1) == runs[2]
        assert two.method(5) == runs[3]

    def test_the_default_call_of_an_unbound_method(self, made: Any, any_cache: Cache) -> None:
        one, two = made("1"), made("2")
        first, second, longer = one.method(), two.method(), one.method(7)
        any_cache.delete_memoized(made.method, one)
        assert one.method() > first
        assert two.method() == second
        assert one.method(7) == longer

    def test_class_and_static_methods(self, made: Any, any_cache: Cache) -> None:
        base, sub, static = made.of_class(), made.Sub.of_class(), made.static()
        any_cache.delete_memoized(made.of_class, made)
        assert made.of_class() > base
        assert made.Sub.of_class() == sub
        any_cache.delete_memoized(made.Sub.of_class, made.Sub, 1)
        assert made.Sub.of_class() > sub
        any_cache.delete_memoized(made.static, a=1)
        assert made.static() > static
        base, sub = made.of_class(), made.Sub.of_class()
        any_cache.delete_memoized(made.of_class)
        assert made.of_class() > base
        assert made.Sub.of_class() > sub
        with pytest.raises(ValueError, match="class"):
            any_cache.delete_memoized(made.of_class, 1)

    def test_a_method_whose_instance_has_another_name(self, made: Any, any_cache: Cache) -> None:
        one = made("1")
        for forget in (
            lambda: any_cache.delete_memoized(one.unusual),
            lambda: any_cache.delete_memoized(one.unusual, 1),
            lambda: any_cache.delete_memoized(made.unusual, one),
            lambda: any_cache.delete_memoized_verhash(one.unusual),
        ):
            first = one.unusual()
            forget()
            assert one.unusual() > first

    def test_a_subclass_is_told_from_its_base(self, made: Any, any_cache: Cache) -> None:
        class Plain(made):  # type: ignore[misc]
            def __repr__(self) -> str:
                return "Kind(1)"

        base, sub = made("1"), Plain("1")
        first, second = base.method(), sub.method()
        base.method()
        any_cache.delete_memoized(sub.method)
        assert base.method() == first
        assert sub.method() > second


@in_app
@pytest.mark.parametrize("identity", ["repr", "caching_id", "metaclass"])
def test_a_subclass_that_looks_like_its_base_has_entries_of_its_own(
    cache: Cache, identity: str
) -> None:
    class Meta(type):
        def __repr__(cls) -> str:
            return "a model"

    class Base(metaclass=Meta):
        value = "base"

        def __repr__(self) -> str:
            return "it"

        @cache.memoize()
        def method(self) -> str:
            return self.value

        @classmethod
        @cache.memoize()
        def of_class(cls) -> str:
            return cls.value

    class Sub(Base):
        value = "sub"

    class Same(Base):
        value = "same"

    Same.__name__ = Same.__qualname__ = "Base"
    Same.__module__ = "elsewhere"
    if identity == "caching_id":
        Base.__caching_id__ = classmethod(lambda cls: "id")  # type: ignore[attr-defined]
    for kind in (Base, Sub, Same):
        assert kind().method() == kind.value
        assert kind.of_class() == kind.value


@in_app
def test_an_instance_that_cannot_be_told_apart_has_nothing_to_forget(cache: Cache) -> None:
    class Slotted:
        __slots__ = ()

        @cache.memoize()
        def method(self, a: int = 1) -> int:
            return a

    slotted = Slotted()
    assert slotted.method() == 1
    cache.delete_memoized(slotted.method)
    cache.delete_memoized(slotted.method, 1)
    cache.delete_memoized(Slotted.method)
    cache.delete_memoized_verhash(slotted.method)


@in_app
def test_a_memoized_function_under_other_decorators_is_forgotten(cache: Cache) -> None:
    count = Counter()

    def log(f: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(f)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return f(*args, **kwargs)

        return wrapper

    @log
    @cache.memoize()
    def logged(a: int) -> int:
        return count()

    @cache.memoize()
    @log
    def logging(a: int) -> int:
        return count()

    @cache.cached(key_prefix="outer")
    @cache.memoize()
    def stacked(a: int) -> int:
        return count()

    for function in (logged, logging):
        one, two = function(1), function(2)
        cache.delete_memoized(function, 1)
        assert function(1) > one
        assert function(2) == two
        cache.delete_memoized(function)
        assert function(2) > two
    first = stacked(1)
    cache.delete_cached(stacked)
    assert stacked(1) == first
    cache.delete_cached(stacked)
    cache.delete_memoized(stacked, 1)
    assert stacked(1) > first
    first = stacked(1)
    cache.delete_cached(stacked)
    cache.delete_memoized(stacked)
    assert stacked(1) > first


@in_app
def test_callable_objects_and_partials_of_memoized_ones_are_forgotten(cache: Cache) -> None:
    class Adder:
        def __init__(self, number: int) -> None:
            self.count = Counter()
            self.number = number

        def __repr__(self) -> str:
            return f"Adder({self.number})"

        @cache.memoize()
        def __call__(self, a: int) -> int:
            return self.count()

    adder, other = Adder(1), Adder(2)
    first, second = adder(1), other(1)
    cache.delete_memoized(adder, 1)
    assert adder(1) > first
    first = adder(1)
    cache.delete_memoized(adder)
    assert adder(1) > first
    first = adder(1)
    cache.delete_memoized(functools.partial(adder, 1))
    assert adder(1) > first
    assert other(1) == second


def test_signatures_show_the_function_as_it_may_be_given() -> None:
    for method in (Cache.delete_memoized, Cache.delete_cached):
        _, f, *_ = inspect.signature(method).parameters.values()
        assert (f.name, f.kind, f.default) == ("f", f.POSITIONAL_OR_KEYWORD, f.empty)


def test_the_function_may_be_given_by_name(cache: Cache, app: Flask) -> None:
    count = Counter()

    @cache.memoize()
    def function(a: int = 1) -> int:
        return count()

    @cache.cached(key_prefix="view")
    def view() -> int:
        return count()

    with app.app_context():
        first = function()
        cache.delete_memoized(f=function)
        assert function() > first
        first = function()
        cache.delete_memoized_verhash(f=function)
        assert function() > first
        first = view()
        assert cache.delete_cached(f=view)
        assert view() > first


# While a computation is under way.


def _forget_memoized(cache: Cache, function: Any) -> dict[str, Callable[[], Any]]:
    key = function.make_cache_key(function.uncached, 1)
    return {
        "delete": lambda: cache.delete(key),
        "delete by name": lambda: cache.delete(key=key),
        "delete_many": lambda: cache.delete_many("other", key),
        "unlink": lambda: cache.unlink(key),
        "clear": cache.clear,
        "delete_memoized with arguments": lambda: cache.delete_memoized(function, 1),
        "delete_memoized": lambda: cache.delete_memoized(function),
        "its own delete_memoized": function.delete_memoized,
        "delete_memoized_verhash": lambda: cache.delete_memoized_verhash(function),
    }


FORMS = [
    "delete",
    "delete by name",
    "delete_many",
    "unlink",
    "clear",
    "delete_memoized with arguments",
    "delete_memoized",
    "its own delete_memoized",
    "delete_memoized_verhash",
]


@pytest.mark.parametrize("warm", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("form", FORMS)
def test_a_deletion_wins_over_a_memoized_computation(
    any_cache: Cache, app: Flask, form: str, warm: bool
) -> None:
    started, deleted = threading.Event(), threading.Event()
    state = ["old"]
    slow = [True]

    @any_cache.memoize()
    def function(a: int) -> str:
        value = state[0]
        if slow[0]:
            started.set()
            assert deleted.wait(60)
        return value

    if warm:
        slow[0] = False
        function(2)
        slow[0] = True

    results = []

    def compute() -> None:
        with app.app_context():
            results.append(function(1))

    thread = threading.Thread(target=compute)
    thread.start()
    assert started.wait(60)
    state[0] = "new"
    slow[0] = False
    _forget_memoized(any_cache, function)[form]()
    deleted.set()
    thread.join()
    assert results == ["old"]
    assert function(1) == "new"
    assert function(1) == "new"


@pytest.mark.parametrize("form", ["delete", "delete_many", "unlink", "clear", "delete_cached"])
def test_a_deletion_wins_over_a_view_that_runs(any_cache: Cache, app: Flask, form: str) -> None:
    started, deleted = threading.Event(), threading.Event()
    state = ["old"]

    @app.route("/slow/<number>")
    @any_cache.cached()
    def view(number: str) -> str:
        value = state[0]
        if value == "old":
            started.set()
            assert deleted.wait(60)
        return value

    key = "view//slow/1"
    forms: dict[str, Callable[[], Any]] = {
        "delete": lambda: any_cache.delete(key),
        "delete_many": lambda: any_cache.delete_many(key),
        "unlink": lambda: any_cache.unlink(key),
        "clear": any_cache.clear,
        "delete_cached": lambda: any_cache.delete_cached(view, path="/slow/1"),
    }
    results = []
    thread = threading.Thread(target=lambda: results.append(app.test_client().get("/slow/1").text))
    thread.start()
    assert started.wait(60)
    state[0] = "new"
    forms[form]()
    deleted.set()
    thread.join()
    assert results == ["old"]
    assert app.test_client().get("/slow/1").text == "new"


@pytest.mark.parametrize("name", ["frag", "frag_with_underscores"])
@pytest.mark.parametrize("form", ["delete", "delete_many", "unlink", "clear", "del"])
def test_a_deletion_wins_over_a_fragment_that_is_rendered(
    any_cache: Cache, app: Flask, form: str, name: str
) -> None:
    started, deleted = threading.Event(), threading.Event()
    state = ["old"]

    def value() -> str:
        current = state[0]
        if current == "old":
            started.set()
            assert deleted.wait(60)
        return current

    source = "{% cache 60, name, 'k' %}{{ value() }}{% endcache %}"
    key = make_template_fragment_key(name, ["k"])
    forms: dict[str, Callable[[], Any]] = {
        "delete": lambda: any_cache.delete(key),
        "delete_many": lambda: any_cache.delete_many(key),
        "unlink": lambda: any_cache.unlink(key),
        "clear": any_cache.clear,
        "del": lambda: render_template_string(
            "{% cache 'del', name, 'k' %}{% endcache %}", name=name
        ),
    }
    results = []

    def render() -> None:
        with app.test_request_context():
            results.append(render_template_string(source, name=name, value=value))

    thread = threading.Thread(target=render)
    thread.start()
    assert started.wait(60)
    state[0] = "new"
    with app.test_request_context():
        forms[form]()
        deleted.set()
        thread.join()
        assert results == ["old"]
        assert render_template_string(source, name=name, value=value) == "new"


@pytest.mark.parametrize("form", ["delete_memoized", "delete_memoized_verhash"])
def test_a_version_that_is_being_replaced_is_not_written_again(app: Flask, form: str) -> None:
    replacing, go_on, read = threading.Event(), threading.Event(), threading.Event()

    class Slow(Foreign):
        """Is asked to replace a version while somebody keeps the old one alive."""

        def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[Any]:
            if threading.current_thread().name == "deleting":
                self._wait()
            return super().set_many(mapping, timeout)

        def delete_many(self, *keys: str) -> list[Any]:
            self._wait()
            return super().delete_many(*keys)

        def get_many(self, *keys: str) -> list[Any]:
            found = super().get_many(*keys)
            if replacing.is_set() and threading.current_thread().name == "keeping":
                if read.is_set():
                    go_on.set()
                    deleting.join(1)
                read.set()
            return found

        def _wait(self) -> None:
            replacing.set()
            go_on.wait(1)

    cache = Cache(app, config={"CACHE_TYPE": Slow})
    state = ["old"]

    @cache.memoize()
    def function(a: int) -> str:
        return state[0]

    def delete() -> None:
        with app.app_context():
            getattr(cache, form)(function)

    def keep() -> None:
        with app.app_context():
            function(2)

    with app.app_context():
        assert function(1) == "old"
        state[0] = "new"
        deleting = threading.Thread(target=delete, name="deleting")
        keeping = threading.Thread(target=keep, name="keeping")
        deleting.start()
        assert replacing.wait(60)
        keeping.start()
        keeping.join()
        go_on.set()
        deleting.join()
        assert function(1) == "new"


def test_a_deletion_of_another_key_does_not_stop_a_computation(cache: Cache, app: Flask) -> None:
    count = Counter()

    @cache.memoize()
    def function(a: int) -> int:
        cache.delete("something else")
        cache.delete_many("a", "b")
        if a == 1:
            cache.delete_memoized(function, 2)
        return count()

    with app.app_context():
        assert function(1) == function(1)


@in_app
def test_a_function_that_forgets_itself_is_not_stored(cache: Cache) -> None:
    count = Counter()

    @cache.memoize()
    def function() -> int:
        cache.delete_memoized(function)
        return count()

    assert function() == 1
    assert function() == 2


@in_app
def test_a_computation_that_fails_leaves_nothing_behind(cache: Cache, app: Flask) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        raise LookupError

    for number in range(10):
        with pytest.raises(LookupError):
            function(number)
    assert not cache.stats().under_way


@in_app
def test_keys_that_cannot_be_hashed_are_the_backends_business(cache: Cache) -> None:
    @cache.memoize()
    def function() -> str:
        with pytest.raises(TypeError):
            cache.delete([1])
        return "done"

    assert function() == "done"


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_child_forked_while_another_thread_stores_can_delete(app: Flask) -> None:
    import os

    in_set, release = threading.Event(), threading.Event()

    class Slow(Foreign):
        def set(self, key: str, value: Any, timeout: Any = None) -> bool:
            if key == "slow":
                in_set.set()
                release.wait(60)
            return super().set(key, value, timeout)

    cache = Cache(app, config={"CACHE_TYPE": Slow})

    @cache.cached(key_prefix="slow")
    def function() -> int:
        return 1

    def compute() -> None:
        with app.app_context():
            function()

    thread = threading.Thread(target=compute)
    thread.start()
    assert in_set.wait(60)
    with warnings.catch_warnings():
        # Python 3.12 warns of exactly what is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        import signal

        signal.alarm(5)
        with app.app_context():
            cache.delete("slow")
            cache.clear()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    release.set()
    thread.join()
    assert status == 0


# Views.


def _hits(app: Flask, path: str) -> str:
    return app.test_client().get(path).text


def test_views_are_deleted_by_their_arguments(app: Flask, cache: Cache) -> None:
    count = Counter()
    parent, child = Blueprint("parent", "p", url_prefix="/p"), Blueprint("child", "c")

    @app.route("/plain/<int:number>", endpoint="another_name")
    @cache.cached()
    def plain(number: int) -> str:
        return str(count())

    @child.route("/child/<name>/")
    @cache.cached()
    def in_blueprint(name: str) -> str:
        return str(count())

    class Method(MethodView):
        @cache.cached()
        def get(self, number: int) -> str:
            return str(count())

    class Decorated(View):
        decorators = [cache.cached()]  # noqa: RUF012

        def dispatch_request(self, number: int) -> str:
            return str(count())

    parent.register_blueprint(child, url_prefix="/c")
    parent.add_url_rule("/method/<int:number>", view_func=Method.as_view("method"))
    parent.add_url_rule("/decorated/<int:number>", view_func=Decorated.as_view("decorated"))
    app.register_blueprint(parent)
    decorated = app.view_functions["parent.decorated"]

    cases: list[tuple[Any, dict[str, Any], str]] = [
        (plain, {"number": 1}, "/plain/1"),
        (in_blueprint, {"name": "a b/ü%"[:3]}, "/p/c/child/a%20b/"),
        (in_blueprint, {"name": "ü%2F"}, "/p/c/child/%C3%BC%252F/"),
        (Method.get, {"number": 1}, "/p/method/1"),
        (decorated, {"number": 1}, "/p/decorated/1"),
    ]
    for view, arguments, path in cases:
        for context in (
            app.test_request_context(),
            app.test_request_context(base_url="http://x/s"),
        ):
            first = _hits(app, path)
            assert _hits(app, path) == first
            with context:
                assert cache.delete_cached(view, **arguments)
            assert _hits(app, path) != first


def test_a_view_is_deleted_under_any_prefix_of_the_application(app: Flask, cache: Cache) -> None:
    count = Counter()

    @app.route("/page/<name>")
    @cache.cached()
    def page(name: str) -> str:
        return str(count())

    client = app.test_client()

    def get() -> str:
        return client.get("/page/a", environ_overrides={"SCRIPT_NAME": "/mounted"}).text

    first = get()
    assert get() == first
    with app.test_request_context("/", environ_overrides={"SCRIPT_NAME": "/mounted"}):
        assert cache.delete_cached(page, name="a")
    assert get() != first


@pytest.mark.parametrize(
    "name", ["path", "query_args", "f", "self", "key", "cache", "args", "kwargs", "unless", "rv"]
)
def test_a_route_variable_may_have_any_name(app: Flask, cache: Cache, name: str) -> None:
    count = Counter()
    namespace: dict[str, Any] = {"count": count}
    exec(f"def view({name}): return str(count())", namespace)
    view = cache.cached(unless=lambda *a, **k: False)(namespace["view"])
    app.add_url_rule(f"/v/<{name}>", view_func=view)

    first = _hits(app, "/v/a")
    assert _hits(app, "/v/a") == first
    assert _hits(app, "/v/b") != first
    with app.test_request_context():
        assert view.make_cache_key(**{name: "a"}) == "view//v/a"
        assert cache.delete_cached(view, **{name: "a"})
        assert not cache.delete_cached(view, path="/v/a")
    assert _hits(app, "/v/a") != first
    with app.test_request_context():
        assert cache.delete_cached(view, path="/v/a")


def test_a_view_with_a_key_of_its_own_is_deleted_by_it(app: Flask, cache: Cache) -> None:
    count = Counter()

    @app.route("/own/<name>")
    @cache.cached(make_cache_key=lambda name: f"own:{name}")
    def own(name: str) -> str:
        return str(count())

    first = _hits(app, "/own/a")
    with app.app_context():
        assert cache.delete_cached(own, name="a")
    assert _hits(app, "/own/a") != first


def test_a_view_with_a_query_string_is_deleted_by_path_and_query(app: Flask, cache: Cache) -> None:
    count = Counter()

    @app.route("/q/<name>")
    @cache.cached(query_string=True)
    def view(name: str) -> str:
        return str(count())

    for forget in (
        lambda: cache.delete_cached(view, "/q/a", "x=1&y=2"),
        lambda: cache.delete_cached(view, "/q/a", "?y=2&x=1"),
        lambda: cache.delete_cached(view, path="/q/a", query_args={"x": 1, "y": "2"}),
        lambda: cache.delete_cached(view, path="/q/a", query_args=[("y", 2), ("x", "1")]),
        lambda: cache.delete_cached(view, query_args={"x": 1, "y": 2}, name="a"),
        lambda: cache.delete_cached(view, name="a", x=1, y=2),
    ):
        first, other = _hits(app, "/q/a?x=1&y=2"), _hits(app, "/q/a?x=1")
        assert _hits(app, "/q/a?y=2&x=1") == first
        with app.test_request_context("/elsewhere"):
            assert forget()
        assert _hits(app, "/q/a?x=1&y=2") != first
        assert _hits(app, "/q/a?x=1") == other
