"""Copies nearby of what is on Redis servers, which tell of every change."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ..._engine import METHODS, MISSING
from ...errors import CacheConfigError
from .._bytes.backend import ByteBackend
from ..spec import COUNT, FLAG, SECONDS, Kind, Setting, as_number, seconds_of

if TYPE_CHECKING:
    from ..._engine import BegunCopies, NearCopies, RedisServers

__all__ = ["NEAR", "Copied", "NearOptions"]

#: The settings of copies nearby, by the options that they fill.
NEAR = (
    Setting(
        "CACHE_NEAR",
        FLAG,
        "`True`: what was read is kept in the process until the server says that it changed",
        default=False,
        option="near",
        goes="unless_given",
    ),
    Setting(
        "CACHE_NEAR_THRESHOLD",
        COUNT,
        "how many entries are kept, at most; `0`: 500",
        default=10_000,
        option="near_threshold",
        goes="unless_given",
    ),
    Setting(
        "CACHE_NEAR_MAX_BYTES",
        COUNT,
        "how many bytes they take on the server, at most, and one a quarter of it; `0`: no limit",
        default=64 << 20,
        option="near_max_bytes",
        goes="unless_given",
    ),
    Setting(
        "CACHE_NEAR_TIMEOUT",
        Kind(
            "a positive number of seconds, a datetime.timedelta, or None",
            test=lambda v: v is None or 0 < seconds_of(v) < float("inf"),
            read=as_number,
        ),
        "how long a copy lives, at most: seconds, or a `timedelta`; `None`: as long as its entry",
        option="near_timeout",
        goes="unless_given",
    ),
    Setting(
        "CACHE_NEAR_SILENCE",
        SECONDS,
        "after how many seconds without a word of the server no copy is read any more",
        default=2,
        option="near_silence",
        goes="unless_given",
    ),
)

#: What decides which copies there are, and whether they may be read past the methods.
_DECIDING = frozenset({"key_prefix", "_servers", *METHODS})
#: What decides which values the bytes of an entry make.
_READING = frozenset({"serializer", "signing_keys"})
#: Of how many prefixes a cache keeps copies.
_MOST_PREFIXES = 8
_MOST = sys.maxsize // 2


@dataclass(frozen=True, slots=True)
class NearOptions:
    """What copies are kept.

    :param threshold: how many, at most.
    :param max_bytes: how many bytes they take, at most; 0: no limit.
    :param timeout: how many seconds one lives, at most; None: as long as its entry.
    :param silence: after how many seconds without a word of the server none is read.
    """

    threshold: int
    max_bytes: int
    timeout: float | None
    silence: float

    @classmethod
    def take(cls, options: dict[str, Any]) -> Self | None:
        """Those in a backend's options, which are taken out of them; None: no copies are kept.

        :raises CacheConfigError: one is of the wrong kind.
        """
        values = {}
        for setting in NEAR:
            given = options.pop(setting.option, None)
            value = setting.default if given is None else given
            values[setting.option] = setting.read(value, f"CACHE_OPTIONS: {setting.option!r}")
        if not values["near"]:
            return None
        timeout = values["near_timeout"]
        return cls(
            min(values["near_threshold"], _MOST),
            min(values["near_max_bytes"], _MOST),
            None if timeout is None else seconds_of(timeout),
            float(values["near_silence"]),
        )


class Copied(ByteBackend):
    """The part of a cache on Redis that keeps copies nearby, where it is told to.

    What was read is kept in this process while the server says nothing of it; what depends on the
    latest state asks the server, with :meth:`_ask_many`.
    """

    #: The copies, where the engine may read them past the methods.
    _quick: NearCopies | None = None
    _near: NearOptions | None = None
    #: Those of each prefix so far.
    _copies: dict[str, NearCopies]
    _servers: RedisServers | None
    key_prefix: str | Callable[[], str]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if self._near is not None:
            if name in _DECIDING:
                self._choose_copies()
            elif name in _READING and self._quick is not None:
                self._quick.forget()

    def _keep_copies(self, options: NearOptions | None) -> None:
        """Keep copies from now on; None: none are kept.

        :raises CacheConfigError: they could not be kept right.
        """
        if options is None:
            return
        if self._servers is None:
            raise CacheConfigError(
                f"CACHE_NEAR needs connections that are the cache's own, and a client object or "
                f"redis-py does the work of this {type(self).__name__}: give it addresses, and no "
                "options that are about redis-py itself"
            )
        if not isinstance(self.key_prefix, str):
            raise CacheConfigError(
                "CACHE_NEAR needs a CACHE_KEY_PREFIX that is a string: a callable may return "
                "another one each time, and the server is told once whose changes to tell of"
            )
        self._copies = {}
        self._near = options
        self._choose_copies()

    def _choose_copies(self) -> None:
        self._quick = None
        is_usual = vars(self).keys().isdisjoint(METHODS) and not _alters(type(self))
        if is_usual and self._servers is not None and isinstance(self.key_prefix, str):
            self._quick = self._copies_of(self.key_prefix)

    def _copies_of(self, prefix: str) -> NearCopies | None:
        copies = self._copies.get(prefix)
        near, servers = self._near, self._servers
        if copies is None and near and servers and len(self._copies) < _MOST_PREFIXES:
            copies = self._copies[prefix] = servers.copies(
                prefix.encode("utf-8", "surrogatepass"),
                near.threshold,
                near.max_bytes,
                near.timeout,
                near.silence,
                _reader(self),
            )
        return copies

    def _find(self, key: str, foreign_text: bool = False) -> Any:
        copies = self._quick
        if copies is None:
            return super()._find(key, foreign_text)
        value = copies.find(key)
        if value is not MISSING:
            return value
        begun = copies.begin(1)
        if begun is None:
            return super()._find(key, foreign_text)
        return self._copy_many(copies, begun, [key], foreign_text)[0]

    def _find_many(self, *keys: str, foreign_text: bool = False) -> list[Any]:
        copies = self._quick
        if copies is None:
            return super()._find_many(*keys, foreign_text=foreign_text)
        values = [copies.find(key) for key in keys]
        absent = [at for at, value in enumerate(values) if value is MISSING]
        if absent:
            wanted = [keys[at] for at in absent]
            begun = copies.begin(len(wanted))
            if begun is None:
                found = self._ask_many(*wanted, foreign_text=foreign_text)
            else:
                found = self._copy_many(copies, begun, wanted, foreign_text)
            for at, value in zip(absent, found, strict=True):
                values[at] = value
        return values

    def _copy_many(
        self, copies: NearCopies, begun: BegunCopies, keys: list[str], foreign_text: bool
    ) -> list[Any]:
        """The values of ``keys``, which are kept as far as they may be."""
        wire_keys = [self._encode_key(key) for key in keys]
        values = []
        for place, stored in enumerate(self._store.copies(wire_keys)):
            if stored is None:
                values.append(MISSING)
                continue
            key, (data, flags, left) = keys[place], stored
            keep = _keeper(copies, begun, place, key, (len(data), left))
            wire_key = wire_keys[place]
            values.append(self._unpack(key, wire_key, (data, flags), foreign_text, keep))
        return values

    def has(self, key: str) -> bool:
        """Whether ``key`` has a value."""
        if self._quick is not None and self._quick.find(key) is not MISSING:
            return True
        return super().has(key)


def _keeper(
    copies: NearCopies, begun: BegunCopies, place: int, key: str, weight: tuple[int, float]
) -> Callable[[Any, bytes], object]:
    return lambda value, data: copies.keep(begun, place, key, value, data, weight)


def _reader(backend: Copied) -> Callable[[bytes], Any]:
    """Makes a value of its bytes, as ``backend`` does; it keeps nothing alive."""
    reference = weakref.ref(backend)

    def read(data: bytes) -> Any:
        present = reference()
        return None if present is None else present._load("", data, 0)

    return read


def _alters(kind: type[Copied]) -> bool:
    """Whether a subclass has other keys or bytes."""
    methods = ("_encode_key", "_get_prefix", "_load", "_unpack", "_read", "_find", "_find_many")
    return any(not getattr(kind, name).__module__.startswith("flask_caching.") for name in methods)
