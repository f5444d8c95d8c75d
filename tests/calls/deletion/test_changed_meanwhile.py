"""Arguments and values that other threads change while they are looked at."""

from __future__ import annotations

import collections
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache


class Zone(tzinfo):
    """A time zone that lets other threads run whenever it is asked for, as Python code may."""

    def __init__(self, change: Callable[[], None]) -> None:
        self.change = change

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def __repr__(self) -> str:
        self.change()
        return "Zone()"


class Unstable:
    """Changes what it is in whenever it is looked at."""

    def __init__(self, change: Callable[[], None]) -> None:
        self.change = change

    def __repr__(self) -> str:
        self.change()
        return "Unstable()"

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        self.change()
        return self is other

    def __getstate__(self) -> Any:
        self.change()
        return {}

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.change()
        return Unstable, (None,)


CONTAINERS: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], Any]]] = {
    "list": (list, lambda held, item: held.append(item)),
    "dict": (dict, lambda held, item: held.__setitem__(len(held), item)),
    "dict of keys": (dict, lambda held, item: held.__setitem__(item, len(held))),
    "set": (set, lambda held, item: held.add(item)),
    "deque": (collections.deque, lambda held, item: held.append(item)),
    "ordered": (collections.OrderedDict, lambda held, item: held.__setitem__(len(held), item)),
}


@pytest.fixture
def memoized(app: Flask, cache: Cache, in_app: None) -> Callable[..., Any]:
    @cache.memoize()
    def function(*args: Any, **kwargs: Any) -> str:
        return "result"

    return function  # type: ignore[no-any-return]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("change", ["grows", "shrinks"])
@pytest.mark.parametrize(
    "hidden", [Unstable, lambda change: datetime(2026, 1, 1, tzinfo=Zone(change))]
)
def test_an_argument_that_changes_when_its_parts_are_looked_at(
    memoized: Callable[..., Any],
    cache: Cache,
    container: str,
    change: str,
    hidden: Callable[..., Any],
) -> None:
    make, put = CONTAINERS[container]
    held = make()
    busy = False

    def change_it() -> None:
        nonlocal busy
        if not busy:
            busy = True
            if change == "grows":
                put(held, str(len(held)))
            else:
                held.clear()
            busy = False

    for _ in range(20):
        busy = True
        for item in (1, 2.5, "a", hidden(change_it), "b"):
            put(held, item)
        busy = False
        assert memoized(held) == "result"
        assert memoized(held, {"a": held}) == "result"
        assert memoized(name=held) == "result"
        try:
            cache.set("key", held)
            cache.get("key")
        except RuntimeError:
            # As pickle says.
            pass
        busy = True
        held.clear()
        busy = False


@pytest.fixture
def fast_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("container", CONTAINERS)
def test_an_argument_that_threads_change_all_the_time(
    app: Flask, cache: Cache, memoized: Callable[..., Any], fast_switches: None, container: str
) -> None:
    make, put = CONTAINERS[container]
    held = make()
    over = threading.Event()
    failures: list[BaseException] = []

    def change() -> None:
        number = 0
        while not over.is_set():
            number += 1
            put(held, (number % 50, "a") if "keys" in container else number % 50)
            if len(held) > 100:
                held.clear()

    def call() -> None:
        try:
            with app.app_context():
                for number in range(300):
                    assert memoized(held) == "result"
                    assert memoized([held, {1}], name={"a": held}) == "result"
                    cache.set(f"key{number % 5}", [held, Unstable(list)])
                    cache.get(f"key{number % 5}")
        except RuntimeError as error:
            if "during iteration" not in str(error):
                failures.append(error)
        except BaseException as error:
            failures.append(error)

    changing = [threading.Thread(target=change) for _ in range(2)]
    calling = [threading.Thread(target=call) for _ in range(3)]
    for thread in changing + calling:
        thread.start()
    for thread in calling:
        thread.join()
    over.set()
    for thread in changing:
        thread.join()
    assert failures == []


def test_the_attributes_of_an_object_may_change_while_it_is_stored(
    app: Flask, cache: Cache, fast_switches: None
) -> None:
    held = Record()
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.is_set():
            number = (number + 1) % 200
            if number == 0:
                held.__dict__.clear()
            held.__dict__[f"attribute{number}"] = [number]

    changing = threading.Thread(target=change)
    changing.start()
    try:
        with app.app_context():
            for _ in range(2000):
                cache.set("key", held)
                assert type(cache.get("key")) is Record
    finally:
        over.set()
        changing.join()


class Record:
    pass


def test_an_argument_that_never_stays_the_same_is_not_cached(
    memoized: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    held: collections.deque[Any] = collections.deque()
    held.extend([Unstable(functools.partial(held.append, 1)) for _ in range(3)])
    assert memoized(held) == memoized(held) == "result"
