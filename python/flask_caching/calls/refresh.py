"""Refreshes in the background: who computes anew what was answered though it is fresh no more.

Daemon threads of this process do, which are greenlets where gevent has patched threads. They are
made when they are needed, and anew in a child of ``fork()``. Where a server runs no threads, a
caller does.
"""

from __future__ import annotations

import importlib
import logging
import queue
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._engine import Refreshes, Refreshing
from .arguments import own
from .waiting.per_process import PerProcess

if TYPE_CHECKING:
    from flask import Flask

    from ..extension.state import AppState
    from .policy import CallPolicy

__all__ = ["begin", "fail", "has_failed", "has_threads"]

logger = logging.getLogger("flask_caching")

#: Refreshes that may wait for a thread; while there are more, old values are answered and stay old.
_MOST_WAITING = 1000

_refreshes = Refreshes()

has_failed = _refreshes.has_failed
fail = _refreshes.fail


@dataclass(eq=False)
class Refresh:
    """The refresh of one entry.

    :param policy: of its function.
    :param state: of the application it belongs to.
    :param backend: where it is stored.
    :param key: its key.
    :param call: the arguments of the call that has found it, and those by name.
    :param app: the application, and ``context`` what it is refreshed in, beside one of that.
    :param guard: held until it is over.
    """

    policy: CallPolicy
    state: AppState
    backend: Any
    key: Any
    call: tuple[tuple[Any, ...], dict[str, Any]]
    app: Flask
    context: AbstractContextManager[Any]
    guard: Refreshing | None

    def run(self) -> None:
        """Compute it anew, in contexts of its own. What goes wrong is logged."""
        try:
            with self.app.app_context(), self.context:
                self.policy.refresh_call(self.key, *self.call)
        except Exception as error:
            self.policy.note_failed_refresh(self.state, self.backend, self.key, error)
        finally:
            self.guard = None


class _Workers:
    """The threads of a process."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Refresh] = queue.Queue(_MOST_WAITING)
        self._lock = threading.Lock()
        self._threads = 0
        #: Those that are not over.
        self._begun = 0

    def submit(self, refresh: Refresh, most: int) -> bool:
        """Have ``refresh`` run by one of at most ``most`` threads; whether there was room."""
        try:
            self._waiting.put_nowait(refresh)
        except queue.Full:
            return False
        with self._lock:
            self._begun += 1
            starts = self._threads < min(most, self._begun)
            self._threads += starts
        if starts:
            try:
                threading.Thread(
                    target=self._work, name="flask-caching-refresh", daemon=True
                ).start()
            except RuntimeError:
                # The interpreter ends, or the machine has no thread left.
                with self._lock:
                    self._threads -= 1
        return True

    def _work(self) -> None:
        while True:
            refresh = self._waiting.get()
            try:
                refresh.run()
            except BaseException:
                logger.exception("A refresh in the background ended.")
            finally:
                with self._lock:
                    self._begun -= 1
            # Whatever it holds is not kept while the thread waits.
            del refresh


_workers = PerProcess(_Workers)


def begin(
    policy: CallPolicy,
    state: AppState,
    backend: Any,
    key: Any,
    call: tuple[tuple[Any, ...], dict[str, Any]],
    looked: int,
) -> Refreshing | bool:
    """Begin to refresh an entry whose old value is answered meanwhile, see :class:`Refresh`.

    :param looked: how many refreshes had ended before the old value was looked for.
    :return: whether it is. Where this caller is to compute it, what it holds while it does: the
        others are answered with the old value.
    """
    guard = _refreshes.begin(backend, key, looked)
    if guard is None:
        # It is under way, has just ended, or has failed a moment ago.
        return True
    most, app = state.refresh_workers, state.app()
    if most == 0 or not policy.refreshes_elsewhere(key) or not has_threads():
        return guard
    if app is not None:
        try:
            context = policy.refresh_context(app)
            # The caller may change its own while this waits.
            call = own(call)
        except Exception as error:
            # The function itself may have no trouble with what cannot be copied.
            policy.note_once(
                "copied",
                "%s is refreshed by its callers and not in the background: what it is called with "
                "could not be copied (%s)",
                policy.name,
                type(error).__name__,
                level=logging.INFO,
            )
            return guard
        refresh = Refresh(policy, state, backend, key, call, app, context, guard)
        _workers().submit(refresh, most)
    return True


def has_threads() -> bool:
    """Whether threads run beside those that answer requests."""
    try:
        uwsgi: Any = importlib.import_module("uwsgi")
    except ImportError:
        return True
    options = getattr(uwsgi, "opt", {})
    return any(name in options for name in ("enable-threads", "threads", "gevent"))
