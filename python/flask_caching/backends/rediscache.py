"""Caches on Redis: one server, a master and replicas behind sentinels, or a cluster."""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from cachelib.serializers import RedisSerializer
from flask import Flask

from .._engine import MISSING, RedisServers
from ..errors import CacheBackendError, CacheConfigError, like_redis
from . import _cachelib
from ._addresses import RedisUrl, parse_address, parse_host, parse_port
from ._byte_backend import ByteBackend
from ._gevent import cooperative
from ._redis_client import ClientStore, cluster_client, sentinel_clients, single_client
from ._redis_options import Options, parse_url

if TYPE_CHECKING:
    from .._engine import ByteStore

__all__ = ["RedisCache", "RedisClusterCache", "RedisSentinelCache"]

logger = logging.getLogger("flask_caching")

#: A callable prefix may have any number of values; stores are kept for so many of them.
_MOST_STORES = 1000

#: The general settings that reach a backend as options of these names.
_RESILIENCE = {
    "CACHE_CONNECT_TIMEOUT": "connect_timeout",
    "CACHE_OPERATION_TIMEOUT": "operation_timeout",
    "CACHE_BREAKER_FAILURES": "breaker_failures",
    "CACHE_BREAKER_RESET": "breaker_reset",
}


class RedisCache(ByteBackend, _cachelib.RedisCache):
    """A cache on one Redis server.

    :param host: the server's host name or address, or a client object compatible with redis-py,
        which is then used as it is.
    :param port: the server's port.
    :param password: the password, if it wants one.
    :param db: the number of the database.
    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param key_prefix: what every key starts with: a string, or a callable that returns one, asked
        at each use. Without one :meth:`clear` flushes the whole database.
    :param ignore_delete_many_errors: :meth:`delete_many` logs a failure instead of raising it.
    :param kwargs: options of connections by redis-py's names; ``redis_url``, in the place of host,
        port, password and db; ``check_connection=True`` to fail at once where the server is not
        there; ``connect_timeout``, ``operation_timeout``, ``breaker_failures``, ``breaker_reset``
        as the ``CACHE_*`` settings of these names.
    :raises CacheConfigError: an option is unknown or cannot be what it is.
    """

    serializer = RedisSerializer()

    #: The engine's servers; None: a client object does the work.
    _servers: RedisServers | None
    #: The engine logs an outage of its own servers, so decorated functions need not.
    _logs_outages = True
    #: Questions that are asked together are answered in one round trip.
    _saves_round_trips = True
    #: Makes the clients for those who ask for them.
    _make_clients: Callable[[], dict[str, Any]]

    def __init__(
        self,
        host: Any = "localhost",
        port: int = 6379,
        password: str | None = None,
        db: int = 0,
        default_timeout: int = 300,
        key_prefix: str | Callable[[], str] | None = None,
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        if host is None:
            raise CacheConfigError("RedisCache host parameter may not be None")
        self._prepare(default_timeout, key_prefix, ignore_delete_many_errors)
        check_connection = kwargs.pop("check_connection", False)
        url = kwargs.pop("redis_url", None)
        if not isinstance(host, str) and not url:
            self._use_client(host, kwargs)
        else:
            place: dict[str, Any] = {"host": host, "port": port}
            if url:
                parsed = parse_url(url)
                place, options = parsed.place, _with_url({"db": db, **kwargs}, parsed)
            else:
                options = Options({**kwargs, "db": db, "password": password})
            self._open_single(place, options)
        if check_connection:
            self._check_connection()

    def _open_single(self, place: dict[str, Any], options: Options) -> None:
        path = options.unix_socket_path
        address: Any = path
        if not path:
            host = parse_host(place["host"], "CACHE_REDIS_HOST")
            address = (host, parse_port(place["port"]))
        self._servers = RedisServers.single(address, options.connection)

        where = {} if path else place
        self._make_clients = lambda: _both(single_client(**where, **options.for_redis_py))

    def _prepare(
        self,
        default_timeout: Any,
        key_prefix: str | Callable[[], str] | None,
        ignore_delete_many_errors: bool,
    ) -> None:
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

    def _use_client(self, client: Any, options: dict[str, Any]) -> None:
        """Have a client object do the work."""
        connection = [name for name in options if name not in _RESILIENCE.values()]
        if connection:
            raise CacheConfigError(
                f"CACHE_OPTIONS has {', '.join(map(repr, sorted(connection)))}, which cannot apply "
                "to the client object in CACHE_REDIS_HOST: make the client with them."
            )
        self._clients = _both(client)
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

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> RedisCache:
        """Make the backend from ``CACHE_REDIS_HOST/PORT/PASSWORD/DB/URL`` and ``CACHE_KEY_PREFIX``.

        A URL takes the place of host, port and password, and of the database where it names one.
        """
        kwargs.update(
            host=config.get("CACHE_REDIS_HOST", "localhost"),
            port=config.get("CACHE_REDIS_PORT", 6379),
            db=config.get("CACHE_REDIS_DB", 0),
        )
        if config.get("CACHE_REDIS_PASSWORD"):
            kwargs["password"] = config["CACHE_REDIS_PASSWORD"]
        if config.get("CACHE_KEY_PREFIX"):
            kwargs["key_prefix"] = config["CACHE_KEY_PREFIX"]
        if config.get("CACHE_REDIS_URL"):
            kwargs["redis_url"] = config["CACHE_REDIS_URL"]
        _add_resilience(config, kwargs)
        return cls(*args, **kwargs)

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
        return [None if value is MISSING else value for value in values]

    # What stands in for the get_many above stands beside it: see `_access`.
    _read_many = ByteBackend._read_many

    def _get_prefix(self) -> str:
        prefix = self.key_prefix
        return prefix if isinstance(prefix, str) else prefix()

    def _encode_key(self, key: str) -> bytes:
        return f"{self._get_prefix()}{key}".encode("utf-8", "surrogatepass")

    def _load(self, key: str, data: bytes, flags: int) -> Any:
        serializer = self.serializer
        # Nearly every value, without the questions that the others need.
        if serializer.__class__ is RedisSerializer and not serializer.__dict__:
            if data.startswith(b"!\x80"):
                return pickle.loads(data[1:])
            if data.isdigit():
                return int(data)
        return super()._load(key, data, flags)

    @property
    def _store(self) -> ByteStore:  # type: ignore[override]
        """The store of the present prefix."""
        prefix = self._get_prefix()
        store = self._stores.get(prefix)
        if store is None:
            if len(self._stores) >= _MOST_STORES:
                self._stores = dict(list(self._stores.items())[1:])
            # One that another thread has just opened is the one to keep.
            store = self._stores.setdefault(prefix, self._open_store(prefix))
        if "gevent" in sys.modules and self._servers is not None:
            return cooperative(store)
        return store

    def _open_store(self, prefix: str) -> ByteStore:
        encoded = prefix.encode("utf-8", "surrogatepass")
        if self._servers is not None:
            return self._servers.store(encoded, self.default_timeout)
        store = ClientStore(lambda: self._read_client, lambda: self._write_client, encoded)
        return cast("ByteStore", store)

    @property
    def _write_client(self) -> Any:
        """A redis-py client on the server that takes writes, made on first use.

        It is there for applications that want more of Redis than a cache. One that is assigned does
        the cache's own work from then on.

        :raises RuntimeError: redis-py is not installed.
        """
        return self._client("write")

    @_write_client.setter
    def _write_client(self, client: Any) -> None:
        self._replace_client("write", client)

    @property
    def _read_client(self) -> Any:
        """A redis-py client to read with; otherwise as :attr:`_write_client`."""
        return self._client("read")

    @_read_client.setter
    def _read_client(self, client: Any) -> None:
        self._replace_client("read", client)

    def _client(self, role: str) -> Any:
        if role not in self._clients:
            # One that was assigned stays.
            self._clients = {**self._make_clients(), **self._clients}
        return self._clients[role]

    def _replace_client(self, role: str, client: Any) -> None:
        self._clients[role] = client
        self._logs_outages = self._saves_round_trips = False
        self._servers = None
        self._stores = {}


class RedisSentinelCache(RedisCache):
    """A cache on a Redis master and its replicas, found by sentinels.

    Writes go to the master. Reads go to the replicas, but for the versions of memoized functions
    and what this process wrote or deleted within a minute: those go to the master.

    :param sentinels: the addresses of the sentinels: pairs of host and port.
    :param master: the name of the master.
    :param password: the password of master and replicas.
    :param db: the number of the database.
    :param default_timeout: as in :class:`RedisCache`, and so are ``key_prefix`` and
        ``ignore_delete_many_errors``.
    :param kwargs: options of connections by redis-py's names; ``sentinel_`` and such a name: for
        connections to sentinels; ``min_other_sentinels``: how many others a sentinel must know.
    :raises CacheConfigError: an option is unknown or cannot be what it is.
    """

    def __init__(
        self,
        sentinels: Any = None,
        master: str = "mymaster",
        password: str | None = None,
        db: int = 0,
        default_timeout: int = 300,
        key_prefix: str | Callable[[], str] | None = "",
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        self._prepare(default_timeout, key_prefix, ignore_delete_many_errors)
        check_connection = kwargs.pop("check_connection", False)
        others = kwargs.pop("min_other_sentinels", 0)
        if isinstance(others, bool) or not isinstance(others, int) or others < 0:
            raise CacheConfigError(
                f"CACHE_OPTIONS: 'min_other_sentinels' must be a whole number, not {others!r}"
            )
        addresses = [
            parse_address(item, "CACHE_REDIS_SENTINELS")
            for item in sentinels or [("127.0.0.1", 26379)]
        ]
        own = {name: kwargs[name] for name in _RESILIENCE.values() if name in kwargs}
        of_sentinels = {
            name.removeprefix("sentinel_"): value
            for name, value in kwargs.items()
            if name.startswith("sentinel_")
        }
        of_servers = {
            name: value for name, value in kwargs.items() if not name.startswith("sentinel_")
        }
        server_options = Options({**of_servers, "db": db, "password": password})
        sentinel_options = Options({**own, **of_sentinels}, "the sentinel_ part of CACHE_OPTIONS")
        self._servers = RedisServers.sentinel(
            addresses, master, others, sentinel_options.connection, server_options.connection
        )

        def clients() -> dict[str, Any]:
            writer, reader = sentinel_clients(
                addresses,
                master,
                others,
                sentinel_options.for_redis_py,
                server_options.for_redis_py,
            )
            return {"write": writer, "read": reader}

        self._make_clients = clients
        if check_connection:
            self._check_connection()

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> RedisSentinelCache:
        """Make the backend from ``CACHE_REDIS_SENTINELS``, ``CACHE_REDIS_SENTINEL_MASTER``,
        ``CACHE_REDIS_SENTINEL_PASSWORD``, ``CACHE_REDIS_PASSWORD``, ``CACHE_REDIS_DB`` and
        ``CACHE_KEY_PREFIX``."""
        kwargs.update(
            sentinels=config.get("CACHE_REDIS_SENTINELS", [("127.0.0.1", 26379)]),
            master=config.get("CACHE_REDIS_SENTINEL_MASTER", "mymaster"),
            password=config.get("CACHE_REDIS_PASSWORD"),
            sentinel_password=config.get("CACHE_REDIS_SENTINEL_PASSWORD"),
            key_prefix=config.get("CACHE_KEY_PREFIX"),
            db=config.get("CACHE_REDIS_DB", 0),
        )
        _add_resilience(config, kwargs)
        return cls(*args, **kwargs)


class RedisClusterCache(RedisCache):
    """A cache on a Redis cluster.

    :param cluster: the addresses of nodes, separated by commas: ``host1:port1,host2:port2``. Any
        one that answers is enough. Or a client object, as in :class:`RedisCache`.
    :param password: the password, if the nodes want one.
    :param default_timeout: as in :class:`RedisCache`, and so are ``key_prefix`` and
        ``ignore_delete_many_errors``.
    :param kwargs: options of connections by redis-py's names; ``redis_url`` in the place of
        ``cluster`` and ``password``.
    :raises CacheConfigError: no node is named, or an option cannot be what it is.
    """

    def __init__(
        self,
        cluster: Any = "",
        password: str = "",
        default_timeout: int = 300,
        key_prefix: str | Callable[[], str] | None = "",
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        self._prepare(default_timeout, key_prefix, ignore_delete_many_errors)
        check_connection = kwargs.pop("check_connection", False)
        url = kwargs.pop("redis_url", None)
        if cluster and not isinstance(cluster, str):
            self._use_client(cluster, kwargs)
        else:
            self._open_cluster(cluster, password, url, kwargs)
        if check_connection:
            self._check_connection()

    def _open_cluster(
        self, cluster: str, password: str, url: str | None, kwargs: dict[str, Any]
    ) -> None:
        for name, usual in _CLUSTER_OPTIONS.items():
            if kwargs.pop(name, usual) != usual:
                raise CacheConfigError(
                    f"CACHE_OPTIONS: {name!r} can only be {usual!r} here. To have it otherwise, "
                    "put a redis-py client into the argument 'cluster'."
                )
        if url:
            parsed = parse_url(url)
            options = _with_url(kwargs, parsed)
            addresses = [(parsed.place["host"], parsed.place["port"])]
        else:
            options = Options({**kwargs, "password": password})
            nodes = (cluster or "").split(",")
            addresses = [parse_address(node, "CACHE_REDIS_CLUSTER") for node in nodes]
        if options.connection["db"] != 0 or options.unix_socket_path:
            raise CacheConfigError(
                "A Redis cluster has only the database 0, and is not reached by unix sockets."
            )
        self._servers = RedisServers.cluster(addresses, options.connection)

        of_client = {name: v for name, v in options.for_redis_py.items() if name != "db"}
        self._make_clients = lambda: _both(cluster_client(addresses, of_client))

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> RedisClusterCache:
        """Make the backend from ``CACHE_REDIS_CLUSTER`` or ``CACHE_REDIS_URL``,
        ``CACHE_REDIS_PASSWORD`` and ``CACHE_KEY_PREFIX``."""
        kwargs.update(
            cluster=config.get("CACHE_REDIS_CLUSTER", ""),
            password=config.get("CACHE_REDIS_PASSWORD", ""),
            default_timeout=config.get("CACHE_DEFAULT_TIMEOUT", 300),
            key_prefix=config.get("CACHE_KEY_PREFIX", ""),
            redis_url=config.get("CACHE_REDIS_URL", ""),
        )
        _add_resilience(config, kwargs)
        return cls(*args, **kwargs)


#: Options of redis-py's cluster client, and what they are here.
_CLUSTER_OPTIONS: dict[str, Any] = {
    "skip_full_coverage_check": True,
    "require_full_coverage": False,
    "read_from_replicas": False,
}


def _add_resilience(config: dict[str, Any], kwargs: dict[str, Any]) -> None:
    for setting, name in _RESILIENCE.items():
        if config.get(setting) is not None:
            kwargs.setdefault(name, config[setting])


def _both(client: Any) -> dict[str, Any]:
    return {"write": client, "read": client}


def _with_url(options: dict[str, Any], url: RedisUrl) -> Options:
    return Options(options, "CACHE_OPTIONS or CACHE_REDIS_URL", url)
