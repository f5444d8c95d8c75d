"""Redis client objects in Python: those that applications hand in, and those they ask for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from itertools import islice
from typing import Any, NoReturn

from ... import errors
from ..._engine import timeout_seconds
from ...errors import CacheBackendError
from .._bytes.stepwise import Stepwise
from .._bytes.tagged import looks_sealed

__all__ = ["RedisClientStore", "both", "cluster_client", "sentinel_clients", "single_client"]

#: Keys that one step of clearing removes.
_BATCH = 1000


def single_client(**options: Any) -> Any:
    """A redis-py client of one server.

    :raises RuntimeError: redis-py is not installed.
    """
    return _redis_py("redis").Redis(**options)


def sentinel_clients(
    addresses: list[tuple[str, int]],
    master: str,
    min_other_sentinels: int,
    sentinel_options: dict[str, Any],
    options: dict[str, Any],
) -> tuple[Any, Any]:
    """redis-py clients of the master that sentinels name, and of its replicas.

    :raises RuntimeError: redis-py is not installed.
    """
    sentinel = _redis_py("redis.sentinel").Sentinel(
        addresses, min_other_sentinels, sentinel_options, **options
    )
    return sentinel.master_for(master), sentinel.slave_for(master)


def cluster_client(addresses: list[tuple[str, int]], options: dict[str, Any]) -> Any:
    """A redis-py client of a cluster.

    :raises RuntimeError: redis-py is not installed.
    """
    cluster = _redis_py("redis.cluster")
    nodes = [cluster.ClusterNode(host, port) for host, port in addresses]
    return cluster.RedisCluster(startup_nodes=nodes, **options)


def _redis_py(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise RuntimeError(
            "This attribute is a redis-py client, and the redis package is not installed: "
            "pip install redis. The cache itself does not need it."
        ) from error


class RedisClientStore(Stepwise):
    """What :class:`flask_caching._engine.ByteStore` does, by clients compatible with redis-py.

    :param reader: returns the client to read with.
    :param writer: returns the client to write with.
    :param prefix: what ``clear`` removes: keys that start with it; everything where it is empty.
    """

    def __init__(
        self, reader: Callable[[], Any], writer: Callable[[], Any], prefix: bytes = b""
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._prefix = prefix

    def get(self, key: bytes) -> tuple[bytes, int] | None:
        with _failing("get", foreign=True) as outcome:
            outcome.value = self._reader().get(_name(key))
        return _stored(outcome.value)

    def get_many(self, keys: list[bytes]) -> list[tuple[bytes, int] | None]:
        if not keys:
            return []
        with _failing("get_many"):
            values = self._reader().mget([_name(key) for key in keys])
        # Stand-ins for clients, as tests have them, may answer with more.
        return [_stored(value) for _, value in zip(keys, values, strict=False)]

    def set(self, key: bytes, data: bytes, flags: int = 0, timeout: Any = None) -> Any:
        with _failing("set"):
            expiry = _expiry(timeout)
            if expiry is None:
                self._remove(key)
                return True
            return self._writer().set(name=_name(key), value=data, **expiry)

    def add(self, key: bytes, data: bytes, flags: int = 0, timeout: Any = None) -> bool:
        with _failing("add"):
            expiry = _expiry(timeout)
            if expiry is None:
                return not self._writer().exists(_name(key))
            return bool(self._writer().set(name=_name(key), value=data, nx=True, **expiry))

    def set_many(self, entries: list[tuple[bytes, bytes, int]], timeout: Any = None) -> list[bool]:
        with _failing("set_many"):
            expiry = _expiry(timeout)
            if expiry is None:
                self._remove(*(key for key, _, _ in entries))
                return [True] * len(entries)
            # Not a transaction: some proxies know none.
            pipeline = self._writer().pipeline(transaction=False)
            for key, data, _ in entries:
                pipeline.set(name=_name(key), value=data, **expiry)
            results = pipeline.execute(raise_on_error=False)
        return [not isinstance(result, Exception) and bool(result) for result in results]

    def delete(self, key: bytes) -> bool:
        with _failing("delete"):
            return bool(self._remove(key))

    def delete_many(self, keys: list[bytes]) -> list[bool]:
        if not keys:
            return []
        with _failing("delete_many"):
            count = self._remove(*keys)
        # How many there were is known, which is not.
        return [place < count for place in range(len(keys))]

    def has(self, key: bytes) -> bool:
        with _failing("has"):
            return bool(self._reader().exists(_name(key)))

    def is_sealed(self, key: bytes) -> bool | None:
        if not self.has(key):
            return None
        # Stand-ins for clients, as tests have them, may not know the command.
        edge = getattr(self._reader(), "getrange", None)
        if edge is None:
            stored = self.get(key)
            return None if stored is None else looks_sealed(stored[0])
        with _failing("has", foreign=True) as outcome:
            outcome.value = edge(_name(key), 0, 4), edge(_name(key), -8, -1)
        parts = [
            part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
            for part in outcome.value or ()
        ]
        return any(map(looks_sealed, parts))

    def incr(self, key: bytes, delta: int, timeout: Any = None) -> int:
        with _failing("incr"):
            expiry = _expiry(timeout)
            if expiry:
                # The number adding starts from brings its lifetime; where there is one, nothing.
                self._writer().set(name=_name(key), value=0, nx=True, **expiry)
            return int(self._writer().incr(name=_name(key), amount=delta))

    def extend(self, key: bytes, timeout: Any = None) -> bool:
        with _failing("extend"):
            left = self._writer().pttl(_name(key))
            expiry = _expiry(timeout)
            if left == -2 or expiry is None:
                return bool(left != -2)
            if left >= 0:
                wanted = expiry.get("px") or expiry.get("ex", 0) * 1000
                if not wanted:
                    self._writer().persist(_name(key))
                elif wanted > left:
                    self._writer().pexpire(_name(key), wanted)
            return True

    def compare_exchange(
        self,
        key: bytes,
        expected: tuple[bytes, int],
        new: tuple[bytes, int] | None,
        timeout: Any = None,
    ) -> bool:
        # In two steps: there is no single one that every compatible client offers.
        with _failing("compare_exchange"):
            if _stored(self._writer().get(_name(key))) != (expected[0], 0):
                return False
            if new is None:
                return bool(self._remove(key))
            return bool(self.set(key, new[0], 0, timeout))

    def clear(self) -> bool:
        with _failing("clear"):
            if not self._prefix:
                return bool(self._writer().flushdb(asynchronous=True))
            found = self._writer().scan_iter(match=_beginning(self._prefix), count=_BATCH)
            for keys in _batches(found):
                self._remove(*keys)
        return True

    def keys(self, prefix: bytes, most: int) -> list[bytes]:
        """The keys that begin with ``prefix``, in their order; at most ``most``."""
        with _failing("keys"):
            found = self._reader().scan_iter(match=_beginning(prefix), count=_BATCH)
            # A scan may come to a key twice.
            listed = dict.fromkeys(islice(found, most))
        return sorted(
            # A client may decode what servers answer.
            key.encode("utf-8", "surrogateescape") if type(key) is str else key
            for key in listed
        )

    def usage(self) -> tuple[int | None, int | None, int | None]:
        """Keys of the database, bytes of the server's memory, and evictions; None: not told."""
        with _failing("usage"):
            client = self._reader()
            told = [client.dbsize() if hasattr(client, "dbsize") else None]
            info = client.info() if hasattr(client, "info") else {}
            told += [info.get("used_memory"), info.get("evicted_keys")]
        entries, size, evictions = (one if isinstance(one, int) else None for one in told)
        return entries, size, evictions

    def _remove(self, *keys: Any) -> int:
        writer = self._writer()
        remove = getattr(writer, "unlink", None) or writer.delete
        return int(remove(*(_name(key) for key in keys)))


class _Outcome:
    value: Any = None


@contextmanager
def _failing(operation: str, foreign: bool = False) -> Iterator[_Outcome]:
    """Report what a client raises as the cache's own exception.

    :param foreign: a value of another type (a list, a hash) is a miss, not a failure.
    """
    try:
        yield _Outcome()
    except (CacheBackendError, TypeError):
        raise
    except Exception as error:
        if foreign and "WRONGTYPE" in str(error):
            return
        _raise(operation, error)


def _raise(operation: str, error: Exception) -> NoReturn:
    if "not an integer" in str(error) or "overflow" in str(error):
        raise errors.RedisValueError(f"{operation} failed: {error}") from error
    raise errors.like_redis(error)(
        f"{operation} by the application's Redis client failed: {type(error).__name__}: {error}"
    ) from error


def _beginning(prefix: bytes) -> bytes:
    """The pattern of the keys that begin with ``prefix``."""
    escaped = (b"\\" + bytes([byte]) if byte in b"*?[]^-\\" else bytes([byte]) for byte in prefix)
    return b"".join(escaped) + b"*"


def _name(key: bytes) -> str | bytes:
    """The key as 2.5.1 hands it to a client: text, where it is."""
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        return key


def _stored(value: Any) -> tuple[bytes, int] | None:
    if value is None:
        return None
    if isinstance(value, str):
        # A client that decodes responses; bytes that are no text do not come through it.
        return value.encode("utf-8", "surrogateescape"), 0
    return bytes(value), 0


def _expiry(timeout: Any) -> dict[str, int] | None:
    """The arguments of ``set`` for a timeout; None: it is expired at once."""
    if timeout is None:
        return {}
    seconds = (
        timeout.total_seconds() if isinstance(timeout, timedelta) else timeout_seconds(timeout)
    )
    if seconds < 0:
        return None
    if seconds == 0 or seconds == math.inf:
        return {}
    if seconds == int(seconds):
        return {"ex": int(seconds)}
    return {"px": max(1, math.ceil(seconds * 1000))}


def _batches(keys: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for key in keys:
        batch.append(key.encode() if isinstance(key, str) else key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def both(client: Any) -> dict[str, Any]:
    """A client that reads and writes, by role."""
    return {"write": client, "read": client}
