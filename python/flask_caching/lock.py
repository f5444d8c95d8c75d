"""``cache.lock``: of all processes that share a backend, one does something at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from ._engine import Patience
from .backends._leasing.leases import Lease, can_lease
from .calls.waiting.offload import elsewhere, stepwise
from .errors import CacheLockError

__all__ = ["CacheLock"]

_PREFIX = "flask_caching_lock:"

_HINT = "it is held inside of `with cache.lock(...):`, and a CacheLockError says that it is not had"

logger = logging.getLogger("flask_caching")


class CacheLock:
    """A lock that all processes share which use the same backend, for ``with`` or ``async with``.

    It is kept in the cache: a ``clear`` frees it, and it is worth no more than that is. It belongs
    to whoever entered it, not to a thread, and cannot be entered twice.

    :param backend: where it is kept.
    :param name: what it is called.
    :param timeout: seconds after which it is free again, whatever becomes of its holder.
    :param wait: how many seconds to wait for it at most; None: as long as it takes; 0: not at all.
    :raises CacheLockError: the backend cannot add a key atomically.
    """

    def __init__(self, backend: Any, name: str, timeout: float, wait: float | None) -> None:
        if not can_lease(backend):
            raise CacheLockError(
                f"{type(backend).__name__} has no add() that is atomic, so it has no locks"
            )
        self.name = name
        self._timeout = timeout
        self._wait = wait
        self._backend = backend
        self._is_remote = getattr(backend, "_is_remote", False)
        self._lease: Lease | None = None
        self._was_entered = False

    def __repr__(self) -> str:
        return f"<CacheLock {self.name!r}, {'held' if self._lease is not None else 'not held'}>"

    def __getattr__(self, name: str) -> Any:
        if name in ("acquire", "release"):
            raise AttributeError(f"a CacheLock has no {name}(): {_HINT}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __bool__(self) -> bool:
        # `if cache.lock(...)` would hold nothing, and go on.
        raise TypeError(f"a CacheLock is neither true nor false: {_HINT}")

    def __del__(self) -> None:
        # One that could not be made has no name.
        if not vars(self).get("_was_entered", True):
            logger.warning(
                "The lock %r was made and not entered, so it kept nobody out: %s", self.name, _HINT
            )

    def __enter__(self) -> Self:
        for pause in self._entering(self._new_lease(), threading.Event()):
            time.sleep(pause)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.free()

    async def __aenter__(self) -> Self:
        lease, gave_up = self._new_lease(), threading.Event()
        try:
            await stepwise(self._entering(lease, gave_up), self._is_remote)
        except asyncio.CancelledError:
            # It leaves a thread behind, which may come to have it only now.
            gave_up.set()
            if self._lease is lease:
                self._lease = None
            await self._call(lease.free)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            await self._call(lease.free)

    def renew(self) -> None:
        """Hold it for ``timeout`` seconds more, from now.

        :raises CacheLockError: it is not held, or is not held any more: its time was over.
        """
        if self._lease is None or not self._lease.renew():
            raise CacheLockError(
                f"the lock {self.name!r} is not held any more: it is free again {self._timeout:g} "
                "seconds after it was entered or renewed"
                if self._lease is not None
                else f"the lock {self.name!r} is not held: renew it inside of the with statement"
            )

    def _new_lease(self) -> Lease:
        self._was_entered = True
        if self._lease is not None:
            raise CacheLockError(f"the lock {self.name!r} is entered already; make another one")
        return Lease(self._backend, _PREFIX + self.name, self._timeout)

    def _entering(self, lease: Lease, gave_up: threading.Event) -> Iterator[float]:
        """The seconds from one question to the next, until it is had."""
        patience = Patience(self._wait)
        while not lease.take():
            pause = patience.next_pause()
            if pause is None:
                raise self._not_had()
            yield pause
        self._lease = lease
        if gave_up.is_set():
            self._lease = None
            lease.free()

    def _not_had(self) -> CacheLockError:
        return CacheLockError(
            f"the lock {self.name!r} could not be had"
            + (f" within {self._wait:g} seconds" if self._wait else "; somebody has it")
        )

    async def _call(self, operation: Any) -> bool:
        return bool(await elsewhere(operation) if self._is_remote else operation())
