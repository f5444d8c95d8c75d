"""A cache in the shared memory of uWSGI."""

from __future__ import annotations

import hashlib
import importlib
import logging
import math
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from cachelib.serializers import UWSGISerializer

from .._engine import Patience, clock_wall, expires_at, timeout_seconds
from ..backends._bytes.backend import ByteBackend
from ..backends._bytes.stepwise import Stepwise
from ..backends._leasing import leases
from ..backends._like_cachelib import ancestors
from ..backends.spec import OPTIONAL_TEXT, BackendSpec, Setting
from ..errors import CacheBackendError

if TYPE_CHECKING:
    from .._engine import ByteStore

__all__ = ["UWSGICache"]

logger = logging.getLogger("flask_caching")

#: The longest key of a cache whose definition says nothing else, in bytes.
_KEY_SIZE = 2048

#: What a key that a cache cannot hold begins with, once it is encoded.
_ENCODED = b"~fc1~"

#: What an entry ends with that was exchanged, or is a lease: behind a pickle, where its readers do
#: not look.
_FENCED = b"\0\xfffence\x01"
#: What stands before it: the generation; and until when the entry lives, in seconds since 1970, or
#: 0. What is over uWSGI removes some seconds later, and without a master never.
_FENCE = struct.Struct("<16sd")
#: The key of the present generation. No key of an application is encoded like this.
_GENERATION = _ENCODED + b"generation"

#: How long a change waits for another one of the same entry, in seconds.
_PATIENCE = 1.0
#: And from one attempt to the next.
_PAUSE = 0.0005
#: How often in a row a lock may be free when it is looked for, which could not be had just before.
_MOST_ABSENT = 20


class UWSGICache(ByteBackend, ancestors.UWSGICache):
    """A cache in the shared memory of uWSGI, for all its workers.

    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param cache: the name of a cache that uWSGI was started with (``--cache2 name=…``), or
        ``name@host:port`` for one of another uWSGI. Empty or None: the first one.
    :param ignore_delete_many_errors: :meth:`delete_many` logs a failure instead of raising it.
    :raises CacheBackendError: this is not a worker of uWSGI, or it has no cache.
    """

    _is_remote = False

    backend_spec = BackendSpec(
        "UWSGICache",
        "in a cache of uWSGI",
        settings=(
            Setting(
                "CACHE_UWSGI_NAME",
                OPTIONAL_TEXT,
                'the name of a uWSGI cache: `"name"` in this instance, `"name@host:port"` in '
                "another",
                default="",
                option="cache",
            ),
        ),
        deprecated=("uwsgi",),
    )

    serializer = UWSGISerializer()

    #: Only writing a value again would prolong its life, and could undo a deletion.
    _extends_lifetimes = False

    def __init__(
        self,
        default_timeout: int = 300,
        cache: str | None = "",
        ignore_delete_many_errors: bool = False,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        cache = cache or ""
        try:
            uwsgi: Any = importlib.import_module("uwsgi")
        except ImportError as error:
            raise CacheBackendError(
                "UWSGICache works only in an application that uWSGI runs: the module 'uwsgi', "
                "which uWSGI provides, could not be imported"
            ) from error
        if "cache2" not in uwsgi.opt and "@" not in cache:
            raise CacheBackendError(
                "uWSGI runs without a cache: start it with --cache2 name=…,items=… "
                "(https://uwsgi-docs.readthedocs.io/en/latest/Caching.html)"
            )
        self._uwsgi = uwsgi
        self.cache = cache
        self._store = cast("ByteStore", _UwsgiStore(uwsgi, cache))
        # A number has the bytes that it has elsewhere.
        self._counting_store = _UwsgiStore(uwsgi, cache, is_fenced=False)

    def _encode_key(self, key: str) -> bytes:
        # uWSGI takes bytes, too, and so do applications that make such keys.
        return key if isinstance(key, bytes) else super()._encode_key(key)


class _UwsgiStore(Stepwise):
    """A cache of uWSGI, as a store of bytes.

    uWSGI adds a key in one step, and exchanges none. So whoever exchanges an entry takes a turn,
    as those do who delete it; and what he writes has the present generation behind it, which he has
    read before he looked whether the entry is there. A `clear` ends the generation with all else,
    and so does whoever has waited in vain for a turn: a write that comes after it, by one who was
    frozen, is no entry for anybody, even where he is killed then.

    :param uwsgi: the module.
    :param name: the cache's name.
    :param is_fenced: whether what is exchanged has a generation.
    """

    def __init__(self, uwsgi: Any, name: str, is_fenced: bool = True) -> None:
        self._uwsgi = uwsgi
        self._name = name
        self._is_fenced = is_fenced
        self._key_size = _key_size(uwsgi, name)

    def get(self, key: bytes) -> tuple[bytes, int] | None:
        return self.get_many([key])[0]

    def get_many(self, keys: list[bytes]) -> list[tuple[bytes, int] | None]:
        found = [self._uwsgi.cache_get(self._key(key), self._name) for key in keys]
        if not any(data is not None and data.endswith(_FENCED) for data in found):
            return [None if data is None else (data, 0) for data in found]
        generation, now = self._generation(), clock_wall()
        return [_standing(data, generation, now) for data in found]

    def set(self, key: bytes, data: bytes, flags: int = 0, timeout: Any = None) -> bool:
        if not leases.is_in_use():
            return self._put(key, data, timeout)
        # Or a result that comes late would be written over it.
        with self._turn(key):
            return self._put(key, data, timeout)

    def _put(self, key: bytes, data: bytes, timeout: Any) -> bool:
        seconds = _seconds(timeout)
        if seconds is None:
            self._remove(key)
            return True
        if self._uwsgi.cache_update(self._key(key), data, seconds, self._name):
            return True
        # A refused update leaves the old value.
        self._remove(key)
        self._log_refusal(key, data)
        return False

    def add(self, key: bytes, data: bytes, flags: int = 0, timeout: Any = None) -> bool:
        seconds = _seconds(timeout)
        if seconds is None:
            return not self.has(key)
        name = self._key(key)
        if self._uwsgi.cache_set(name, data, seconds, self._name):
            return True
        if self.has(key):
            return False
        # What is in the way may be of another generation.
        if self._remove(key) and self._uwsgi.cache_set(name, data, seconds, self._name):
            return True
        if not self.has(key):
            self._log_refusal(key, data)
        return False

    def add_lease(self, key: bytes, data: bytes, flags: int, timeout: Any) -> bool:
        """Add an entry that ends to the moment, whoever removes what is over."""
        generation = self._present_generation()
        return generation is not None and self.add(key, *_fenced(data, generation, timeout))

    def delete(self, key: bytes) -> bool:
        done = self._remove(key)
        # Asked afterwards: whoever has seen the entry before has made it.
        if self._generation() is None:
            return done
        turn = self._new_turn(key)
        turn.wait_for()
        done = self._remove(key) or done
        if not turn.end():
            # Somebody may be about to write who has seen the entry.
            self.end_generation()
        return done

    def _remove(self, key: bytes) -> bool:
        return bool(self._uwsgi.cache_del(self._key(key), self._name))

    @contextmanager
    def _turn(self, key: bytes) -> Iterator[_Turn]:
        """A turn of those that exchange an entry, which last for a moment."""
        turn = self._new_turn(key)
        turn.wait_for()
        try:
            yield turn
        finally:
            turn.end()

    def _new_turn(self, key: bytes) -> _Turn:
        name = _ENCODED + b"t" + hashlib.sha256(key).hexdigest()[:60].encode()
        return _Turn(self._uwsgi, name, self._name, self.end_generation)

    def extend(self, key: bytes, timeout: Any = None) -> bool:
        return self.has(key)

    def compare_exchange(
        self,
        key: bytes,
        expected: tuple[bytes, int],
        new: tuple[bytes, int] | None,
        timeout: Any = None,
    ) -> bool:
        """As of every store; a deletion waits for it, and one by another program is too quick."""
        with self._turn(key) as turn:
            generation = self._present_generation() if self._is_fenced and new else b""
            if self.get(key) != expected:
                return False
            if new is None:
                return self._remove(key)
            if not self._is_fenced:
                done = self._put(key, new[0], timeout)
                if done and turn.is_had and not turn.is_own() and self.get(key) == new:
                    # A `clear`, which takes the turn away, too, may have come before.
                    self._remove(key)
                    return False
                return done
            if not generation or not turn.is_had:
                # There is no room for what guards it.
                return False
            data, _, lifetime = _fenced(new[0], generation, timeout)
            return self._put(key, data, lifetime) and self._generation() == generation

    def clear(self) -> bool:
        return bool(self._uwsgi.cache_clear(self._name))

    def _generation(self) -> bytes | None:
        generation: bytes | None = self._uwsgi.cache_get(_GENERATION, self._name)
        return generation

    def _present_generation(self) -> bytes | None:
        """The generation, which is made where there is none; None: there is no room for it."""
        generation = self._generation()
        if generation is None:
            made = secrets.token_bytes(16)
            self._uwsgi.cache_set(_GENERATION, made, 0, self._name)
            generation = self._generation()
        return generation

    def end_generation(self) -> None:
        """Let nothing be an entry any more that was exchanged."""
        self._uwsgi.cache_del(_GENERATION, self._name)

    def _key(self, key: bytes) -> bytes:
        """``key`` as uWSGI holds it: itself, or its digest where it is empty or too long."""
        if key and len(key) <= self._key_size and not key.startswith(_ENCODED):
            return key
        return _ENCODED + hashlib.sha256(key).hexdigest().encode()

    def _log_refusal(self, key: bytes, data: bytes) -> None:
        logger.warning(
            "The value for cache key %s is not stored: uWSGI refuses its %d bytes. Its cache %r is "
            "full, has blocks that are too small for it, or is not there.",
            ascii(key.decode("utf-8", "backslashreplace")),
            len(data),
            self._name,
        )


def _fenced(data: bytes, generation: bytes, timeout: Any) -> tuple[bytes, int, float]:
    """What is stored of an entry in a generation, its flags, and for how long uWSGI keeps it."""
    until = expires_at(timeout, 0)
    # It counts whole seconds, of the first of which nothing may be left.
    seconds = 0 if timeout is None else timeout_seconds(timeout)
    return (
        data + _FENCE.pack(generation, until) + _FENCED,
        0,
        seconds + 1 if seconds > 0 else seconds,
    )


def _standing(data: bytes | None, generation: bytes | None, now: float) -> tuple[bytes, int] | None:
    """What was stored, unless it is over or of another generation."""
    if data is None or not data.endswith(_FENCED):
        return None if data is None else (data, 0)
    start = len(data) - len(_FENCED) - _FENCE.size
    if start < 0:
        return None
    own, until = _FENCE.unpack_from(data, start)
    return (data[:start], 0) if own == generation and (not until or now < until) else None


class _Turn:
    """The turn of one who exchanges an entry; an entry itself, which whoever has it knows.

    :param uwsgi: the module.
    :param key: its key, as uWSGI holds it.
    :param name: the name of the cache.
    :param on_theft: called when it was taken from somebody who does not end it.
    """

    def __init__(self, uwsgi: Any, key: bytes, name: str, on_theft: Callable[[], None]) -> None:
        self._uwsgi = uwsgi
        self._key = key
        self._name = name
        self._on_theft = on_theft
        self._token = secrets.token_bytes(8)
        self.is_had = False
        self._is_stolen = False

    def wait_for(self) -> None:
        """Wait for it, no longer than one who was killed or frozen may have it."""
        patience, absent = Patience(_PATIENCE), 0
        # Adding a key is atomic. It never ends by itself: who takes it away is to know that.
        while not self._uwsgi.cache_set(self._key, self._token, 0, self._name):
            absent = 0 if self._uwsgi.cache_exists(self._key, self._name) else absent + 1
            if absent > _MOST_ABSENT:
                # Nobody has it, time and again: there is no room for it.
                return
            if patience.next_pause() is None:
                self._uwsgi.cache_update(self._key, self._token, 0, self._name)
                self._is_stolen = True
                self._on_theft()
                break
            time.sleep(_PAUSE)
        self.is_had = True

    def end(self) -> bool:
        """Let others have it; whether nobody else can have thought that it was his."""
        is_own = self.is_own()
        if is_own:
            self._uwsgi.cache_del(self._key, self._name)
        return is_own and not self._is_stolen

    def is_own(self) -> bool:
        """Whether it has not been taken away."""
        return bool(self._uwsgi.cache_get(self._key, self._name) == self._token)


def _seconds(timeout: float | timedelta | None) -> int | None:
    """The timeout as uWSGI counts it, 0: for ever; None: it is over."""
    seconds = 0 if timeout is None else timeout_seconds(timeout)
    if seconds < 0:
        return None
    # Beyond this many, uWSGI's point in time would overflow.
    return 0 if seconds > 2**31 else math.ceil(seconds)


def _key_size(uwsgi: Any, name: str) -> int:
    """The longest key of a cache of this uWSGI, in bytes."""
    definitions = uwsgi.opt.get("cache2", [])
    if isinstance(definitions, bytes):
        definitions = [definitions]
    for definition in definitions:
        options: dict[str, str] = {}
        for word in bytes(definition).decode().split(","):
            name_of_option, _, value = word.partition("=")
            options[name_of_option] = value
        if name in ("", options.get("name")):
            return min(int(options.get("keysize", _KEY_SIZE)), _KEY_SIZE)
    return _KEY_SIZE
