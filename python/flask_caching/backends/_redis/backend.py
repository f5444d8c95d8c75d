"""What the caches on Redis have in common, however their servers are found."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from cachelib.serializers import BaseSerializer, RedisSerializer

from ..._engine import MISSING, RedisServers
from ..._warn import warn_of_negative
from ...codecs.redis import RedisCodec
from ...errors import CacheBackendError, CacheConfigError, like_redis
from .._bytes import tagged
from .._bytes.backend import ByteBackend
from .._gevent import cooperative
from .._like_cachelib import ancestors
from .._observed.timed import Timed
from .._settings.common import RESILIENCE
from .client import RedisClientStore, both
from .near import Copied, NearOptions

if TYPE_CHECKING:
    from ..._engine import ByteStore
    from ...codecs import Codec

__all__ = ["OF_RESILIENCE", "RedisBackend"]

logger = logging.getLogger("flask_caching")

#: A callable prefix may have any number of values; stores are kept for so many of them.
_MOST_STORES = 1000

#: The options of deadlines and breaker, which redis-py has not.
OF_RESILIENCE = frozenset(setting.option for setting in RESILIENCE)


class RedisBackend(Copied, ancestors.RedisCache):
    """A cache on Redis.

    A class of it is made inside :meth:`_set_up`: it either sets ``_servers`` and ``_make_clients``
    or calls :meth:`_use_client`.
    """

    serializer = RedisSerializer()

    #: The engine's servers; None: a client object does the work.
    _servers: RedisServers | None
    #: The engine logs an outage of its own servers, so decorated functions need not.
    _logs_outages = True
    _db_system = "redis"
    #: Questions that are asked together are answered in one round trip.
    _saves_round_trips = True
    #: One command removes many keys, at one moment.
    _deletes_in_order = True
    _native_counters = True
    #: Where its servers are, for people.
    _at = ""
    #: The number of the database; None: a client object knows.
    _database: int | None = None
    #: Makes the clients for those who ask for them.
    _make_clients: Callable[[], dict[str, Any]]

    @contextmanager
    def _set_up(
        self,
        default_timeout: Any,
        key_prefix: str | Callable[[], str] | None,
        ignore_delete_many_errors: bool,
        options: dict[str, Any],
    ) -> Iterator[None]:
        """Make what does not depend on the servers, before and after they are known.

        :param options: those of the constructor, of which its own are taken.
        """
        ByteBackend.__init__(self, default_timeout, ignore_delete_many_errors)
        self.key_prefix: str | Callable[[], str] = key_prefix or ""
        self._servers = None
        #: One store for each prefix, all on the same connections.
        self._stores: dict[str, ByteStore] = {}
        self._clients: dict[str, Any] = {}
        self._make_clients = dict
        if not key_prefix:
            logger.warning(
                "%s has no key prefix: clear() will flush the whole Redis database. "
                "Set CACHE_KEY_PREFIX where it holds anything else.",
                type(self).__name__,
            )
        near = NearOptions.take(options)
        checks_connection = options.pop("check_connection", False)
        yield
        self._keep_copies(near)
        if checks_connection:
            self._check_connection()

    def _whereabouts(self) -> str:
        if getattr(self, "_servers", None) is None:
            clients = getattr(self, "_clients", {})
            client = type(clients["write"]).__name__ if "write" in clients else "redis-py"
            return f"by {client}"
        return self._at

    def _use_client(self, client: Any, options: dict[str, Any]) -> None:
        """Have a client object do the work."""
        connection = [name for name in options if name not in OF_RESILIENCE]
        if connection:
            raise CacheConfigError(
                f"CACHE_OPTIONS has {', '.join(map(repr, sorted(connection)))}, which cannot apply "
                "to the client object in CACHE_REDIS_HOST: make the client with them."
            )
        self._clients = both(client)
        self._logs_outages = self._saves_round_trips = False

    def _use_made(self, make_clients: Callable[[], dict[str, Any]]) -> None:
        """Have clients do the work that redis-py makes, or what is in its place, when they are
        needed."""
        self._make_clients = make_clients
        self._logs_outages = self._saves_round_trips = False

    def _check_connection(self) -> None:
        try:
            if self._servers is not None:
                self._servers.ping()
            else:
                self._write_client.ping()
        except Exception as error:
            kind = type(error) if isinstance(error, CacheBackendError) else like_redis(error)
            raise kind(f"could not connect to Redis server: {error}") from error

    def _list_keys(self, prefix: str, most: int) -> list[str]:
        """The keys that begin with ``prefix``, as the cache is given them; about ``most``.

        :raises CacheBackendError: a server failed.
        """
        return self._shown_keys(self._whole_servers().keys(self._encode_key(prefix), most))

    def _ask_usage(self) -> tuple[int | None, int | None, int | None]:
        """Keys of the database, bytes of the servers' memory, evictions; None: not told.

        :raises CacheBackendError: a server failed.
        """
        return cast("tuple[int | None, int | None, int | None]", self._whole_servers().usage())

    def _whole_servers(self) -> Any:
        """What can be asked about all entries."""
        if self._servers is None:
            return self._store
        return self._watched(cooperative(cast("ByteStore", self._servers)))

    def unlink(self, *keys: str) -> int | None:
        """Remove ``keys``; the server frees their memory in the background, as :meth:`delete` does.

        :return: how many there were; None where no key is given.
        """
        if not keys:
            return None
        return sum(self._store.delete_many([self._encode_key(key) for key in keys]))

    def delete_many(self, *keys: str) -> list[Any]:
        """Remove ``keys``, with one command for each server.

        :return: the keys, which are gone, those that were not there included; none where that
            failed and errors are ignored.
        :raises CacheBackendError: it failed and errors are not ignored.
        """
        if not keys:
            return []
        try:
            self._store.delete_many([self._encode_key(key) for key in keys])
        except CacheBackendError as error:
            if not self.ignore_delete_many_errors:
                raise
            logger.warning("%d cache keys were not deleted: %s", len(keys), error)
            return []
        return list(keys)

    def get_many(self, *keys: str) -> list[Any]:
        """The values of ``keys`` in their order, None for each that is missing."""
        if self._servers is not None:
            return super().get_many(*keys)
        # The answer of a client object is passed on whole, as Flask-Caching does: applications
        # that put in one of their own may answer more than they were asked.
        names = [(key, self._encode_key(key)) for key in keys]
        answer = self._store.get_many([wire_key for _, wire_key in names])
        names += [("", b"")] * (len(answer) - len(names))
        values = [
            MISSING if stored is None else self._unpack(key, wire_key, stored, foreign_text=True)
            for (key, wire_key), stored in zip(names, answer, strict=True)
        ]
        values = tagged.current(self, values)
        return [None if value is MISSING else value for value in values]

    # What stands in for the get_many above stands beside it: see `_access`.
    _read_many = ByteBackend._read_many

    def _timeout(self, timeout: Any) -> Any:
        timeout = super()._timeout(timeout)
        if timeout == -1:
            # Which is for ever for cachelib's RedisCache.
            warn_of_negative("timeout", timeout)
        return timeout

    def _get_prefix(self) -> str:
        prefix = self.key_prefix
        return prefix if isinstance(prefix, str) else prefix()

    def _encode_key(self, key: str) -> bytes:
        return f"{self._get_prefix()}{key}".encode("utf-8", "surrogatepass")

    def _make_codec(self, serializer: BaseSerializer) -> Codec:
        return RedisCodec(serializer)

    @property
    def _store(self) -> ByteStore:  # type: ignore[override]
        """The store of the present prefix."""
        prefix = self._get_prefix()
        store = self._stores.get(prefix)
        if store is None:
            if len(self._stores) >= _MOST_STORES:
                # The oldest that owes no deletion: what one owes is delivered when it is used.
                free = next((old for old, it in self._stores.items() if not _owes(it)), None)
                self._stores = {old: it for old, it in self._stores.items() if old != free}
            # One that another thread has just opened is the one to keep.
            store = self._stores.setdefault(prefix, self._open_store(prefix))
        if "gevent" in sys.modules and self._servers is not None:
            store = cooperative(store)
        # A client object of the application's is watched by its own instruments.
        return store if self._servers is None else cast("ByteStore", self._watched(store))

    def _open_store(self, prefix: str) -> ByteStore:
        encoded = prefix.encode("utf-8", "surrogatepass")
        if self._servers is not None:
            copies = self._copies.get(prefix) if self._near is not None else None
            return self._servers.store(encoded, self.default_timeout, copies)
        store = RedisClientStore(lambda: self._read_client, lambda: self._write_client, encoded)
        return cast("ByteStore", Timed(store))

    @property
    def _write_client(self) -> Any:
        """A redis-py client on the server that takes writes, made on first use.

        It is there for applications that want more of Redis than a cache. One that is assigned does
        the cache's own work from then on.

        :raises RuntimeError: redis-py is not installed.
        """
        return self._client_for("write")

    @_write_client.setter
    def _write_client(self, client: Any) -> None:
        self._replace_client("write", client)

    @property
    def _read_client(self) -> Any:
        """A redis-py client to read with; otherwise as :attr:`_write_client`."""
        return self._client_for("read")

    @_read_client.setter
    def _read_client(self, client: Any) -> None:
        self._replace_client("read", client)

    def _client_for(self, role: str) -> Any:
        if role not in self._clients:
            # One that was assigned stays.
            self._clients = {**self._make_clients(), **self._clients}
        return self._clients[role]

    def _replace_client(self, role: str, client: Any) -> None:
        self._clients[role] = client
        self._logs_outages = self._saves_round_trips = False
        self._servers = None
        self._stores = {}


def _owes(store: ByteStore) -> bool:
    # A client object's remembers nothing.
    return hasattr(store, "owes") and store.owes()
