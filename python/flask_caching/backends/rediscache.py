"""Caches on Redis: one server, a master and replicas behind sentinels, or a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._engine import RedisServers
from ..errors import CacheConfigError
from ._redis import by_redis_py
from ._redis.backend import OF_RESILIENCE, RedisBackend
from ._redis.client import both, cluster_client, sentinel_clients, single_client
from ._redis.near import NEAR
from ._redis.options import RedisOptions, parse_url
from ._settings.addresses import RedisUrl, parse_address, parse_host, parse_port
from ._settings.common import KEY_PREFIX, RESILIENCE
from .spec import ADDRESSES, COUNT, OPTIONAL_TEXT, PORT, SECRET, BackendSpec, Kind, Setting

__all__ = ["RedisCache", "RedisClusterCache", "RedisSentinelCache"]

_PASSWORD = Setting(
    "CACHE_REDIS_PASSWORD", SECRET, "the password of the servers", option="password", secret=True
)
_DB = Setting("CACHE_REDIS_DB", COUNT, "the number of the database", default=0, option="db")
_URL = Setting(
    "CACHE_REDIS_URL",
    OPTIONAL_TEXT,
    "`redis://user:password@host:6379/0`, `rediss://…` for TLS, `unix://…`; what it says goes "
    "before the other settings",
    option="redis_url",
    goes="if_set",
    secret=True,
)


class RedisCache(RedisBackend):
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
    :param kwargs: options of connections by redis-py's names; ``redis_url``, which in what it says
        goes before host, port, password and db; ``check_connection=True`` to fail at once where the
        server is not there; ``connect_timeout``, ``operation_timeout``, ``breaker_failures``,
        ``breaker_reset`` as the ``CACHE_*`` settings of these names.
    :raises CacheConfigError: an option is unknown or cannot be what it is.
    """

    backend_spec = BackendSpec(
        "RedisCache",
        "on a Redis server",
        settings=(
            _URL,
            Setting(
                "CACHE_REDIS_HOST",
                Kind("a host name or a Redis client object", str, test=lambda v: hasattr(v, "get")),
                "a host name, or a client made by redis-py, which is then used as it is",
                default="localhost",
                option="host",
                secret=True,
            ),
            Setting("CACHE_REDIS_PORT", PORT, "its port", default=6379, option="port", secret=True),
            _PASSWORD.but(goes="if_set"),
            _DB,
            KEY_PREFIX.but(goes="if_set"),
            *RESILIENCE,
            *NEAR,
        ),
        deprecated=("redis",),
        keeps_copies=True,
    )

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
        with self._set_up(default_timeout, key_prefix, ignore_delete_many_errors, kwargs):
            url = kwargs.pop("redis_url", None)
            if not isinstance(host, str) and not url:
                self._use_client(host, kwargs)
            else:
                place: dict[str, Any] = {
                    "host": host if isinstance(host, str) else "localhost",
                    "port": port,
                }
                client = by_redis_py.single(url, place, db, password, kwargs)
                given = {**kwargs, "db": db, "password": password}
                if client is not None:
                    self._use_made(lambda: both(client))
                elif url:
                    parsed = parse_url(url)
                    place.update(parsed.place)
                    self._open_single(place, _with_url(given, parsed))
                else:
                    self._open_single(place, RedisOptions(given))

    def _open_single(self, place: dict[str, Any], options: RedisOptions) -> None:
        path = options.unix_socket_path
        address: Any = path
        if not path:
            host = parse_host(place["host"], "CACHE_REDIS_HOST")
            address = (host, parse_port(place["port"]))
        self._servers = RedisServers.single(address, options.connection)
        self._database = options.connection["db"]
        self._at = f"{path or _shown(address)}/{self._database}"

        where = {} if path else place
        self._make_clients = lambda: both(single_client(**where, **options.for_redis_py))


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

    backend_spec = BackendSpec(
        "RedisSentinelCache",
        "on a Redis master that sentinels name, read from its replicas",
        settings=(
            Setting(
                "CACHE_REDIS_SENTINELS",
                ADDRESSES,
                "addresses of the sentinels",
                default=[("127.0.0.1", 26379)],
                option="sentinels",
                secret=True,
            ),
            Setting(
                "CACHE_REDIS_SENTINEL_MASTER",
                OPTIONAL_TEXT,
                "the name of the master",
                default="mymaster",
                option="master",
            ),
            Setting(
                "CACHE_REDIS_SENTINEL_PASSWORD",
                SECRET,
                "the password of the sentinels themselves",
                option="sentinel_password",
                secret=True,
            ),
            _PASSWORD,
            _DB,
            KEY_PREFIX,
            *RESILIENCE,
            *NEAR,
        ),
        deprecated=("redissentinel", "RedisSentinel"),
        keeps_copies=True,
    )

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
        with self._set_up(default_timeout, key_prefix, ignore_delete_many_errors, kwargs):
            others = kwargs.pop("min_other_sentinels", 0)
            if isinstance(others, bool) or not isinstance(others, int) or others < 0:
                raise CacheConfigError(
                    f"CACHE_OPTIONS: 'min_other_sentinels' must be a whole number, not {others!r}"
                )
            if not (isinstance(master, str) and master):
                raise CacheConfigError(
                    "CACHE_REDIS_SENTINEL_MASTER is missing: what the sentinels call the master"
                )
            addresses = [
                parse_address(item, "CACHE_REDIS_SENTINELS")
                for item in sentinels or [("127.0.0.1", 26379)]
            ]
            own = {name: kwargs[name] for name in OF_RESILIENCE if name in kwargs}
            of_sentinels = {
                name.removeprefix("sentinel_"): value
                for name, value in kwargs.items()
                if name.startswith("sentinel_")
            }
            of_servers = {
                name: value for name, value in kwargs.items() if not name.startswith("sentinel_")
            }
            of_servers = {**of_servers, "db": db, "password": password}
            clients = by_redis_py.sentinels(addresses, master, of_sentinels, of_servers)
            if clients is not None:
                writer, reader = clients
                self._use_made(lambda: {"write": writer, "read": reader})
            else:
                sentinel_options = RedisOptions(
                    {**own, **of_sentinels}, "the sentinel_ part of CACHE_OPTIONS"
                )
                self._open_sentinels(
                    addresses, master, others, sentinel_options, RedisOptions(of_servers)
                )

    def _open_sentinels(
        self,
        addresses: list[tuple[str, int]],
        master: str,
        others: int,
        sentinel_options: RedisOptions,
        server_options: RedisOptions,
    ) -> None:
        self._servers = RedisServers.sentinel(
            addresses, master, others, sentinel_options.connection, server_options.connection
        )
        self._at = f"{master!r} of {','.join(map(_shown, addresses))}"
        self._database = server_options.connection["db"]

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


class RedisClusterCache(RedisCache):
    """A cache on a Redis cluster.

    :param cluster: the addresses of nodes, separated by commas: ``host1:port1,host2:port2``. Any
        one that answers is enough. Or a client object, as in :class:`RedisCache`.
    :param password: the password, if the nodes want one.
    :param default_timeout: as in :class:`RedisCache`, and so are ``key_prefix`` and
        ``ignore_delete_many_errors``.
    :param kwargs: options of connections by redis-py's names; ``redis_url`` in the place of
        ``cluster``, and before ``password``.
    :raises CacheConfigError: no node is named, or an option cannot be what it is.
    """

    #: Each node is asked for itself.
    _deletes_in_order = False

    backend_spec = BackendSpec(
        "RedisClusterCache",
        "on the nodes of a Redis Cluster",
        settings=(
            Setting(
                "CACHE_REDIS_CLUSTER",
                OPTIONAL_TEXT,
                '`"host1:port1,host2:port2"`',
                default="",
                option="cluster",
                secret=True,
            ),
            _URL.but(goes="keyword"),
            _PASSWORD.but(default=""),
            KEY_PREFIX,
            *RESILIENCE,
            *NEAR,
        ),
        deprecated=("rediscluster", "RedisCluster"),
        keeps_copies=True,
    )

    def __init__(
        self,
        cluster: Any = "",
        password: str = "",
        default_timeout: int = 300,
        key_prefix: str | Callable[[], str] | None = "",
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        with self._set_up(default_timeout, key_prefix, ignore_delete_many_errors, kwargs):
            url = kwargs.pop("redis_url", None)
            if cluster and not isinstance(cluster, str):
                self._use_client(cluster, kwargs)
            else:
                self._open_cluster(cluster, password, url, kwargs)

    def _open_cluster(
        self, cluster: str, password: str, url: str | None, kwargs: dict[str, Any]
    ) -> None:
        for name, usual in _CLUSTER_OPTIONS.items():
            if kwargs.pop(name, usual) != usual:
                raise CacheConfigError(
                    f"CACHE_OPTIONS: {name!r} can only be {usual!r} here. To have it otherwise, "
                    "put a redis-py client into the argument 'cluster'."
                )
        addresses: list[tuple[str, int]] = []
        if not url:
            nodes = (cluster or "").split(",")
            addresses = [parse_address(node, "CACHE_REDIS_CLUSTER") for node in nodes]
        given = {**kwargs, "password": password}
        make_client = by_redis_py.cluster(addresses, url, given)
        if make_client is not None:
            self._use_made(lambda: both(make_client()))
            return
        if not url:
            options = RedisOptions(given)
        else:
            parsed = parse_url(url)
            options = _with_url(given, parsed)
            addresses = [(parsed.place.get("host", "localhost"), parsed.place.get("port", 6379))]
        if options.connection["db"] != 0 or options.unix_socket_path:
            raise CacheConfigError(
                "A Redis cluster has only the database 0, and is not reached by unix sockets."
            )
        self._servers = RedisServers.cluster(addresses, options.connection)
        self._at = ",".join(map(_shown, addresses))
        self._database = 0

        of_client = {name: v for name, v in options.for_redis_py.items() if name != "db"}
        self._make_clients = lambda: both(cluster_client(addresses, of_client))


#: Options of redis-py's cluster client, and what they are here.
_CLUSTER_OPTIONS: dict[str, Any] = {
    "skip_full_coverage_check": True,
    "require_full_coverage": False,
    "read_from_replicas": False,
}


def _shown(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _with_url(options: dict[str, Any], url: RedisUrl) -> RedisOptions:
    return RedisOptions(options, "CACHE_OPTIONS or CACHE_REDIS_URL", url)
