"""A class that is an argument, and the objects of that class, are two different things."""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable
from typing import Any

import pytest
from flask_caching import Cache


class Plain:
    def __init__(self, role: str) -> None:
        self.role = role


class Printed(Plain):
    def __repr__(self) -> str:
        return f"Printed({self.role})"


class Slotted:
    __slots__ = ("role",)

    def __init__(self, role: str) -> None:
        self.role = role


class SlottedAndPrinted(Slotted):
    __slots__ = ()

    def __repr__(self) -> str:
        return f"SlottedAndPrinted({self.role})"


class SlottedAndNamed(Slotted):
    __slots__ = ()

    def __caching_id__(self) -> str:
        return self.role


class Named(Plain):
    def __caching_id__(self) -> str:
        return self.role


class NamedAsClass(Plain):
    @classmethod
    def __caching_id__(cls) -> str:
        return "the class"

    def __repr__(self) -> str:
        return f"NamedAsClass({self.role})"


class Meta(type):
    def __repr__(cls) -> str:
        return f"a class called {cls.__name__}"


class OfMeta(Printed, metaclass=Meta):
    pass


class Abstract(abc.ABC):
    role: str

    def __init__(self, role: str) -> None:
        self.role = role

    def __repr__(self) -> str:
        return f"Abstract({self.role})"


@pytest.fixture
def role_of(cache: Cache, in_app: None) -> Callable[[Any], Any]:
    @cache.memoize()
    def role_of(argument: Any) -> Any:
        return getattr(argument, "role", argument)

    return role_of


@pytest.mark.parametrize("kind", [Printed, Named, NamedAsClass, OfMeta, Abstract])
@pytest.mark.parametrize("class_first", [True, False])
def test_a_change_of_an_object_is_seen_after_its_class_was_an_argument(
    role_of: Callable[[Any], Any], kind: Any, class_first: bool
) -> None:
    user = kind("admin")
    arguments = [kind, user] if class_first else [user, kind]
    for _ in range(3):
        for argument in arguments:
            assert role_of(argument) == ("admin" if argument is user else kind)
    user.role = "visitor"
    for _ in range(3):
        assert role_of(user) == "visitor"
        assert role_of(kind) is kind


def test_a_change_of_an_object_is_seen_after_its_class_was_called(
    cache: Cache, in_app: None
) -> None:
    class Order(Printed):
        @cache.memoize()
        def role_of(self: Any) -> Any:
            return getattr(self, "role", "none")

    order: Any = Order("admin")
    for _ in range(3):
        assert Order.role_of(Order) == "none"
        assert order.role_of() == "admin"
    order.role = "visitor"
    assert order.role_of() == "visitor"


@pytest.mark.parametrize("kind", [Slotted, SlottedAndPrinted, SlottedAndNamed])
@pytest.mark.parametrize("class_first", [True, False])
def test_objects_that_cannot_be_referenced_weakly_are_arguments_like_others(
    role_of: Callable[[Any], Any], kind: Any, class_first: bool
) -> None:
    user = kind("admin")
    for _ in range(3):
        for argument in [kind, user] if class_first else [user, kind]:
            # Of the class it is a descriptor, which is not stored.
            assert role_of(argument) == ("admin" if argument is user else kind.role)
    user.role = "visitor"
    assert role_of(user) == "visitor"


def test_a_metaclass_its_class_and_its_objects_are_three_things(cache: Cache, in_app: None) -> None:
    calls: list[Any] = []

    @cache.memoize()
    def count(argument: Any) -> int:
        calls.append(argument)
        return len(calls)

    arguments = [Meta, OfMeta, OfMeta("admin"), type, Plain, Plain("admin"), abc.ABCMeta, Abstract]
    first = [count(argument) for argument in arguments]
    assert first == list(range(1, 9))
    assert [count(argument) for argument in arguments] == first
    assert [count(argument) for argument in reversed(arguments)] == first[::-1]


def test_the_class_of_an_enumeration_and_its_members_are_told_apart(
    role_of: Callable[[Any], Any],
) -> None:
    class Color(enum.Enum):
        RED = 1
        BLUE = 2

    for _ in range(3):
        for argument in (Color, Color.RED, Color.BLUE):
            assert role_of(argument) is argument


def test_a_class_with_an_id_is_identified_by_it_when_it_is_called(
    cache: Cache, in_app: None
) -> None:
    class Tenant:
        name = "one"

        @classmethod
        def __caching_id__(cls) -> str:
            return cls.name

        @classmethod
        @cache.memoize()
        def current(cls) -> str:
            return cls.name

    for _ in range(3):
        assert Tenant.current() == "one"
    Tenant.name = "two"
    for _ in range(3):
        assert Tenant.current() == "two"


def test_many_classes_and_their_objects(role_of: Callable[[Any], Any]) -> None:
    kinds = [type(f"Kind{number}", (Printed,), {}) for number in range(40)]
    users = [kind("admin") for kind in kinds]
    for _ in range(3):
        for kind, user in zip(kinds, users, strict=True):
            assert role_of(kind) is kind
            assert role_of(user) == "admin"
    for kind, user in zip(kinds, users, strict=True):
        user.role = "visitor"
        assert role_of(kind) is kind
        assert role_of(user) == "visitor"
