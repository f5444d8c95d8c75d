"""Random programs for ``world.run``, and the smallest part of one that still shows a difference.

What is known to differ, and listed in the documentation, is not generated; each such restriction
says so where it is made.
"""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Step = tuple[Any, ...]
Program = list[Step]

ARGUMENTS: list[Any] = [
    0, 1, 2, 3, 7, -1, 1.0, 2.5, -0.0, True, False, None, "", "1", "a", "é", "a'b", 'a"b', b"a",
    (), (1,), (1, "a"), [], [1, 2], {}, {"a": 1}, {"b": 2, "a": [1]}, ((1, 2), [3]),
    10**30, float("inf"), 1 + 2j, range(3), datetime.date(2024, 2, 29), frozenset({1}), "x" * 300,
    datetime.datetime(2024, 2, 29, 12), datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC),
    Decimal("1.50"), [Decimal(1), datetime.timedelta(hours=1)], {5}, uuid.UUID(int=9),
]  # fmt: skip
#: Equal, or printed alike, and yet different arguments.
CONFUSABLE: list[Any] = [
    0, False, 0.0, -0.0, 1, True, 1.0, 1 + 0j, "1", b"1", (1,), [1], (True,), (1.0,), ("1",),
    "(1,)", None, "None", "", (), [], {}, frozenset(), {1: 1}, {True: 1}, {1: True}, "0", "False",
    10**18, float(10**18),
]  # fmt: skip
FRAGMENTS = ["'header'", "'header', x", "'header', x, y", "'row', y", "x", "'footer-' ~ x"]
KEYS = ["k1", "k2", "clé", "with space", "view//page/a", "plain", "k" * 300]
#: The keys that 2.5.1 can use on Memcached.
MEMCACHED_KEYS = ["k1", "k2", "view//page/a", "plain"]
# All odd, and time goes on by even steps: at the very end of a lifetime, 2.5.1's backends disagree.
TIMEOUTS: list[Any] = [None, 0, 1, 5, 31, datetime.timedelta(seconds=11)]
ONE_ARGUMENT = [
    "failing",
    "outer",
    "nothing",
    "unsure",
    "renamed",
    "bypassed",
    "forced",
    "stale",
    "odd",
    "generated",
]
METHODS = [f"{index}.{name}" for index in range(3) for name in ("area", "units", "kinds")][:-1]
MEMOIZED = ["add", "star", "keyword", "ignoring", *ONE_ARGUMENT, *METHODS]
QUERIES = ["", "?a=1", "?a=2", "?a=1&b=2", "?b=2&a=1", "?a=%C3%A9", "?a=&b", "?a=%20+x&c=d%26e"]
VIEWS = ["page", "prefixed", "computed", "keyed", "missing", "brief", "streamed", "filtered"]


class Generator:
    """Makes one program.

    :param seed: the same seed makes the same program.
    :param backend: the ``CACHE_TYPE`` it is for.
    """

    def __init__(self, seed: int, backend: str) -> None:
        self._random = random.Random(seed)
        self._backend = backend
        # Servers keep time themselves: nothing may expire while a program runs.
        self._on_server = backend in ("RedisCache", "MemcachedCache")
        self._timeouts = [None, 0, 31] if self._on_server else TIMEOUTS
        self._keys = MEMCACHED_KEYS if backend == "MemcachedCache" else KEYS
        # Few of each, so that calls meet entries that others left.
        self._arguments = self._random.sample(self._random.choice([ARGUMENTS, CONFUSABLE]), 5)
        self._functions = self._random.sample(MEMOIZED, 5)
        self._kinds: list[tuple[int, Callable[[], Step]]] = [
            (30, self._call),
            (6, self._cached_function),
            (14, self._get),
            (14, self._explicit),
            (3, lambda: ("delete", self._random.choice(self._keys))),
            (0 if self._on_server else 8, self._advance),
            (6, self._forget),
            (3, self._forget_unbound),
            (2, self._forget_attribute),
            (2, self._forget_version),
            (4, self._forget_view),
            (5, lambda: ("mutate",)),
            (3, lambda: ("call_shared", self._random.choice(["add", "star", "renamed"]))),
            (2, lambda: ("change_shared", self._random.randrange(2))),
            (5, self._fragment),
            (2, self._switch),
            (2, self._uncached),
            (5, self._key),
            (1, self._timeout),
            (3, self._call_unbound),
        ]

    def program(self, length: int) -> Program:
        """A program of ``length`` steps."""
        weights = [weight for weight, _ in self._kinds]
        makers = [maker for _, maker in self._kinds]
        return [maker() for maker in self._random.choices(makers, weights, k=length)]

    def _argument(self) -> Any:
        return self._random.choice(self._arguments)

    def _arguments_of(self, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments in one of the ways in which the function can be called."""
        a, b, c = self._argument(), self._argument(), self._argument()
        shapes: list[tuple[tuple[Any, ...], dict[str, Any]]]
        if name == "add":
            shapes = [((a,), {}), ((a, b), {}), ((a,), {"b": b}), ((), {"b": b, "a": a})]
        elif name == "ignoring":
            shapes = [((a,), {}), ((a, b), {}), ((a,), {"verbose": b})]
        elif name == "star":
            shapes = [((), {}), ((a,), {}), ((a, b, c), {}), ((a,), {"z": b, "y": c})]
        elif name == "keyword":
            shapes = [((a,), {}), ((a,), {"k": b}), ((a,), {"j": b, "k": c}), ((), {"a": a})]
        elif name.endswith(".area"):
            shapes = [((a,), {}), ((a, b), {}), ((a,), {"exact": b}), ((), {"unit": a})]
        elif name.endswith(".kinds"):
            shapes = [((), {}), ((a,), {}), ((), {"unit": a})]
        else:
            shapes = [((a,), {})]
        return self._random.choice(shapes)

    def _call(self) -> Step:
        name = self._random.choice(self._functions)
        return ("call", name, *self._arguments_of(name))

    def _call_unbound(self) -> Step:
        return ("call_unbound", self._random.randrange(3), (self._argument(),))

    def _cached_function(self) -> Step:
        name = self._random.choice(["plain", "plain_none", "made"])
        if name == "made":
            return ("call", name, (self._random.randrange(2),), {})
        return ("call", name, (), {})

    def _get(self) -> Step:
        view = self._random.choice([*VIEWS, "query"])
        if view == "query":
            return ("get", "/query" + self._random.choice(QUERIES))
        return ("get", f"/{view}/{self._random.choice('aAb')}")

    def _explicit(self) -> Step:
        key, other = self._random.choice(self._keys), self._random.choice(self._keys)
        value, timeout = self._argument(), self._random.choice(self._timeouts)
        if self._backend == "MemcachedCache" and isinstance(value, bool):
            # pylibmc reads bools as ints.
            value = int(value)
        steps: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
            ("get", (key,), {}),
            ("set", (key, value), {}),
            ("set", (key, value), {"timeout": timeout}),
            ("set", (key, value, timeout), {}),
            ("has", (key,), {}),
            ("get_many", (key, other, "absent"), {}),
            ("get_dict", (key, other), {}),
            ("set_many", ({key: value, other: value},), {"timeout": timeout}),
            ("delete_many", (key, other), {}),
            ("unlink", (key, other), {}),
            ("clear", (), {}),
        ]
        if self._backend != "FileSystemCache":
            steps.append(("add", (key, value), {"timeout": timeout}))
        else:
            # FileSystemCache.add of 2.5.1 refuses a key whose entry has expired.
            steps.append(("add", ("only-added", value), {"timeout": 0}))
        return ("explicit", *self._random.choice(steps))

    def _advance(self) -> Step:
        # Whole seconds: 2.5.1 cuts fractions off, so that its lifetimes are up to a second short.
        return ("advance", float(self._random.choice([2, 4, 6, 14, 16, 22, 42])))

    def _forget(self) -> Step:
        name = self._random.choice(self._functions)
        # A classmethod takes its class among the arguments; `None` here names the whole function.
        if name.endswith(".kinds") or self._random.random() < 0.4:
            return ("forget", name, (), {})
        args, kwargs = self._arguments_of(name)
        return ("forget", name, args, kwargs) if args else ("forget", name, (), {})

    def _forget_unbound(self) -> Step:
        index = self._random.choice([None, 0, 1, 2])
        return ("forget_unbound", index, () if index is None else (self._argument(),))

    def _forget_attribute(self) -> Step:
        # `instance.method.delete_memoized()` forgets every instance in 2.5.1, as listed.
        plain = [name for name in self._functions if "." not in name]
        return ("forget_attribute", self._random.choice(plain or ["add"]))

    def _forget_version(self) -> Step:
        return ("forget_version", self._random.choice(self._functions))

    def _forget_view(self) -> Step:
        view = self._random.choice(["page", "prefixed", "query", "missing"])
        if view == "query":
            pairs = self._random.choice([{"a": "1"}, {"b": "2", "a": "1"}, [("a", "é")]])
            return ("forget_view", view, {"path": "/query", "query_args": pairs})
        return ("forget_view", view, {"path": f"/{view}/{self._random.choice('aAb')}"})

    def _fragment(self) -> Step:
        timeout = self._random.choice(["5", "31", "0", "'del'"])
        values = self._random.choice("ab"), self._random.choice("ab")
        return ("fragment", timeout, self._random.choice(FRAGMENTS), *values)

    def _switch(self) -> Step:
        return ("switch", self._random.randrange(2))

    def _uncached(self) -> Step:
        return ("uncached", "add", (self._argument(),))

    def _key(self) -> Step:
        name = self._random.choice([name for name in self._functions if "." not in name] or ["add"])
        return ("key", name, *self._arguments_of(name))

    def _timeout(self) -> Step:
        # Only upwards: 2.5.1 lets a later, shorter timeout end the life of earlier results.
        longer = self._random.choice([51, datetime.timedelta(seconds=51)])
        return ("timeout", self._random.choice(["add", "plain", "renamed"]), longer)


def smallest(program: Program, differs: Callable[[Program], bool]) -> Program:
    """Drop steps from a program as long as what is left still differs."""
    size = max(1, len(program) // 2)
    while size:
        start = 0
        while start < len(program):
            shorter = program[:start] + program[start + size :]
            if differs(shorter):
                program = shorter
            else:
                start += size
        size //= 2
    return program
