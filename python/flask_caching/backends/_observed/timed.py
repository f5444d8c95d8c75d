"""A store that is written in Python, whose operations are timed."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..._engine import Timings

__all__ = ["Timed"]

#: What statistics call the methods of a store; the latencies of the engine's own stores are known
#: by the same names.
_OPERATIONS = {
    **{name: name for name in ("get", "get_many", "set", "set_many", "add", "delete", "has")},
    "delete_many": "delete_many",
    "delete_each": "delete_many",
    "clear": "clear",
    "is_sealed": "has",
    "set_extending": "set",
    "set_if": "set",
    **dict.fromkeys(("extend", "incr", "compare_exchange"), "other"),
}


class Timed:
    """Notes how long each operation of a store takes.

    :param store: the store; all else of it is reached as it is.
    """

    __slots__ = ("_store", "_timings")

    def __init__(self, store: Any) -> None:
        self._store, self._timings = store, Timings()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        operation = _OPERATIONS.get(name)
        return method if operation is None else partial(self._timings.of, operation, method)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy has timings of its own.
        return Timed, (self._store,)

    def latencies(self) -> Any:
        """How long they took, as the engine's stores say it."""
        return self._timings.latencies()
