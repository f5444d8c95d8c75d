"""Every key that a fixed list of calls reads or writes, under either package.

Run by ``worker.py`` in both interpreters; ``keys`` is what the test calls.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import ipaddress
import pathlib
import re
import uuid
from collections import OrderedDict
from typing import Any, NamedTuple

from flask import Flask
from flask_caching import Cache, make_template_fragment_key
from flask_caching.backends.base import BaseCache
from markupsafe import Markup


class Recording(BaseCache):
    """Stores in a dictionary, and notes the keys."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Any] = {}
        self.asked: list[str] = []

    def get(self, key: str) -> Any:
        self.asked.append(key)
        return self.stored.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.asked.append(key)
        self.stored[key] = value
        return True

    def delete(self, key: str) -> bool:
        self.asked.append(key)
        return self.stored.pop(key, None) is not None

    def has(self, key: str) -> bool:
        return key in self.stored


class Point:
    """Methods of every kind; the identity is a representation."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Point({self.name!r})"

    def method(self, a: Any, b: Any = 1) -> str:
        return "method"

    @classmethod
    def of_class(cls, a: Any) -> str:
        return "class"

    @staticmethod
    def static(a: Any) -> str:
        return "static"


class Identified(Point):
    """The identity is a caching id."""

    def __repr__(self) -> str:
        return f"<Identified {self.name}>"

    def __caching_id__(self) -> str:
        return f"Identified {self.name}"


class Slashed(Point):
    """A representation with characters that no version key has."""

    def __repr__(self) -> str:
        return f"<a/b:c Slashed {self.name}>"


class Colour(enum.Enum):
    """Prints its class and its value."""

    RED = 1


class Pair(NamedTuple):
    """Prints its fields."""

    first: int
    second: str


@dataclasses.dataclass
class Record:
    """Prints its fields."""

    number: int
    lines: list[str]


def plain(a: Any, b: Any = 2) -> str:
    return "plain"


def variadic(a: Any, *args: Any, k: Any = 3, **kwargs: Any) -> str:
    return "variadic"


def keyword_only(*, k: Any, j: Any = 1) -> str:
    return "keyword_only"


def positional_only(a: Any, b: Any = 2, /) -> str:
    return "positional_only"


def without() -> str:
    return "without"


def annotated(a: int, b: str = "x") -> str:
    return "annotated"


def mutable_default(a: Any, b: Any = [1, {}]) -> str:  # noqa: B006
    return "mutable_default"


def generator(a: Any) -> Any:
    yield "generator"


def closure() -> Any:
    def inner(a: Any) -> str:
        return "inner"

    return inner


def decorated_before(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


VALUES: list[Any] = [
    0, 1, -1, 10**40, True, False, None, 1.0, 0.1, -0.0, 1e100, float("inf"), float("nan"), 1j,
    "", "a", "é", "日本", "\x00", "\n", "'", '"', "'\"", "\\", "\x7f", "\U0001f600",
    b"", b"a'b", bytearray(b"x"), (), (1,), ((),), [1, [2, (3,)]], {}, {"a": 1, 2: [3]}, {1},
    set(), frozenset({"x"}), range(3), slice(1, 2), ..., int,
    datetime.date(2024, 2, 29), datetime.timedelta(hours=1), decimal.Decimal("1.10"),
    OrderedDict(a=1), uuid.UUID(int=7), pathlib.PurePosixPath("/a"),
    fractions.Fraction(1, 3), Colour.RED, Pair(1, "x"), Record(1, ["y"]), re.compile("a+"),
    ipaddress.ip_address("::1"), datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
    Markup("<b>"), Point("v"), Identified("v"), "x" * 5000,
]  # fmt: skip

PATHS = [
    "/page/a", "/page/%C3%A9", "/page/a%20b", "/page/%25s", "/page/a%0D%0Ab", "/page/A?x=1",
    "/query", "/query?", "/query?a=1", "/query?b=2&a=1", "/query?a=1&b=2", "/query?a=%C3%A9",
    "/query?a", "/query?a=&b", "/query?a=%20+x", "/query?a=b,c&d=e%26f%3D1", "/query?a='\"",
    "/query/x?page=2", "/prefixed/a", "/fixed/a", "/computed/a", "/computed-query/a?q=1",
    "/keyed/a", "/source/a", "/source-query/a?q=1", "/literal/a",
]  # fmt: skip


def _calls(cache: Cache) -> list[tuple[Any, tuple[Any, ...], dict[str, Any]]]:
    """What to call with what."""
    memoize = cache.memoize
    for name in ("method", "of_class", "static"):
        # Decorated anew for every cache, below the classmethod or staticmethod.
        raw = vars(Point)[name]
        function = getattr(raw, "__func__", raw)
        function = getattr(function, "uncached", function)
        wrap = type(raw) if isinstance(raw, (classmethod, staticmethod)) else (lambda f: f)
        setattr(Point, name, wrap(memoize()(function)))
    first = memoize()(plain)
    calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
        (first, (value,), {}) for value in VALUES
    ]
    calls += [(first, (1, value), {}) for value in VALUES]
    calls += [(first, (), {"b": 5, "a": 1}), (first, (1,), {"b": 5}), (first, (), {"a": 1})]
    rest = memoize()(variadic)
    calls += [
        (rest, (1,), {}), (rest, (1, 2, 3), {}), (rest, (1,), {"k": 4}), (rest, (), {"a": 1}),
        (rest, (1,), {"z": 1, "y": [2], "k": 3}), (rest, (1, 2), {"é": "é"}),
    ]  # fmt: skip
    for ignored in (["z"], ["k"], ["args", "kwargs"], ["a", "y"]):
        some = memoize(args_to_ignore=ignored)(variadic)
        calls += [(some, (1, 2), {"k": 4, "z": 1}), (some, (1,), {"y": 1, "z": 2})]
    only = memoize()(keyword_only)
    calls += [(only, (), {"k": 1}), (only, (), {"j": 1, "k": "é"})]
    positional = memoize()(positional_only)
    calls += [(positional, (1, 2), {}), (positional, ("x", "y"), {})]
    for function in (without, closure(), decorated_before(annotated), mutable_default, generator):
        arguments = () if function is without else ("x",)
        calls.append((memoize()(function), arguments, {}))
    for instance in (Point("a"), Point(""), Identified("a"), Slashed("u"), Point("n" * 90)):
        calls += [
            (instance.method, (1,), {}), (instance.method, (1, 2), {}),
            (instance.method, (), {"b": 1, "a": 2}), (Point.method, (instance, 1), {}),
            (instance.static, (1,), {}),
        ]  # fmt: skip
    calls += [(Point.of_class, (1,), {}), (Point("a").of_class, (1,), {})]
    options: list[dict[str, Any]] = [
        {"make_name": lambda name: name.upper() + " é"},
        {"args_to_ignore": ["b"]},
        {"args_to_ignore": ["a", "b", "absent"]},
        {"source_check": True},
        {"source_check": False},
        {"timeout": 5, "cache_none": True},
        *(
            {"hash_method": getattr(hashlib, name)}
            for name in ("md5", "sha1", "sha224", "sha384", "sha512", "blake2b", "sha3_256")
        ),
    ]
    for option in options:
        calls += [(memoize(**option)(plain), ("é",), {"b": 1})]
    return calls


def _views(cache: Cache, app: Flask) -> None:
    """A cached view for each way to make a key; answers nothing that varies."""
    options: dict[str, dict[str, Any]] = {
        "page": {},
        "query": {"query_string": True},
        "prefixed": {"key_prefix": "a/%s/b", "query_string": True},
        "fixed": {"key_prefix": "fixed"},
        "computed": {"key_prefix": lambda: "computed %s"},
        "computed-query": {"key_prefix": lambda: "computed", "query_string": True},
        "keyed": {"make_cache_key": lambda **kwargs: f"keyed {sorted(kwargs.items())}"},
        "source": {"source_check": True},
        "source-query": {"source_check": True, "query_string": True},
        "literal": {"key_prefix": "100%/fixed"},
    }
    for name, option in options.items():

        def view(**kwargs: Any) -> str:
            return "view"

        view.__name__ = name.replace("-", "_")
        rule = f"/{name}", f"/{name}/<x>"
        for path in rule:
            app.add_url_rule(path, path, cache.cached(**option)(view))


def _without_versions(backend: Recording) -> list[str]:
    """The keys in the order in which they first came, versions replaced by what they are of."""
    names = {str(value): name for name, value in backend.stored.items() if name.endswith("_memver")}
    pattern = re.compile("|".join(re.escape(version) for version in names) or "$^")
    keys = [pattern.sub(lambda found: f" <{names[found[0]]}>", key) for key in backend.asked]
    return list(dict.fromkeys(keys))


def keys(config: dict[str, Any]) -> list[list[str]]:
    """The keys of each call and each request of this module's tables.

    :param config: further configuration, by name; ``CACHE_HASH_METHOD`` is a name of hashlib.
    """
    if "CACHE_HASH_METHOD" in config:
        config = {**config, "CACHE_HASH_METHOD": getattr(hashlib, config["CACHE_HASH_METHOD"])}
    app = Flask(__name__)
    config = {**config, "CACHE_TYPE": f"{__name__}.Recording"}
    cache = Cache(app, config=config)
    backend = cache.cache
    _views(cache, app)
    answer = []
    with app.app_context():
        for function, args, kwargs in _calls(cache):
            backend.asked.clear()
            function(*args, **kwargs)
            answer.append(_without_versions(backend))
    for path in PATHS:
        backend.asked.clear()
        assert app.test_client().get(path).status_code == 200, path
        answer.append(_without_versions(backend))
    answer.append(
        [
            make_template_fragment_key("name"),
            make_template_fragment_key("name", vary_on=["a", "b"]),
            make_template_fragment_key("ñ é", vary_on=["ü"]),
        ]
    )
    return answer
