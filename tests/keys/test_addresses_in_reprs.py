"""A repr that shows an address, in whatever spelling, gives no result of an object that is gone."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from flask_caching import Cache
from flask_caching.keys.addresses import shows_address


class Held:
    pass


SPELLINGS: dict[str, Callable[[int], str]] = {
    "decimal": str,
    "hex": hex,
    "bare hex": lambda address: f"{address:x}",
    "upper hex": lambda address: f"{address:X}",
    "padded": lambda address: f"{address:030d}",
    "padded hex": lambda address: f"{address:016x}",
    "grouped": lambda address: f"{address:,}",
    "grouped hex": lambda address: f"{address:_x}",
    "octal": oct,
    "binary": bin,
    "glued": lambda address: f"User{address}of",
    "short": lambda address: f"#{address:x}"[-8:],
    "short decimal": lambda address: str(address)[-7:],
    "in units of 16": lambda address: str(address // 16),
}


def kind_of(shows: Callable[[Any], str]) -> type:
    class User:
        def __init__(self, number: int | None = None) -> None:
            self.number = number
            self.held = Held()

        def __repr__(self) -> str:
            # As database models do: the key of those that have one.
            return f"<User {shows(self) if self.number is None else self.number}>"

    return User


WHOSE: dict[str, Callable[[Any], int]] = {
    "its own": id,
    "its hash": hash,
    "that of an attribute": lambda user: id(user.held),
    "that of an attribute in a list": lambda user: id(user.__dict__.setdefault("all", [Held()])[0]),
}


@pytest.mark.parametrize(
    ("spelling", "whose"),
    [
        (spelling, whose)
        for spelling in SPELLINGS
        for whose in WHOSE
        if not (spelling.startswith("short") and whose.startswith("that"))
        and (spelling, whose)
        not in {
            ("in units of 16", "its hash"),  # It is in these units already.
            ("binary", "that of an attribute"),
            ("binary", "that of an attribute in a list"),
        }
    ],
)
def test_objects_that_are_gone_leave_no_results(
    cache: Cache, in_app: None, spelling: str, whose: str
) -> None:
    user_of: Any = kind_of(lambda user: SPELLINGS[spelling](WHOSE[whose](user)))
    runs: list[int] = []

    @cache.memoize()
    def function(user: Any) -> int:
        runs.append(1)
        return len(runs)

    # One that shows no address, so that the class is known for its reprs.
    for _ in range(3):
        assert function(user_of(5)) == 1
    for number in range(2, 60):
        user = user_of()
        assert function(user) == function(user) == number
        del user
    gc.collect()
    assert function(user_of(5)) == 1


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_methods_of_objects_that_are_gone_leave_no_results(
    cache: Cache, in_app: None, spelling: str
) -> None:
    runs: list[int] = []

    class User:
        def __repr__(self) -> str:
            return f"<User {SPELLINGS[spelling](id(self))}>"

        @cache.memoize()
        def method(self) -> int:
            runs.append(1)
            return len(runs)

    for number in range(1, 60):
        user = User()
        assert user.method() == user.method() == number
        del user


@pytest.mark.parametrize(
    "text",
    [
        "<User 5>",
        "<User 12345678>",
        "<Phone +4917112345678>",
        "<Tweet 1234567890123456789>",
        "<Order 2026-11-24 000123>",
        "<Session 0123456789abcdef0123456789abcdef>",
        "<File ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad>",
        "<Color #facade>",
        "<Register 0xff>",
        "<User größe>",
        "\ud800 123456789",
    ],
)
def test_an_applications_own_numbers_are_no_addresses(
    cache: Cache, in_app: None, text: str
) -> None:
    class Value:
        def __init__(self) -> None:
            self.held = [Held(), {"a": Held()}]

        def __repr__(self) -> str:
            return text

    runs: list[int] = []

    @cache.memoize()
    def function(value: Any) -> int:
        runs.append(1)
        return len(runs)

    assert not shows_address(text, Value())
    assert {function(Value()) for _ in range(10)} == {1}


def test_an_address_of_what_is_held_is_looked_for_in_a_bounded_way() -> None:
    class Root:
        def __init__(self) -> None:
            self.all: list[Any] = [[] for _ in range(1000)]
            for each in self.all:
                each.extend(self.all)

    assert not shows_address("<Root 140000000000000>", Root())
