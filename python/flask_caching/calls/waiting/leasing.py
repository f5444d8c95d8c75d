"""Single flight across processes: who computes has a lease of the key, the others wait for him."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._engine import MISSING, Claimant, Renewals, Turn
from ...backends._leasing.claims import (
    MOMENT,
    NOTHING,
    Claim,
    ClaimBeside,
    Found,
    Note,
    Outcome,
    claim_of,
    is_current,
)
from ..refresh import has_threads
from .following import task
from .offload import stepwise
from .per_process import PerProcess

if TYPE_CHECKING:
    from ..policy import CallPolicy

__all__ = ["hold", "hold_awaited"]

#: How often a call that may not wait tries to get a lease of an entry that others keep changing.
_ATTEMPTS = 5

_numbers = itertools.count()


class Held:
    """The lease that a call computes under. It is given up when it is garbage collected.

    :param claim: the lease.
    :param retry: for how many seconds nobody tries what has failed.
    """

    def __init__(self, claim: Claim | ClaimBeside, retry: float = 0) -> None:
        self.claim = claim
        self.number = next(_numbers)
        self._retry = retry
        self._pid = os.getpid()

    def write(self, port: Any, key: Any, encoded: Any, timeout: Any) -> bool | None:
        """Store a result, unless something was deleted meanwhile.

        :return: whether it is stored; None: it was superseded.
        """
        # A child of `fork()` has a copy of its parent's lease, which is not its own.
        if self._pid != os.getpid():
            return None
        return self.claim.write(port, key, encoded, timeout)

    def over(self, outcome: Outcome | None) -> None:
        """The computation is over.

        :param outcome: "refused": its result is its caller's alone; "failed": it has none, and an
            older value stands.
        """
        if self._pid == os.getpid():
            _renewals().end(self, Note(outcome, self._retry if outcome == "failed" else MOMENT))


class _Renewals:
    """The leases that this process has, and the thread that renews them while there are some."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._held: dict[int, tuple[weakref.ref[Held], Claim | ClaimBeside]] = {}
        self._schedule = Renewals()
        #: Those that were garbage collected, and those that an event loop cannot wait to end.
        self._ended: deque[tuple[Claim | ClaimBeside, Note]] = deque()
        self._is_running = False

    def keep(self, held: Held) -> None:
        """Renew a lease until it ends."""
        claim, ended = held.claim, self._ended
        # It may be called at any time in any thread, so it takes no lock.
        reference = weakref.ref(held, lambda _: ended.append((claim, NOTHING)))
        with self._condition:
            self._held[held.number] = reference, claim
            if self._schedule.keep(held.number, claim.seconds) or not self._is_running:
                self._wake()

    def end(self, held: Held, note: Note) -> None:
        """Renew a lease no more, and let others have it."""
        waits = asyncio._get_running_loop() is not None
        with self._condition:
            if not self._forget(held.number):
                return
            if waits:
                self._ended.append((held.claim, note))
                self._wake()
        if not waits:
            _end(held.claim, note)

    def _forget(self, number: int) -> bool:
        self._schedule.end(number)
        return self._held.pop(number, None) is not None

    def _wake(self) -> None:
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
                    pause = self._schedule.pause()
                    if pause is None:
                        self._is_running = False
                        return
                    self._condition.wait(pause)
                due = [(number, *self._held[number]) for number in self._schedule.take_due()]
            while self._ended:
                _end(*self._ended.popleft())
            for number, reference, claim in due:
                if reference() is None or not _renewed(claim):
                    with self._condition:
                        self._forget(number)


def _renewed(claim: Claim | ClaimBeside) -> bool:
    try:
        return claim.renew()
    except Exception:
        # The cache fails: the next attempt, or whoever stores, may find it working.
        return True


def _end(claim: Claim | ClaimBeside, note: Note) -> None:
    # What fails here costs the others its time to live.
    with contextlib.suppress(Exception):
        claim.end(note)


_renewals = PerProcess(_Renewals)


def hold(policy: CallPolicy, turn: Turn) -> None:
    """Take the lease of what ``turn`` is to compute; where somebody has it, wait for a while.

    The turn goes on with a lease or without, or is looked for again.
    """
    for pause in _steps(policy, Claimant(turn)):
        time.sleep(pause)


async def hold_awaited(policy: CallPolicy, turn: Turn) -> None:
    """As :func:`hold`, while the event loop goes on."""
    turn.lead_as(task())
    await stepwise(_steps(policy, Claimant(turn)), turn.waits)


def _steps(policy: CallPolicy, claimant: Claimant) -> Generator[float, None, None]:
    """The seconds from one question to the next; after the last one the turn goes on."""
    state, backend = claimant.state, claimant.backend
    if getattr(backend, "_keeps_nothing", False):
        claimant.go_without()
        return
    try:
        claim = claim_of(claimant.port, claimant.key, state.lease_ttl)
        if claim is not None:
            yield from _Attempt(policy, claim, claimant).steps()
        else:
            claimant.go_without()
            policy.note_no_leases(backend)
    except Exception as error:
        # A backend that fails means to compute, and never to wait. What is computed is not stored:
        # nobody could tell what was deleted meanwhile.
        state.failed(backend, error, "reading", policy.name)


@dataclass
class _Attempt:
    """An attempt to have a lease. What it does about what it finds, the engine says."""

    policy: CallPolicy
    claim: Claim | ClaimBeside
    claimant: Claimant

    def steps(self) -> Generator[float, None, None]:
        """The seconds to wait, if any, before the call is looked for again."""
        claim, claimant = self.claim, self.claimant
        if claimant.is_elsewhere and claimant.may_wait and (yield from self._wait()):
            return
        is_beside = isinstance(claim, ClaimBeside)
        found = claim.look() if claimant.is_over_value and not is_beside else None
        for _ in range(_ATTEMPTS):
            step = claimant.step(None if found is None else self._kind_of(found))
            if found is None:
                if claim.take():
                    self._compute()
                    return
            elif step == "wait" or step == "watch":
                if step == "watch" or not (yield from self._wait()):
                    claim.watch(found)
                    claimant.hold(Held(claim))
                return
            elif step == "decline":
                claimant.decline()
                return
            elif step == "look again":
                claimant.look_again(hurry=True)
                return
            elif claim.seize(found) if step == "seize" else claim.take_over(found):
                self._compute()
                return
            found = claim.look()
        if claimant.step("value") == "seize":
            # Others change it time and again: what is forced is stored whatever they do.
            claimant.go_without()

    def _wait(self) -> Generator[float, None, bool]:
        """Wait for who has the lease; whether there was time left for that."""
        pause = self.claimant.next_pause(self.claimant.state.wait)
        if pause is None:
            return False
        yield pause
        self.claimant.look_again()
        return True

    def _compute(self) -> None:
        claim, claimant = self.claim, self.claimant
        if isinstance(claim, ClaimBeside) and claimant.may_wait and not claimant.is_over_value:
            value = claimant.port.read(claimant.key)
            if value is not MISSING and value is not None:
                # Somebody has computed it between this call's question and its lease.
                claim.end(NOTHING)
                claimant.look_again(hurry=True)
                return
        held = Held(claim, claimant.state.stale_retry)
        _renewals().keep(held)
        claimant.hold(held)

    def _kind_of(self, found: Found) -> Any:
        """What was found: "held", "refused", "failed"; "answer": it may be one; "value"."""
        claimant = self.claimant
        if found.lease is not None:
            return found.lease
        if claimant.is_over_value and not claimant.is_over_stale:
            # The policy will not have it.
            return "value"
        if found.value is None and not self.policy.cache_none:
            return "value"
        is_answer = found.metadata is None or is_current(
            claimant.backend, found.value, found.metadata
        )
        return "answer" if is_answer else "value"
