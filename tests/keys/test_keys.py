"""Different calls of memoized functions have different entries; equal calls share one."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, g
from flask_caching import Cache
from shown import shown
from werkzeug.local import LocalProxy

pytestmark = pytest.mark.usefixtures("in_app")


def _identity(cache: Cache) -> Callable[..., Any]:
    """A memoized function that returns how often it has run."""
    runs: list[int] = []

    @cache.memoize()
    def function(*args: Any, **kwargs: Any) -> int:
        runs.append(1)
        return len(runs)

    return function


class Text(str):
    pass


class Number(int):
    pass


class Pairs(dict[str, int]):
    pass


class Colour(enum.Enum):
    RED = 1


class Other(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Posing:
    """Prints like something else."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0


class Couple(collections.namedtuple("Couple", "one other")):
    __slots__ = ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0.0, -0.0),
        (1, "1"),
        ("1", b"1"),
        (None, "None"),
        ([1], (1,)),
        ((1, (2,)), (1, 2)),
        ({1}, frozenset({1})),
        (Text("a"), "a"),
        (Number(1), 1),
        (Pairs(a=1), {"a": 1}),
        (Colour.RED, Other.RED),
        (Level.LOW, 1),
        (Posing("1"), 1),
        (Posing("'a'"), "a"),
        (Posing("[1]"), [1]),
        ([Posing("1")], [1]),
        ({"a": Posing("1")}, {"a": 1}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.deque([1]), [1]),
        (bytearray(b"a"), b"a"),
        (bytearray(b"a"), "bytearray(b'a')"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Point(Text("a")), Point("a")),
        (Couple(Posing("1"), 2), Couple(1, 2)),
        (collections.deque([Posing("1")]), collections.deque([1])),
        ("[...]", [...]),
        ("...", ...),
        (type("K", (), {}), type("K", (), {})),
    ],
    ids=shown,
)
def test_arguments_that_differ_have_different_entries(cache: Cache, one: Any, other: Any) -> None:
    function = _identity(cache)
    assert function(one) != function(other)
    assert function(a=one) != function(a=other)


def _nested(kind: type, depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"k": value} if kind is dict else [value]
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"b", "a", "c"},
        lambda: frozenset([(1, 2), (3, 4)]),
        lambda: [{"a", "b"}, {"k": {"c", "d"}}],
        lambda: {"nested": [1, (2, {"x": None})]},
        lambda: Point(1, [2]),
        lambda: Couple(1, "b"),
        lambda: Colour.RED,
        lambda: Text("a"),
        lambda: Point({1, 2}, {"a"}),
        lambda: collections.Counter("abca"),
        lambda: Posing("it"),
        lambda: _nested(list, 45),
        lambda: _nested(list, 300),
        lambda: _nested(dict, 250),
    ],
)
def test_equal_arguments_share_an_entry(cache: Cache, make: Callable[[], Any]) -> None:
    function = _identity(cache)
    assert function(make()) == function(make())
    assert function(a=make()) == function(a=make())


def test_a_container_that_holds_itself_is_an_argument(cache: Cache) -> None:
    function = _identity(cache)
    recursive: list[Any] = [1]
    recursive.append(recursive)
    mapping: dict[str, Any] = {}
    mapping["self"] = mapping
    ordered: collections.OrderedDict[str, Any] = collections.OrderedDict()
    ordered["self"] = ordered

    assert function(recursive) == function(recursive)
    assert function(mapping) == function(mapping)
    assert function(recursive) != function(mapping)
    assert function(ordered) > 0


class Nothing:
    """Prints its address."""


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def test_an_object_never_gets_the_value_of_one_that_lived_at_its_address(cache: Cache) -> None:
    @cache.memoize()
    def value_of(thing: Any) -> int:
        value: int = thing.value
        return value

    for number in range(2000):
        thing = Nothing()
        thing.value = number  # type: ignore[attr-defined]
        assert value_of(thing) == number
        del thing


def test_an_object_in_a_container_never_gets_the_value_of_another(cache: Cache) -> None:
    @cache.memoize()
    def value_of(things: Any) -> int:
        value: int = next(iter(things)).value
        return value

    for make in (lambda t: [t], lambda t: (t,), lambda t: {t: 1}, lambda t: {t}):
        for number in range(500):
            thing = Nothing()
            thing.value = number  # type: ignore[attr-defined]
            assert value_of(make(thing)) == number
            del thing


def test_an_object_that_cannot_be_told_apart_is_not_cached_and_named_once(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    @cache.memoize()
    def value_of(thing: Any) -> int:
        value: int = thing.value
        return value

    for number in range(500):
        assert value_of(Slotted(number)) == number
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Slotted" in caplog.text
    assert "__caching_id__" in caplog.text


def test_an_object_is_the_same_argument_while_it_lives(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    function = _identity(cache)
    one, other = Nothing(), Nothing()
    assert function(one) == function(one)
    assert function(one) != function(other)
    assert function([one]) == function([one])
    assert len(caplog.records) == 1
    assert "__repr__" in caplog.text
    assert "__caching_id__" in caplog.text


class WritesItsAddress:
    def __repr__(self) -> str:
        return f"<thing {hex(id(self))}>"


class WritesItsDecimalAddress:
    def __repr__(self) -> str:
        return f"Thing#{id(self)}"


@pytest.mark.parametrize("kind", [WritesItsAddress, WritesItsDecimalAddress])
def test_a_repr_that_writes_the_address_is_no_identity(cache: Cache, kind: type) -> None:
    @cache.memoize()
    def value_of(thing: Any) -> int:
        value: int = (thing[0] if isinstance(thing, list) else thing).value
        return value

    for number in range(500):
        thing = kind()
        thing.value = number
        assert value_of(thing) == number
        assert value_of([thing]) == number
        del thing


def test_classes_that_a_factory_makes_again_keep_their_keys(app: Flask) -> None:
    def create(cache: Cache) -> str:
        class Shop:
            def __repr__(self) -> str:
                return "Shop"

            @cache.memoize()
            def method(self, a: Any = None) -> None: ...

        class Branch(Shop):
            def __repr__(self) -> str:
                return "Branch"

        @cache.memoize()
        def function(a: Any) -> None: ...

        method: Any = Shop.method
        keys = [
            method.make_cache_key(method.uncached, Shop()),
            method.make_cache_key(method.uncached, Branch()),
            function.make_cache_key(function.uncached, Shop()),
            function.make_cache_key(function.uncached, Shop),
        ]
        return " ".join(key[:16] for key in keys)

    config = {"CACHE_TYPE": "SimpleCache"}
    assert len({create(Cache(app, config=config)) for _ in range(3)}) == 1


def _made_elsewhere() -> list[Any]:
    """Objects of several classes of one name that print the same."""

    def make() -> Any:
        @dataclasses.dataclass(frozen=True)
        class Point:
            x: int
            y: int

        return Point(1, 2)

    elsewhere = dataclasses.make_dataclass("Point", ["x", "y"])
    elsewhere.__module__ = "elsewhere"
    return [make(), make(), elsewhere(1, 2)]


def test_classes_of_one_name_are_different_classes(cache: Cache) -> None:
    @cache.memoize()
    def address_of_class(thing: Any) -> int:
        return id(type(thing))

    things = [Point(1, 2), *_made_elsewhere()]
    for _ in range(2):
        for thing in things:
            assert address_of_class(thing) == id(type(thing))


def test_methods_of_classes_of_one_name_are_different(cache: Cache) -> None:
    class Base:
        kind = "base"

        def __repr__(self) -> str:
            return f"{type(self).__name__}(1)"

        @cache.memoize()
        def method(self) -> str:
            return self.kind

    def make(number: int) -> Any:
        class Sub(Base):
            kind = f"sub {number}"

        return Sub()

    made = [make(number) for number in range(3)]
    for thing in made:
        assert thing.method() == thing.kind


class Hexadecimal:
    def __init__(self, value: int) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Hexadecimal({self.value:#x})"


def test_a_repr_with_a_hexadecimal_number_is_an_identity(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    function = _identity(cache)
    assert function(Hexadecimal(0xFF00FF)) == function(Hexadecimal(0xFF00FF))
    assert function(Hexadecimal(0xFF00FF)) != function(Hexadecimal(0xFF00FE))
    assert not caplog.records


def test_two_bound_methods_of_one_object_are_one_argument(cache: Cache) -> None:
    class Owner:
        def one(self) -> None: ...
        def other(self) -> None: ...

    function = _identity(cache)
    owner, another = Owner(), Owner()
    assert function(owner.one) == function(owner.one)
    assert function(owner.one) != function(owner.other)
    assert function(owner.one) != function(another.one)


def test_functions_are_told_apart_as_arguments(cache: Cache) -> None:
    def made(number: int) -> Callable[[], int]:
        return lambda: number

    @cache.memoize()
    def result_of(f: Callable[[], int]) -> int:
        return f()

    for number in range(500):
        assert result_of(made(number)) == number


def test_a_proxy_is_what_it_stands_for(cache: Cache, app: Flask) -> None:
    function = _identity(cache)
    g.user = "ann"
    user = LocalProxy(lambda: g.user)
    assert function(user) == function("ann")
    g.user = "bob"
    assert function(user) == function("bob")
    assert function([user]) == function(["bob"])
    assert function("ann") != function("bob")


def test_an_argument_that_compares_like_an_array_works(cache: Cache) -> None:
    class Array:
        def __eq__(self, other: object) -> Any:
            raise ValueError("the truth value of an array is ambiguous")

        __hash__ = None  # type: ignore[assignment]

        def __repr__(self) -> str:
            return "Array()"

    default = Array()

    @cache.memoize()
    def function(a: Any = default) -> object:
        return object.__repr__(a)

    assert function() == function()
    assert function(Array()) == function(default)


def _closure(cache: Cache, number: Any) -> Callable[[int], Any]:
    @cache.memoize()
    def add(a: int) -> Any:
        return a + number

    return add


def test_closures_of_one_name_are_different_functions(cache: Cache) -> None:
    assert [_closure(cache, n)(1) for n in range(10)] == list(range(1, 11))
    assert _closure(cache, 1.0)(1) == 2.0
    assert isinstance(_closure(cache, 1)(1), int)
    assert isinstance(_closure(cache, 1.0)(1), float)


def test_closures_over_mutable_data_are_different_functions(cache: Cache) -> None:
    def make(table: Any) -> Callable[[str], Any]:
        @cache.memoize()
        def look_up(key: str) -> Any:
            return table[key]

        return look_up

    for number in range(50):
        assert make({"a": number})("a") == number


def test_closures_over_functions_are_different_functions(cache: Cache) -> None:
    def make(inner: Callable[[int], int]) -> Callable[[int], int]:
        @cache.memoize()
        def outer(a: int) -> int:
            return inner(a)

        return outer

    one = make(lambda a: a + 1)
    other = make(lambda a: a + 2)
    assert (one(1), other(1)) == (2, 3)


def test_closures_over_closures_are_different_functions(cache: Cache) -> None:
    def make(number: int) -> Callable[[int], int]:
        def inner(a: int) -> int:
            return a + number

        @cache.memoize()
        def outer(a: int) -> int:
            return inner(a)

        return outer

    assert [make(n)(1) for n in range(5)] == [1, 2, 3, 4, 5]


def test_functions_with_default_arguments_made_in_a_loop_are_different(cache: Cache) -> None:
    made = []
    for number in range(3):

        @cache.memoize()
        def function(a: int, b: int = number) -> int:
            return a + b

        made.append(function)
    assert [f(1) for f in made] == [1, 2, 3]


def test_functions_with_keyword_only_defaults_made_in_a_loop_are_different(cache: Cache) -> None:
    made = []
    for number in range(3):

        @cache.memoize()
        def function(a: int, *, b: int = number) -> int:
            return a + b

        made.append(function)
    assert [f(1) for f in made] == [1, 2, 3]


def test_lambdas_of_one_scope_are_different_functions(cache: Cache) -> None:
    memoize = cache.memoize()
    one = memoize(lambda a: a + 1)
    other = memoize(lambda a: a + 2)
    name = memoize(lambda a: a.upper() if isinstance(a, str) else -a)
    made = [memoize(lambda a, n=n: a + n) for n in range(3)]
    closures = list(map(lambda n: memoize(lambda a: a * n), range(3)))
    assert (one(1), other(1), name(1)) == (2, 3, -1)
    assert [f(1) for f in made] == [1, 2, 3]
    assert [f(5) for f in closures] == [0, 5, 10]


def test_functions_of_one_name_with_other_code_are_different(cache: Cache) -> None:
    def make() -> list[Callable[[int], int]]:
        made: list[Callable[[int], int]] = []

        @cache.memoize()
        def function(a: int) -> int:
            return a + 1

        made.append(function)

        @cache.memoize()  # type: ignore[no-redef]
        def function(a: int) -> int:
            return a + 2

        made.append(function)
        return made

    one, other = make()
    assert (one(1), other(1)) == (2, 3)
    again, other_again = make()
    assert (again(1), other_again(1)) == (2, 3)


def test_positional_only_parameters_and_keywords_do_not_mix(cache: Cache) -> None:
    @cache.memoize()
    def function(a: int, /, b: int = 0, **rest: int) -> tuple[int, int, dict[str, int]]:
        return a, b, rest

    assert function(1, b=2) == (1, 2, {})
    assert function(1, b=3) == (1, 3, {})
    assert function(1, 2) == (1, 2, {})
    assert function(1, a=2) == (1, 0, {"a": 2})
    assert function(2, a=1) == (2, 0, {"a": 1})
    assert function(2) == (2, 0, {})


def test_a_missing_argument_is_not_none(cache: Cache) -> None:
    @cache.memoize()
    def function(a: Any, b: Any = 1) -> str:
        return "result"

    assert function(None) == "result"
    with pytest.raises(TypeError):
        function()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        function(b=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("wrap", [lambda a: a, lambda a: [a], lambda a: {a: a}, lambda a: -a])
def test_an_integer_that_python_does_not_print_is_an_argument(
    cache: Cache, wrap: Callable[[int], Any]
) -> None:
    function = _identity(cache)
    assert function(wrap(10**5000)) == function(wrap(10**5000))
    assert function(wrap(10**5000)) != function(wrap(10**5000 + 1))


def test_one_call_written_in_several_ways_has_one_entry(cache: Cache) -> None:
    runs = []

    @cache.memoize()
    def function(a: int, b: int = 2, *, c: int = 3) -> int:
        runs.append(1)
        return a + b + c

    assert function(1) == function(a=1) == function(1, 2) == function(b=2, a=1) == 6
    assert len(runs) == 1


def test_a_value_is_not_taken_for_a_keyword_of_that_text(cache: Cache) -> None:
    function = _identity(cache)
    results = [
        function("a", b=1),
        function("a", "b", 1),
        function(("a", "b")),
        function("a", "b"),
        function("a, 'b'"),
        function("a')OrderedDict([('b', 1)])"),
        function(a="1", b="2"),
        function(a="1', 'b': '2"),
        function({"a": 1}),
    ]
    assert len(set(results)) == len(results)


@pytest.mark.parametrize(
    "name",
    [
        "self", "cls", "f", "fn", "func", "function", "unless", "rv", "args", "kwargs", "key",
        "value", "timeout", "cache", "cache_key", "args_to_ignore", "use_request", "path",
        "query_args", "endpoint", "instance", "lookup", "state", "make_name", "found",
    ],
)  # fmt: skip
def test_an_argument_may_have_any_name(cache: Cache, name: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def function({name}, other=0): return [{name}, other]", namespace)
    function = cache.memoize()(namespace["function"])
    everything = cache.memoize(unless=lambda *a, **k: False)(lambda **kw: [kw[name]])
    assert function(**{name: 1}) == [1, 0]
    assert function(**{name: 2}) == [2, 0]
    assert function(3) == [3, 0]
    assert everything(**{name: 1}) == [1]
    assert everything(**{name: 2}) == [2]
    cache.delete_memoized(everything, **{name: 1})
    if name not in ("self", "cls"):
        cache.delete_memoized(function, **{name: 1})
    key = function.make_cache_key(function.uncached, **{name: 1})
    assert key != function.make_cache_key(function.uncached, **{name: 2})


def test_names_that_differ_outside_ascii_are_different_functions(cache: Cache) -> None:
    @cache.memoize()
    def größe() -> str:
        return "ö"

    @cache.memoize()
    def grüße() -> str:
        return "ü"

    @cache.memoize()
    def gre() -> str:
        return "e"

    assert (größe(), grüße(), gre()) == ("ö", "ü", "e")
    cache.delete_memoized(größe)
    assert (größe(), grüße(), gre()) == ("ö", "ü", "e")


def test_keys_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "from flask import Flask; from flask_caching import Cache; import dataclasses\n"
        "app = Flask('x'); cache = Cache(app, config={'CACHE_TYPE': 'SimpleCache'})\n"
        "@dataclasses.dataclass\n"
        "class D:\n    s: object\n"
        "@cache.memoize()\n"
        "def f(*a, **k): pass\n"
        "with app.app_context():\n"
        "    members = {'ab', 'cd', 'ef', 'gh', b'1', 2, (3, 'x')}\n"
        "    for call in [(members,), (frozenset(members),), ([{'k': members}],), (D(members),)]:\n"
        "        print(f.make_cache_key(f.uncached, *call)[:16])\n"
        "    print(f.make_cache_key(f.uncached, k=members)[:16])\n"
        "    word = cache.memoize()(lambda a: a in {'ab', 'cd', 'ef', 'gh'})\n"
        "    print(word.make_cache_key(word.uncached, 1)[:16])\n"
        "    def make(limit, names):\n"
        "        return cache.memoize()(lambda a: a < limit and a in names)\n"
        "    over = make(1, ('ab', 'cd'))\n"
        "    print(over.make_cache_key(over.uncached, 1)[:16])\n"
        "    default = cache.memoize()(lambda a, *, b=frozenset({'ab', 'cd', 'ef'}): a)\n"
        "    print(default.make_cache_key(default.uncached, 1)[:16])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(3)
    }
    assert len(outputs) == 1
    assert len(set(outputs.pop().split())) == 8


def test_threads_that_meet_a_new_object_agree_on_it(cache: Cache) -> None:
    function = _identity(cache)
    for _ in range(20):
        thing = Nothing()
        barrier = threading.Barrier(4)
        keys: list[str] = []

        def build(
            thing: Nothing = thing, barrier: threading.Barrier = barrier, keys: list[str] = keys
        ) -> None:
            barrier.wait()
            with cache.app.app_context():
                keys.append(function.make_cache_key(function.uncached, thing))  # type: ignore[attr-defined]

        threads = [threading.Thread(target=build) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(keys)) == 1


def test_tokens_of_objects_that_died_are_forgotten(cache: Cache) -> None:
    from flask_caching.keys import tokens

    function = _identity(cache)
    for _ in range(200):
        function(Nothing())
    gc.collect()
    assert len(tokens._tokens) < 50


@pytest.mark.parametrize("ignored", [["b"], ("b",), {"b"}])
def test_an_ignored_argument_is_not_part_of_the_key(cache: Cache, ignored: Any) -> None:
    @cache.memoize(args_to_ignore=ignored)
    def function(a: int, b: int, c: int = 1, **rest: int) -> tuple[int, int]:
        return a, b

    assert function(1, 2) == (1, 2)
    assert function(1, 3) == (1, 2)
    assert function(1, b=4) == (1, 2)
    assert function(2, 3) == (2, 3)


def test_a_whole_name_is_ignored_and_not_its_letters(cache: Cache) -> None:
    def function(a: int, b: int, ab: int = 0) -> tuple[int, int, int]:
        return a, b, ab

    with pytest.warns(UserWarning, match="'ab' is one name"):
        function = cache.memoize(args_to_ignore="ab")(function)  # type: ignore[arg-type,assignment]
    assert function(1, 2, 3) == (1, 2, 3)
    assert function(2, 2, 3) == (2, 2, 3)
    assert function(2, 2, 4) == (2, 2, 3)


def test_source_check_works_where_there_is_no_source(cache: Cache) -> None:
    namespace: dict[str, Any] = {}
    exec("def function(a): return a + 1", namespace)
    function = cache.memoize(source_check=True)(namespace["function"])
    assert function(1) == 2
    length = cache.memoize(source_check=True)(len)
    assert length([1]) == 1


def test_partials_and_callable_objects_are_memoized_apart(cache: Cache) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    class Adder:
        def __init__(self, number: int) -> None:
            self.number = number

        def __call__(self, a: int) -> int:
            return a + self.number

    partials = [cache.memoize()(functools.partial(add, n)) for n in range(3)]
    adders = [cache.memoize()(Adder(n)) for n in range(3)]
    assert [f(1) for f in partials] == [1, 2, 3]
    assert [f(1) for f in adders] == [1, 2, 3]
    assert [f(b=1) for f in partials] == [1, 2, 3]
    cache.delete_memoized(partials[0])
    cache.delete_memoized(adders[0])
    assert [f(1) for f in partials] == [1, 2, 3]


def test_partials_over_objects_are_memoized_apart(cache: Cache) -> None:
    def value_of(thing: Any, a: int) -> int:
        value: int = thing.value + a
        return value

    for number in range(200):
        thing = Nothing()
        thing.value = number  # type: ignore[attr-defined]
        assert cache.memoize()(functools.partial(value_of, thing))(1) == number + 1
        slotted = Slotted(number)
        assert cache.memoize()(functools.partial(value_of, slotted))(1) == number + 1


def test_bound_methods_that_are_memoized_are_kept_apart(cache: Cache) -> None:
    class Counter:
        def __init__(self, number: int) -> None:
            self.number = number

        def add(self, a: int) -> int:
            return a + self.number

    one, other = Counter(1), Counter(2)
    memoized, other_memoized = cache.memoize()(one.add), cache.memoize()(other.add)
    assert (memoized(1), other_memoized(1)) == (2, 3)
    one.number = other.number = 10
    cache.delete_memoized(memoized)
    assert (memoized(1), other_memoized(1)) == (11, 3)
    other_memoized_again = cache.memoize()(other.add)
    assert other_memoized_again(1) == 3
