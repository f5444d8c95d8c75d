"""A store whose operations somebody watches."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

__all__ = ["BATCHES", "UNWATCHED", "Traced", "command_of"]

#: Whether what is done is nobody's work but this package's own, and is not to be watched.
UNWATCHED: ContextVar[bool] = ContextVar("flask_caching_unwatched", default=False)

#: The methods of a store that go to a server, and the commands of Redis and Memcached that do most
#: of their work.
_COMMANDS = {
    "get": ("GET", "get"),
    "gets": ("GET", "gets"),
    "get_many": ("MGET", "get"),
    "copies": ("GET", "get"),
    "set": ("SET", "set"),
    "set_extending": ("SET", "set"),
    "add": ("SET", "add"),
    "add_or_tell": ("SET", "add"),
    "replace": ("SET", "replace"),
    "append": ("APPEND", "append"),
    "prepend": ("EVAL", "prepend"),
    "cas": ("EVAL", "cas"),
    "set_many": ("PIPELINE SET", "set"),
    "delete": ("UNLINK", "delete"),
    "delete_many": ("UNLINK", "delete"),
    "delete_each": ("UNLINK", "delete"),
    "has": ("EXISTS", "mg"),
    "is_sealed": ("GETRANGE", "get"),
    "remaining": ("PTTL", "mg"),
    "incr": ("INCRBY", "incr"),
    "count": ("INCRBY", "incr"),
    "extend": ("PEXPIRE", "touch"),
    "touch": ("PEXPIRE", "touch"),
    "compare_exchange": ("EVAL", "cas"),
    "set_if": ("EVAL", "cas"),
    "clear": ("FLUSHDB", "flush_all"),
    "flush_after": ("FLUSHDB", "flush_all"),
    "keys": ("SCAN", "lru_crawler"),
    "usage": ("INFO", "stats"),
    "statistics": ("INFO", "stats"),
}

#: Those that are many commands of one kind, sent at once; their first argument is what they are of.
BATCHES = {"redis": ("set_many",), "memcached": ("set_many", "delete_many", "delete_each")}


def command_of(system: str, method: str) -> str:
    """What does the work of a method, as its system calls it."""
    of_redis, of_memcached = _COMMANDS[method]
    return {"redis": of_redis, "memcached": of_memcached}.get(system, method)


class Traced:
    """Hands on each operation of a store to ``watch(method, name, args, kwargs)``.

    :param store: the store; all else of it is reached as it is.
    """

    __slots__ = ("_store", "_watch")

    def __init__(self, store: Any, watch: Callable[..., Any]) -> None:
        self._store, self._watch = store, watch

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in _COMMANDS:
            return method
        watch = self._watch

        def watched(*args: Any, **kwargs: Any) -> Any:
            if UNWATCHED.get():
                return method(*args, **kwargs)
            return watch(method, name, args, kwargs)

        return watched
