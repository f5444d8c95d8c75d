"""Caches on memcached."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ..codecs.pylibmc import ByClient, PickledByClient, Pylibmc, Sealed
from ..codecs.serialized import Serialized
from ..errors import CacheConfigError
from ._bytes.backend import ByteBackend
from ._gevent import cooperative
from ._like_cachelib import ancestors
from ._memcached.client import MemcachedClient
from ._memcached.client_store import MemcachedClientStore
from ._memcached.options import MemcachedOptions, read_servers
from ._observed.timed import Timed
from ._settings.addresses import secret_text
from ._settings.common import KEY_PREFIX, MEMCACHED_SERVERS, RESILIENCE
from .spec import OPTIONAL_TEXT, SECRET, BackendSpec, Setting

if TYPE_CHECKING:
    from cachelib.serializers import BaseSerializer

    from .._engine import ByteStore, MemcachedByteStore
    from ..codecs import Codec

__all__ = ["MemcachedCache", "SASLMemcachedCache", "SpreadSASLMemcachedCache"]

_KEEPS_NONE = "Memcached tells nobody what changes"
_SETTINGS = (MEMCACHED_SERVERS, KEY_PREFIX, *RESILIENCE)
_LOGIN = (
    Setting(
        "CACHE_MEMCACHED_USERNAME", OPTIONAL_TEXT, "the user's name", option="username", secret=True
    ),
    Setting(
        "CACHE_MEMCACHED_PASSWORD", SECRET, "the user's password", option="password", secret=True
    ),
)


class MemcachedCache(ByteBackend, ancestors.MemcachedCache):
    """A cache on memcached servers.

    :param servers: addresses (``host:port``, ``host:port:weight``, ``[ipv6]:port``,
        ``/path/of/socket``), or an object like ``memcache.Client``, which is then used as it is.
        None: ``127.0.0.1:11211``.
    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param key_prefix: what every key starts with: a string, or a callable that returns one, asked
        at each use. :meth:`clear` empties the servers all the same.
    :param pool_size: the most connections that a process makes to a server.
    :param pool_blocking: where all are in use: wait for one, or fail at once.
    :param ignore_delete_many_errors: :meth:`delete_many` logs a failure instead of raising it.
    :param behaviors: pylibmc's behaviors, by name.
    :param connect_timeout: the most seconds that connecting may take.
    :param operation_timeout: the most seconds that one operation may take.
    :param breaker_failures: after so many failures in a row a server is left alone; 0: never.
    :param breaker_reset: after so many seconds it is tried again.
    :raises CacheConfigError: an option cannot be what it is.
    """

    backend_spec = BackendSpec(
        "MemcachedCache",
        "on Memcached servers",
        settings=_SETTINGS,
        deprecated=("memcached", "gaememcached"),
        keeps_copies=_KEEPS_NONE,
    )

    #: cachelib's option to ask a server when the cache is made; ours is asked when it is used.
    check_connection = False
    #: Memcached counts whole seconds: of a lease of one, nothing may be left.
    _shortest_lease = 2.0
    #: Whether a client object does the work, and serializes by itself.
    _is_client = False
    #: The engine logs an outage of its own servers, so decorated functions need not.
    _logs_outages = True
    _db_system = "memcached"
    _native_counters = True
    #: Yields a client, for ``with``.
    _client_context: Callable[[], AbstractContextManager[Any]]

    def __init__(
        self,
        servers: Any = None,
        default_timeout: int = 300,
        key_prefix: str | Callable[[], str] | None = None,
        pool_size: int = 1,
        pool_blocking: bool = True,
        ignore_delete_many_errors: bool = False,
        behaviors: Mapping[str, Any] | None = None,
        connect_timeout: float = 1.0,
        operation_timeout: float = 1.0,
        breaker_failures: int = 3,
        breaker_reset: float = 1.0,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        self.key_prefix = key_prefix
        if servers is not None and not isinstance(servers, (list, tuple)):
            self._use_client(servers, behaviors)
            return
        options = MemcachedOptions(
            servers=read_servers(["127.0.0.1:11211"] if servers is None else servers),
            pool_size=pool_size,
            pool_blocking=bool(pool_blocking),
            connect_timeout=connect_timeout,
            operation_timeout=operation_timeout,
            breaker_failures=breaker_failures,
            breaker_reset=breaker_reset,
        )
        self._use_options(options.with_behaviors(behaviors or {}))
        self._client: Any = MemcachedClient(
            lambda: self._plain_store, lambda: self._options, self._use_options
        )
        self._client_context = partial(self._client.reserve, block=bool(pool_blocking))

    @property
    def _store(self) -> ByteStore:  # type: ignore[override]
        return cast("ByteStore", self._watched(cooperative(self._bytes)))

    @property
    def _deletes_in_order(self) -> bool:  # type: ignore[override]
        """Of one server: what is asked on one connection is done in that order."""
        return not self._is_client and len(self._options.servers) == 1

    @property
    def _plain_store(self) -> MemcachedByteStore:
        """The store of the entries as they are on the servers."""
        return cast("MemcachedByteStore", self._store)

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add ``delta`` to the number under ``key``, atomically; the entry keeps its lifetime.

        A missing key counts from 0 and gets the default timeout. The server counts by itself where
        the number is an integer.

        :return: the sum; None where it could not be stored.
        :raises TypeError: the value under ``key`` is not a number.
        """
        if type(delta) is int and self._native_counters and self._signer is None:
            try:
                return super().inc(key, delta)
            except (TypeError, OverflowError):
                # No integer of 64 bits: a float, a larger one, or no number at all.
                pass
        return self._inc_by_exchange(key, self._encode_key(key), delta)

    def _whereabouts(self) -> str:
        if self._is_client:
            return f"by {type(self._client).__name__}"
        options = getattr(self, "_options", None)
        return ",".join(options.servers) if options else ""

    def _list_keys(self, prefix: str, most: int) -> list[str]:
        """The keys that begin with ``prefix``, as the cache is given them; about ``most``.

        :raises CacheBackendError: a server failed.
        :raises NotImplementedError: the servers list none.
        """
        found = None
        if not self._is_client:
            found = self._plain_store.keys(self._encode_key(prefix), most)
        if found is None:
            raise NotImplementedError("its servers list no keys")
        return self._shown_keys(found)

    def _ask_usage(self) -> tuple[int | None, int | None, int | None]:
        """Items, bytes and evictions of the servers, whoever stored them; None: not told.

        :raises CacheBackendError: a server failed.
        """
        if self._is_client:
            return None, None, None
        servers = [dict(told) for _, told in self._plain_store.statistics("")]
        return _sum(servers, b"curr_items"), _sum(servers, b"bytes"), _sum(servers, b"evictions")

    def _use_client(self, client: Any, behaviors: Mapping[str, Any] | None) -> None:
        """Have a client object do the work."""
        if behaviors:
            raise CacheConfigError(
                "behaviors cannot apply to a client object: set them on the client."
            )
        self._client = client
        self._client_context = partial(nullcontext, client)
        self._bytes = cast("ByteStore", Timed(MemcachedClientStore(client)))
        self._is_client = True
        self._logs_outages = False
        # Clients of some libraries may not be used by two threads at once.
        self._is_remote = False

    def _use_options(self, options: MemcachedOptions) -> None:
        """Open the store that ``options`` describe, in the place of the one in use."""
        self._bytes = options.open()
        self._options = options
        self._made_codec = None

    def import_preferred_memcache_lib(
        self,
        servers: Any = None,
        pool_size: int = 1,
        pool_blocking: bool = True,
        memcache_client_lib: str | None = None,
    ) -> tuple[Any, Callable[[], AbstractContextManager[Any]]]:
        """The client in pylibmc's manner that there is, whatever is asked for, and what yields it.

        cachelib makes its client by this; here no library is imported.
        """
        return self._client, self._client_context

    def _normalize_key(self, key: str) -> str:
        """``key`` with its prefix."""
        prefix = self.key_prefix
        if callable(prefix):
            prefix = prefix()
        return prefix + key if prefix and isinstance(key, str) else key

    def _encode_key(self, key: str) -> bytes:
        return super()._encode_key(self._normalize_key(key))

    def _make_codec(self, serializer: BaseSerializer) -> Codec:
        if not self._is_client:
            return Pylibmc(serializer, self._options.pickle_protocol)
        # Only bytes can be signed or compressed.
        if self._signer is not None:
            return Serialized(serializer)
        return ByClient(serializer) if self._compressor is None else PickledByClient(serializer)


class SASLMemcachedCache(MemcachedCache):
    """A cache on memcached servers that ask for a user name and a password (SASL PLAIN).

    :param username: the user's name; without one the servers are spoken to in the same protocol,
        but not logged in to.
    :param password: the user's password. A wrong one is a :class:`CacheBackendError` on first use.

    The other parameters are those of :class:`MemcachedCache`.
    """

    backend_spec = BackendSpec(
        "SASLMemcachedCache",
        "on Memcached servers that ask for a user name and a password",
        settings=(*_SETTINGS, *_LOGIN),
        deprecated=("saslmemcached",),
        keeps_copies=_KEEPS_NONE,
    )

    def __init__(
        self,
        servers: Any = None,
        default_timeout: int = 300,
        key_prefix: str | Callable[[], str] | None = None,
        username: str | None = None,
        password: str | bytes | None = None,
        pool_size: int = 1,
        pool_blocking: bool = True,
        ignore_delete_many_errors: bool = False,
        behaviors: Mapping[str, Any] | None = None,
        connect_timeout: float = 1.0,
        operation_timeout: float = 1.0,
        breaker_failures: int = 3,
        breaker_reset: float = 1.0,
    ) -> None:
        self._credentials = (
            secret_text(username, "CACHE_MEMCACHED_USERNAME"),
            secret_text(password, "CACHE_MEMCACHED_PASSWORD"),
        )
        super().__init__(**_arguments_of(MemcachedCache, locals()))

    def _use_options(self, options: MemcachedOptions) -> None:
        username, password = self._credentials
        super()._use_options(replace(options, binary=True, username=username, password=password))


class SpreadSASLMemcachedCache(SASLMemcachedCache):
    """A :class:`SASLMemcachedCache` whose larger values are spread over several items.

    :param chunksize: the most bytes of a value in one item.
    :param maxchunk: the most items that a value may take; a larger one is refused.

    The other parameters are those of :class:`SASLMemcachedCache`.
    """

    backend_spec = BackendSpec(
        "SpreadSASLMemcachedCache",
        "on such servers, with large values spread over several entries",
        settings=(*_SETTINGS, *_LOGIN),
        deprecated=("spreadsaslmemcached", "spreadsaslmemcachedcache"),
        keeps_copies=_KEEPS_NONE,
    )

    #: Entries are sealed: only this side can count in them.
    _native_counters = False

    def __init__(
        self,
        servers: Any = None,
        default_timeout: int = 300,
        key_prefix: str | Callable[[], str] | None = None,
        username: str | None = None,
        password: str | bytes | None = None,
        pool_size: int = 1,
        pool_blocking: bool = True,
        ignore_delete_many_errors: bool = False,
        behaviors: Mapping[str, Any] | None = None,
        connect_timeout: float = 1.0,
        operation_timeout: float = 1.0,
        breaker_failures: int = 3,
        breaker_reset: float = 1.0,
        chunksize: int = 1048448,
        maxchunk: int = 32,
    ) -> None:
        for name, value in (("chunksize", chunksize), ("maxchunk", maxchunk)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise CacheConfigError(f"{name} must be a whole number, 1 or more: {value!r}")
        self.chunksize = chunksize
        self.maxchunk = maxchunk
        super().__init__(**_arguments_of(SASLMemcachedCache, locals()))

    def get(self, key: str, chunk: bool = True) -> Any:
        """The value under ``key``, or None.

        :param chunk: False: what was stored with ``chunk=False``.
        """
        return super().get(key) if chunk else self._whole.get(key)

    def set(  # type: ignore[override]
        self,
        key: str,
        value: Any,
        timeout: float | timedelta | None = None,
        chunk: bool = True,
        tags: Iterable[str] | None = None,
    ) -> bool:
        """Store ``value`` under ``key``.

        :param timeout: seconds to live; None: the default; 0: for ever; negative: expired at once.
        :param tags: names; ``Cache.delete_tags`` with one of them makes the entry a miss.
        :param chunk: False: in one item, not spread; ``get`` has to be told so too.
        :return: whether it was stored.
        """
        if chunk:
            return super().set(key, value, timeout, tags)
        return self._whole.set(key, value, timeout, tags)

    @property
    def _whole(self) -> _Whole:
        return _Whole(self)

    @property
    def _plain_store(self) -> MemcachedByteStore:
        return cast("MemcachedByteStore", self._watched(cooperative(self._unspread)))

    def _use_client(self, client: Any, behaviors: Mapping[str, Any] | None) -> None:
        raise CacheConfigError(
            "SpreadSASLMemcachedCache spreads values by itself and needs the addresses of servers, "
            "not a client object"
        )

    def _use_options(self, options: MemcachedOptions) -> None:
        super()._use_options(options)
        self._unspread = self._bytes
        self._bytes = replace(self._options, spread=(self.chunksize, self.maxchunk)).open()

    def _make_codec(self, serializer: BaseSerializer) -> Codec:
        return Sealed(serializer)


class _Whole(ByteBackend):
    """The entries of a spread cache that are not spread."""

    def __init__(self, spread: SpreadSASLMemcachedCache) -> None:
        super().__init__(spread.default_timeout)
        self._spread = spread
        self.serializer = spread.serializer
        self._store = spread._plain_store
        self._signer = spread._signer
        self._compressor = spread._compressor

    def _encode_key(self, key: str) -> bytes:
        return self._spread._encode_key(key)

    def _make_codec(self, serializer: BaseSerializer) -> Codec:
        return Pylibmc(serializer, self._spread._options.pickle_protocol)


def _arguments_of(kind: type[MemcachedCache], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the constructor of ``kind`` has among the arguments of a subclass's."""
    names = inspect.signature(kind.__init__).parameters
    return {name: given[name] for name in names if name != "self"}


def _sum(servers: list[dict[bytes, bytes]], name: bytes) -> int | None:
    """What servers tell under a name, together; None where one does not."""
    told = [server.get(name, b"") for server in servers]
    return sum(map(int, told)) if all(map(bytes.isdigit, told)) else None
