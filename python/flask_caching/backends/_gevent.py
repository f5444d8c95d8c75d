"""Native I/O under gevent: other greenlets go on while one waits for a cache server.

gevent's patches make Python's sockets cooperative; the engine's are not Python's. Where sockets are
patched, calls of the engine are made in gevent's own thread pool.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from .._engine import share_threads, tell_greenlets_apart

if TYPE_CHECKING:
    from .._engine import ByteStore, Turn

__all__ = ["cooperative", "note_greenlets", "wait_among_greenlets"]


def note_greenlets() -> None:
    """Let the engine tell greenlets apart, where there are some: they share a thread."""
    if "gevent" in sys.modules:
        tell_greenlets_apart(sys.modules["gevent"].getcurrent)


def wait_among_greenlets(turn: Turn) -> None:
    """Wait until the call that ``turn`` follows is over, while other greenlets go on."""
    hub: Any = sys.modules["gevent"].get_hub()
    event: Any = import_module("gevent.event").Event()
    turn.wake_by(lambda: hub.loop.run_callback_threadsafe(event.set))
    event.wait(turn.seconds_to_wait)


def cooperative(store: ByteStore) -> ByteStore:
    """``store``, or something that does the same without stopping gevent's other greenlets.

    To be asked at each use: sockets may be patched at any time.

    :param store: what waits for a server.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        return store
    # A deletion lets the greenlet write that is about to store what is deleted.
    share_threads(_pause)
    note_greenlets()
    return cast("ByteStore", _InThreadPool(store))


class _InThreadPool:
    """Makes every call of a store in a thread of gevent's pool."""

    __slots__ = ("_store",)

    def __init__(self, store: ByteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        gevent: Any = sys.modules["gevent"]
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer, error = gevent.get_hub().threadpool.apply(_outcome, (method, args, kwargs))
            if error is not None:
                raise error
            return answer

        return call


def _pause() -> None:
    gevent: Any = sys.modules["gevent"]
    gevent.sleep(0.001)


def _outcome(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Exception | None]:
    """What ``method`` returns, and what it raises: gevent prints what a pool's thread raises."""
    try:
        return method(*args, **kwargs), None
    except Exception as error:
        return None, error
