"""What a memcached backend is made of: addresses, options, and pylibmc's behaviors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..._engine import ByteStore, open_store
from ...errors import CacheConfigError

__all__ = ["Behaviors", "MemcachedOptions", "read_servers"]

_HASHES = (
    "default",
    "md5",
    "crc",
    "fnv1_64",
    "fnv1a_64",
    "fnv1_32",
    "fnv1a_32",
    "murmur",
)

#: pylibmc's names of distributions, and the engine's.
_DISTRIBUTIONS = {
    "modula": "modula",
    "consistent": "ketama",
    "consistent ketama": "ketama",
    "consistent weighted": "ketama_weighted",
}

#: Behaviors that ask for what is always so: sockets never block past a deadline, a change can be
#: made on condition, and no key is sent that the protocol cannot carry.
_GRANTED = ("no_block", "cas", "verify_keys")

#: Behaviors that must stay as they are, and why.
_REFUSED = {
    "auto_eject": "the keys of a server that is down stay its own, so that no stale copy is read "
    "when it is back; it is left alone meanwhile and tried again after retry_timeout",
    "buffer_requests": "every write is answered",
    "num_replicas": "values are not replicated",
    "ketama_hash": "the continuum is hashed as 'hash' says",
    "_noreply": "every write is answered",
    "_sort_hosts": "the order of the servers decides which of them holds a key",
    "_hash_with_prefix_key": "keys are hashed with their prefix",
}


@dataclass(frozen=True)
class MemcachedOptions:
    """What the engine opens a store with. Times are seconds."""

    servers: list[str]
    binary: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    distribution: str = "modula"
    hash: str = "default"
    pool_size: int = 1
    pool_blocking: bool = True
    tcp_nodelay: bool = True
    tcp_keepalive: bool = True
    connect_timeout: float = 1.0
    operation_timeout: float = 1.0
    breaker_failures: int = 3
    breaker_reset: float = 1.0
    spread: tuple[int, int] | None = None
    pickle_protocol: int = -1

    def __post_init__(self) -> None:
        for name in ("pool_size", "breaker_failures"):
            value = getattr(self, name)
            least = 1 if name == "pool_size" else 0
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise CacheConfigError(f"{name} must be a whole number, {least} or more: {value!r}")
        for name in ("connect_timeout", "operation_timeout", "breaker_reset"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise CacheConfigError(f"{name} must be a positive number of seconds: {value!r}")

    def open(self) -> ByteStore:
        """Open the store that these options describe; it connects when it is used."""
        settings = {item.name: getattr(self, item.name) for item in fields(self)}
        del settings["pickle_protocol"]
        return open_store("memcached", settings)

    def with_behaviors(self, behaviors: Mapping[str, Any]) -> MemcachedOptions:
        """These options with pylibmc's ``behaviors`` applied, in the order in which pylibmc does.

        :raises CacheConfigError: one is unknown, or cannot be what it is.
        """
        changes: dict[str, Any] = {}
        for name, value in sorted(behaviors.items(), key=lambda item: item[0] == "distribution"):
            changes.update(_behavior(name, value))
        return replace(self, **changes)


def read_servers(servers: Iterable[Any]) -> list[str]:
    """Addresses as the engine reads them.

    :param servers: strings or bytes (``host:port``, ``[ipv6]:port``, ``/path/of/socket``), or pairs
        of host and port.
    :raises CacheConfigError: one of them is none of these, or there is none.
    """
    addresses = []
    for server in servers:
        if isinstance(server, (str, bytes)):
            addresses.append(_address(server))
        elif isinstance(server, (tuple, list)) and len(server) == 2:
            host, port = server
            addresses.append(_address(f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"))
        else:
            raise CacheConfigError(
                "CACHE_MEMCACHED_SERVERS must hold addresses such as 'host:port' or "
                f"'/path/of/socket', not a value of type {type(server).__name__}"
            )
    if not addresses:
        raise CacheConfigError("CACHE_MEMCACHED_SERVERS must hold at least one address")
    return addresses


def _address(server: str | bytes) -> str:
    try:
        return server.decode() if isinstance(server, bytes) else server.encode().decode()
    except UnicodeError:
        # It holds the address, and what may stand in it by mistake.
        pass
    raise CacheConfigError("CACHE_MEMCACHED_SERVERS must hold addresses in UTF-8")


class Behaviors(MutableMapping[str, Any]):
    """The behaviors of a client, by pylibmc's names: a mapping that may be called with changes.

    :param read: returns the options in force.
    :param write: puts others in force.
    """

    def __init__(
        self, read: Callable[[], MemcachedOptions], write: Callable[[MemcachedOptions], None]
    ) -> None:
        self._read = read
        self._write = write

    def __call__(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Apply ``changes``, if any.

        :return: the behaviors in force.
        :raises CacheConfigError: one is unknown, or cannot be what it is; none is applied.
        """
        if changes:
            self._write(self._read().with_behaviors(changes))
        return dict(self)

    def __getitem__(self, name: str) -> Any:
        return _in_force(self._read())[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self({name: value})

    def __delitem__(self, name: str) -> None:
        raise CacheConfigError(f"the behavior {name!r} cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(_in_force(self._read()))

    def __len__(self) -> int:
        return len(_in_force(self._read()))

    def __repr__(self) -> str:
        return f"Behaviors({dict(self)!r})"


def _in_force(options: MemcachedOptions) -> dict[str, Any]:
    """All behaviors, as pylibmc counts them: milliseconds to connect, microseconds to wait."""
    names = {engine: name for name, engine in _DISTRIBUTIONS.items()}
    waits = round(options.operation_timeout * 1_000_000)
    return {
        "tcp_nodelay": options.tcp_nodelay,
        "tcp_keepalive": options.tcp_keepalive,
        "hash": options.hash,
        "distribution": names[options.distribution],
        "ketama": options.distribution == "ketama",
        "ketama_weighted": options.distribution == "ketama_weighted",
        "connect_timeout": round(options.connect_timeout * 1000),
        "send_timeout": waits,
        "receive_timeout": waits,
        "retry_timeout": options.breaker_reset,
        "dead_timeout": options.breaker_reset,
        "failure_limit": options.breaker_failures,
        "remove_failed": options.breaker_failures,
        "pickle_protocol": options.pickle_protocol,
        **dict.fromkeys(_GRANTED, True),
        **dict.fromkeys(_REFUSED, False),
    }


def _behavior(name: str, value: Any) -> dict[str, Any]:
    """The options that one behavior sets."""
    if name == "_retry_timeout":
        name = "retry_timeout"
    if name in ("tcp_nodelay", "tcp_keepalive"):
        return {name: bool(value)}
    if name in ("ketama", "ketama_weighted"):
        return {"distribution": name} if value else {}
    if name == "hash":
        return {"hash": _one_of(name, value, _HASHES)}
    if name == "distribution":
        return {name: _DISTRIBUTIONS[_one_of(name, value, _DISTRIBUTIONS)]}
    if name == "connect_timeout":
        return {name: _positive(name, value) / 1000}
    if name in ("send_timeout", "receive_timeout"):
        # 0 is libmemcached's word for its own default.
        return {"operation_timeout": _positive(name, value) / 1_000_000} if value else {}
    if name in ("retry_timeout", "dead_timeout"):
        return {"breaker_reset": float(_positive(name, value))} if value else {}
    if name in ("failure_limit", "remove_failed"):
        return {"breaker_failures": _whole(name, value)}
    if name == "pickle_protocol":
        return {name: _whole(name, value, least=-1)}
    if name in _GRANTED:
        return {}
    if name in _REFUSED:
        if not value:
            return {}
        raise CacheConfigError(f"the behavior {name!r} cannot be {value!r}: {_REFUSED[name]}")
    known = ", ".join(sorted({*_in_force(MemcachedOptions(servers=[]))}))
    raise CacheConfigError(f"the behavior {name!r} is unknown. Known: {known}")


def _one_of(name: str, value: Any, known: Iterable[str]) -> str:
    if value in known:
        return str(value)
    raise CacheConfigError(f"the behavior {name!r} cannot be {value!r}. Known: {', '.join(known)}")


def _positive(name: str, value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return value
    raise CacheConfigError(f"the behavior {name!r} must be a positive number, not {value!r}")


def _whole(name: str, value: Any, least: int = 0) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise CacheConfigError(
        f"the behavior {name!r} must be a whole number, {least} or more, not {value!r}"
    )
