"""Single flight across processes: who computes has a lease of the key, the others wait for him."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .._engine import MISSING, Claimant, Turn, renewal_pause
from ..backends._claims import Claim, ClaimBeside, Found, claim_of, is_current
from .following import lead
from .offload import elsewhere
from .refresh import has_threads

if TYPE_CHECKING:
    from .policy import CallPolicy

__all__ = ["hold", "hold_awaited"]

#: How often one who does not wait tries to have the lease of what changes under his eyes.
_ATTEMPTS = 5


class Held:
    """The lease that a call computes under. It is let go of when nobody knows it any more.

    :param claim: the lease.
    """

    def __init__(self, claim: Claim | ClaimBeside) -> None:
        self.claim = claim
        self._pid = os.getpid()

    def write(self, port: Any, key: Any, encoded: Any, timeout: Any) -> bool | None:
        """Store a result, unless something was deleted meanwhile.

        :return: whether it is stored; None: it was superseded.
        """
        # What a child of `fork()` has of its parent's calls is no business of it.
        if self._pid != os.getpid():
            return None
        return self.claim.write(port, key, encoded, timeout)

    def over(self, is_refused: bool) -> None:
        """The computation is over.

        :param is_refused: its result is its caller's alone.
        """
        if self._pid == os.getpid():
            _renewals().end(self, is_refused)


class _Renewals:
    """The leases that this process has, and the thread that renews them while there are some."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._held: dict[int, tuple[weakref.ref[Held], Claim | ClaimBeside]] = {}
        #: Those that nobody knows any more, and those that an event loop cannot wait for.
        self._ended: deque[tuple[Claim | ClaimBeside, bool]] = deque()
        self._is_running = False

    def keep(self, held: Held) -> None:
        """Renew a lease until it ends."""
        number, claim, ended = id(held), held.claim, self._ended
        # It may be called at any time in any thread, so it takes no lock.
        reference = weakref.ref(held, lambda _: ended.append((claim, False)))
        with self._condition:
            self._held[number] = reference, claim
            self._start()

    def end(self, held: Held, is_refused: bool) -> None:
        """Renew a lease no more, and let others have it."""
        waits = asyncio._get_running_loop() is not None
        with self._condition:
            if self._held.pop(id(held), None) is None:
                return
            if waits:
                self._ended.append((held.claim, is_refused))
                self._start()
        if not waits:
            _end(held.claim, is_refused)

    def _start(self) -> None:
        if self._is_running:
            self._condition.notify()
            return
        if not has_threads():
            return
        try:
            threading.Thread(target=self._run, name="flask-caching-leases", daemon=True).start()
        except RuntimeError:
            # The interpreter ends, or there can be no more threads: time frees the leases.
            return
        self._is_running = True

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._ended:
                    seconds = [claim.seconds for _, claim in self._held.values()]
                    if not seconds:
                        self._is_running = False
                        return
                    self._condition.wait(renewal_pause(min(seconds)))
                alive = [(number, *kept) for number, kept in self._held.items()]
                is_over = bool(self._ended)
            while self._ended:
                _end(*self._ended.popleft())
            lost = []
            for number, reference, claim in alive:
                if reference() is None or not (is_over or _renewed(claim)):
                    lost.append((number, reference))
            with self._condition:
                for number, reference in lost:
                    kept = self._held.get(number)
                    if kept is not None and kept[0] is reference:
                        del self._held[number]


def _renewed(claim: Claim | ClaimBeside) -> bool:
    try:
        return claim.renew()
    except Exception:
        # The cache fails: the next attempt, or whoever stores, may find it working.
        return True


def _end(claim: Claim | ClaimBeside, is_refused: bool) -> None:
    # What fails here costs the others its time to live.
    with contextlib.suppress(Exception):
        claim.end(is_refused)


_made: _Renewals | None = None
_lock = threading.Lock()


def _renewals() -> _Renewals:
    global _made
    with _lock:
        if _made is None:
            # Not before: gevent may have patched threads only now.
            _made = _Renewals()
        return _made


def _forget_leases() -> None:
    # They belong to the process that this one was forked from.
    global _made, _lock
    _made, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_leases)


def hold(policy: CallPolicy, turn: Turn) -> None:
    """Take the lease of what ``turn`` is to compute; where somebody has it, wait for a while.

    The turn goes on with a lease or without, or is looked for again.
    """
    for pause in _steps(policy, Claimant(turn)):
        time.sleep(pause)


async def hold_awaited(policy: CallPolicy, turn: Turn) -> None:
    """The same, while the event loop goes on."""
    lead(turn)
    steps = _steps(policy, Claimant(turn))
    while True:
        pause = await elsewhere(next, steps, None) if turn.waits else next(steps, None)
        if pause is None:
            return
        await asyncio.sleep(pause)


def _steps(policy: CallPolicy, claimant: Claimant) -> Iterator[float]:
    """The seconds from one question to the next; after the last one the turn goes on."""
    state, backend, key, port = claimant.terms()
    if getattr(backend, "_keeps_nothing", False):
        claimant.go_without()
        return
    try:
        claim = claim_of(port, key, state.lease_ttl)
        if claim is not None:
            yield from _claimed(policy, claim, claimant, port, key, state.wait)
        else:
            claimant.go_without()
            policy.note_no_leases(backend)
    except Exception as error:
        # A backend that fails means to compute, and never to wait. What is computed is not stored:
        # nobody could tell what was deleted meanwhile.
        state.failed(backend, error, "reading", policy.name)


def _claimed(
    policy: CallPolicy,
    claim: Claim | ClaimBeside,
    claimant: Claimant,
    port: Any,
    key: Any,
    longest: float,
) -> Iterator[float]:
    may_wait = not (claimant.is_forced or claimant.is_background)
    if may_wait and claimant.is_elsewhere:
        pause = claimant.next_pause(longest)
        if pause is not None:
            yield pause
            claimant.look_again()
            return
    backend, is_beside = port.backend, isinstance(claim, ClaimBeside)
    for _ in range(_ATTEMPTS):
        if (is_beside or not claimant.is_over_value) and claim.take():
            if is_beside and may_wait and not claimant.is_over_value and _is_there(port, key):
                # Somebody has computed it between this call's question and its lease.
                claim.end(is_refused=False)
                claimant.hurry()
            else:
                _compute_under(claim, claimant)
            return
        found = claim.look()
        if found is None:
            if not is_beside and claim.take():
                _compute_under(claim, claimant)
                return
        elif claimant.is_forced:
            if claim.seize(found):
                _compute_under(claim, claimant)
                return
        elif found.lease == "held":
            if claimant.is_background:
                claimant.decline()
                return
            pause = claimant.next_pause(longest)
            if pause is not None:
                yield pause
                claimant.look_again()
            else:
                claim.watch(found)
                claimant.hold(Held(claim))
            return
        elif found.lease == "refused":
            claim.watch(found)
            claimant.hold(Held(claim))
            return
        elif _is_news(policy, backend, found, claimant):
            if claimant.is_background:
                claimant.decline()
            else:
                claimant.hurry()
            return
        elif claim.take_over(found):
            _compute_under(claim, claimant)
            return
    if claimant.is_forced:
        claimant.go_without()


def _compute_under(claim: Claim | ClaimBeside, claimant: Claimant) -> None:
    held = Held(claim)
    _renewals().keep(held)
    claimant.hold(held)


def _is_there(port: Any, key: Any) -> bool:
    value = port.read(key)
    return value is not MISSING and value is not None


def _is_news(policy: CallPolicy, backend: Any, found: Found, claimant: Claimant) -> bool:
    """Whether what is there may be an answer, other than what the call has seen."""
    if not claimant.may_hurry and not claimant.is_background:
        return False
    if claimant.is_over_value and not claimant.is_over_stale:
        # The policy will not have it.
        return False
    if found.value is None and not policy.cache_none:
        return False
    return found.metadata is None or is_current(backend, found.value, found.metadata)
