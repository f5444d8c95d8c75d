"""A store whose operations somebody watches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["OPERATIONS", "Traced"]

#: The methods of a store that go to a server, and what its documentation calls what they do.
OPERATIONS = {
    "get": "GET",
    "get_many": "MGET",
    "set": "SET",
    "set_extending": "SET",
    "add": "ADD",
    "set_many": "MSET",
    "delete": "DELETE",
    "delete_many": "DELETE",
    "delete_each": "DELETE",
    "add_or_tell": "ADD",
    "has": "EXISTS",
    "is_sealed": "EXISTS",
    "incr": "INCR",
    "extend": "EXPIRE",
    "compare_exchange": "CAS",
    "set_if": "CAS",
    "cas": "CAS",
    "replace": "REPLACE",
    "append": "APPEND",
    "prepend": "PREPEND",
    "gets": "GETS",
    "touch": "TOUCH",
    "count": "INCR",
    "statistics": "STATS",
    "flush_after": "CLEAR",
    "clear": "CLEAR",
}


class Traced:
    """Hands on each operation of a store to ``watch(method, name, args, kwargs)``.

    :param store: the store; all else of it is reached as it is.
    """

    __slots__ = ("_store", "_watch")

    def __init__(self, store: Any, watch: Callable[..., Any]) -> None:
        self._store, self._watch = store, watch

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in OPERATIONS:
            return method
        watch = self._watch

        def watched(*args: Any, **kwargs: Any) -> Any:
            return watch(method, name, args, kwargs)

        return watched
