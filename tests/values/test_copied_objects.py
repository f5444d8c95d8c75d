"""Objects of plain classes are copied without pickle, as pickle would; others are pickled."""

from __future__ import annotations

import abc
import copyreg
import enum
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import flask
import pytest
from flask_caching import CachedResponse
from flask_caching.backends import SimpleCache
from shown import shown

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    ALSO_RED = "red"  # noqa: PIE796 - an alias


class Number(enum.IntEnum):
    ONE = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class NoSlots:
    __slots__ = ()


class Plain(NoSlots, abc.ABC, Generic[T]):
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]


class Loud(Plain[int]):
    """Nothing of what it says may be asked when it is copied."""

    def __init__(self) -> None:
        self.__dict__["told"] = []

    def __setattr__(self, name: str, value: Any) -> None:
        raise AssertionError(name)

    def __deepcopy__(self, memo: Any) -> Loud:
        raise AssertionError("copied")


@dataclass
class Row:
    number: int
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    number: int
    tags: list[str]


class Outer:
    class Inner(Plain[int]):
        pass


class WithState(Plain[int]):
    def __getstate__(self) -> dict[str, Any]:
        return {"state": "got"}


class WithSetState(Plain[int]):
    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = "set"


class WithReduce(Plain[int]):
    def __reduce__(self) -> Any:
        return WithReduce, (), {"state": "reduced"}


class WithArguments(Plain[int]):
    def __getnewargs__(self) -> tuple[()]:
        return ()


class WithNew(Plain[int]):
    def __new__(cls, **attributes: Any) -> WithNew:
        made = super().__new__(cls)
        made.__dict__["new"] = True
        return made


class WithGetattr(Plain[int]):
    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class WithSlot(Plain[int]):
    __slots__ = ("slot",)


class WithDict(Plain[int]):
    __dict__ = {"of": "the class"}  # type: ignore[assignment]

    def __init__(self) -> None:
        """Has no attributes."""


class Registered(Plain[int]):
    pass


def restore(state: dict[str, Any]) -> Registered:
    return Registered(**state, restored=True)


copyreg.pickle(Registered, lambda object_: (restore, (vars(object_),)))  # type: ignore[arg-type]


class OwnList(list[int]):
    pass


@pytest.fixture
def unpickled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the classes that are looked up to read a pickle."""
    names: list[str] = []
    listening = True

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "pickle.find_class":
            names.append(arguments[1])

    # There is no way to take it off again.
    sys.addaudithook(listen)
    yield names
    listening = False


def copies(value: Any) -> tuple[Any, Any]:
    cache = SimpleCache()
    assert cache.set("key", value)
    return cache.get("key"), cache.get("key")


@pytest.mark.parametrize(
    "value",
    [
        Plain(),
        Plain(number=1, text="x", rows=[{"a": [1]}, (1, {2})]),
        Plain(inner=Plain(inner=Plain(a=1))),
        Row(1, ["a"]),
        Frozen(1, ["a"]),
        Loud(),
        Outer.Inner(a=1),
        [Row(number, []) for number in range(3)],
        {"row": (Row(1), Row(2)), "color": [Color.RED]},
    ],
    ids=lambda value: type(value).__qualname__,
)
def test_objects_that_are_their_attributes_are_copied_without_pickle(
    value: Any, unpickled: list[str]
) -> None:
    one, other = copies(value)
    assert unpickled == []
    assert one == other == value
    assert type(one) is type(value)
    assert one is not other
    assert one is not value


def test_a_copy_shares_nothing_that_can_be_changed() -> None:
    value = Row(1, ["a"])
    cache = SimpleCache()
    cache.set("key", value)
    value.tags.append("stored already")
    copy = cache.get("key")
    copy.tags.append("mine")
    copy.number = 2
    copy.more = True
    assert cache.get("key") == Row(1, ["a"])
    assert not hasattr(cache.get("key"), "more")


def test_responses_are_copied_without_pickle(unpickled: list[str]) -> None:
    app = flask.Flask(__name__)
    with app.app_context():
        response = flask.make_response("text", 201, {"X-One": "1"})
        response.set_cookie("name", "value")
        json = flask.jsonify(a=[1])
    cache = SimpleCache()
    cache.set_many({"page": response, "json": json, "cached": CachedResponse(json, 5)})
    for _ in range(2):
        page = cache.get("page")
        assert page.status_code == 201
        assert page.get_data() == b"text"
        assert page.headers.to_wsgi_list() == response.headers.to_wsgi_list()
        # As an application does after each request.
        page.headers["X-Two"] = "2"
        page.set_data(b"changed")
    assert type(cache.get("json")) is flask.Response
    assert cache.get("json").get_json() == {"a": [1]}
    cached = cache.get("cached")
    assert type(cached) is CachedResponse
    assert cached.timeout == 5
    assert unpickled == []


@pytest.mark.parametrize(
    "member", [Color.RED, Color.ALSO_RED, Number.ONE, Rights.READ, Rights.READ | Rights.WRITE]
)
def test_members_of_enumerations_are_themselves(member: enum.Enum, unpickled: list[str]) -> None:
    assert copies(member) == (member, member)
    one, other = copies([{"member": member}])
    assert one[0]["member"] is other[0]["member"] is member
    assert unpickled == []


@pytest.mark.parametrize(
    ("value", "attributes"),
    [
        (WithState(a=1), {"state": "got"}),
        (WithSetState(a=1), {"state": "set"}),
        (WithReduce(a=1), {"state": "reduced"}),
        (WithArguments(a=1), {"a": 1}),
        (WithNew(a=1), {"new": True, "a": 1}),
        (WithGetattr(a=1), {"a": 1}),
        (WithSlot(a=1), {"a": 1}),
        (WithDict(), {"of": "the class"}),
        (Registered(a=1), {"a": 1, "restored": True}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_class_that_has_a_say_has_it(
    value: Any, attributes: dict[str, Any], unpickled: list[str]
) -> None:
    copy, _ = copies(value)
    assert type(copy) is type(value)
    assert vars(copy) == attributes
    assert type(value).__name__ in unpickled or "restore" in unpickled


def test_an_object_that_is_there_twice_is_one_object_in_the_copy() -> None:
    row = Row(1)
    copy, _ = copies([row, row])
    assert copy[0] is copy[1]
    assert copy[0] is not row
    itself = Plain(a=1)
    itself.__dict__["itself"] = itself
    copy, _ = copies(itself)
    assert copy.itself is copy
    shared: list[int] = []
    copy, _ = copies([Plain(a=shared), Plain(a=shared)])
    assert copy[0].a is copy[1].a
    held = Plain(a=1)
    copy, _ = copies([held, vars(held)])
    assert copy == [held, {"a": 1}]


def test_attributes_beside_the_dict_are_kept() -> None:
    value = WithSlot(a=1)
    value.slot = "filled"
    copy, _ = copies([Plain(), value])
    assert copy[1].slot == "filled"
    assert copy[1].a == 1
    numbers = OwnList([1, 2])
    numbers.name = "own"  # type: ignore[attr-defined]
    copy, _ = copies(numbers)
    assert copy == [1, 2]
    assert copy.name == "own"


def test_what_pickle_refuses_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    class Local(Plain[int]):
        pass

    class LocalEnumeration(enum.Enum):
        ONE = 1

    hidden = type("Row", (Plain,), {"__module__": __name__})
    cache = SimpleCache()
    for value in (
        Local(a=1),
        LocalEnumeration.ONE,
        hidden(a=1),
        Plain(lock=threading.Lock()),
        Plain(__reduce_ex__=None),
    ):
        cache.set("key", "old")
        assert cache.set("key", value) is False, value
        assert cache.get("key") is None


def test_a_module_that_raises_for_unknown_names_is_no_failure_of_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Module(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise ImportError(name)

    monkeypatch.setitem(sys.modules, "lazy", Module("lazy"))
    elsewhere = type("Elsewhere", (Plain,), {"__module__": "lazy"})
    nowhere = type("Nowhere", (Plain,), {"__module__": ["not hashable"]})
    for value in (elsewhere(a=1), nowhere(a=1), [elsewhere(a=1)]):
        assert SimpleCache().set("key", value) is False


@pytest.mark.parametrize("value", [Row(1), [Color.RED], Color.RED, (Color.RED,)], ids=shown)
def test_a_class_that_was_replaced_makes_a_miss(
    value: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = SimpleCache()
    cache.set("key", value)
    # As reloading a module does.
    for name in ("Row", "Color"):
        monkeypatch.setattr(sys.modules[__name__], name, type(name, (), {}))
    assert cache.get("key") is None
    assert "is not what it was" in caplog.text
    monkeypatch.undo()
    assert not cache.has("key")


def test_an_interrupt_while_an_object_is_looked_at_is_not_swallowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_self: Any, _protocol: int) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Color, "__reduce_ex__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SimpleCache().set("key", Color.RED)
