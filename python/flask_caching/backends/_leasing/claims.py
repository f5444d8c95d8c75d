"""Who computes what is under a key, among all processes: leases of calls.

Where a backend stores bytes, the lease is in the place of the value (:class:`Claim`): an entry that
holds None for whoever knows of no leases, with a token behind it; or the old value, with the token
behind that. The result is stored in the place of exactly these bytes, in one step: whoever deletes
the entry, or writes another one, has won, without knowing of leases. Elsewhere it is beside the
value (:class:`ClaimBeside`), and deletions take it away as well.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..._engine import MISSING, Metadata, SealedValue, replaced_methods
from ...errors import UnstorableValueError
from .._bytes.backend import ByteBackend
from .._bytes.tagged import current
from .leases import Lease, add_lease, can_lease, token_under

if TYPE_CHECKING:
    from ...extension.port import Port
    from .._bytes.encoded import Encoded

__all__ = [
    "MOMENT",
    "NOTHING",
    "Claim",
    "ClaimBeside",
    "Found",
    "Note",
    "Outcome",
    "claim_of",
    "end_leases",
    "is_current",
]

_SUFFIX = "_lease"
_FENCE_SUFFIX = "_lease_fence"
#: Seconds that a fence lives at least: no computation takes longer whose result is to be stored.
_FENCE_SECONDS = 86_400.0
#: In place of a token: the last result is its caller's alone, so that nobody waits for the next.
_REFUSED: Outcome = "refused"
#: Seconds that this counts; see the engine's ``flight/refusals.rs``.
MOMENT = 1.0

Outcome = Literal["refused", "failed"]


class Note(NamedTuple):
    """What whoever had a lease leaves behind where he has stored no result.

    :param outcome: "refused": nobody is to wait for the next result, as the last one was its
        caller's alone; "failed": there is none, and an older value stands; None: nothing.
    :param seconds: for how long that counts.
    """

    outcome: Outcome | None
    seconds: float


NOTHING = Note(None, 0)

#: Bytes and flags.
_Stored = tuple[bytes, int]


class Found(NamedTuple):
    """What is there instead of a lease of one's own.

    :param stored: the bytes and flags, or the token of who has the lease.
    :param value: the value; ``MISSING`` where there is none.
    :param metadata: what is known beside it.
    :param lease: "held", "refused", "failed", or None.
    """

    stored: Any
    value: Any
    metadata: Metadata | None
    lease: str | None


def claim_of(port: Port, key: str, seconds: float) -> Claim | ClaimBeside | None:
    """The lease of a call, which is not taken yet; None where the backend has no leases.

    :param port: the way to its backend.
    :param key: of the value.
    :param seconds: how long it lives without being renewed.
    """
    backend: Any = port.backend
    if port.keeps_metadata and isinstance(backend, ByteBackend):
        try:
            return Claim(backend, key, max(seconds, backend._shortest_lease))
        except UnstorableValueError:
            # Nothing can stand behind what makes its bytes.
            pass
    return ClaimBeside(backend, key, seconds) if can_lease(backend) else None


def is_current(backend: Any, value: Any, metadata: Metadata) -> bool:
    """Whether a value is fresh, and none of its tags was deleted."""
    return current(backend, [SealedValue(value, metadata)])[0] is not MISSING


@dataclass
class _Open:
    """An old value, behind which something is to stand."""

    data: bytes
    flags: int
    metadata: Metadata


class Claim:
    """The lease of one call, in the place of the value.

    :param backend: where it is stored.
    :param key: its key.
    :param seconds: how long it lives without being renewed.
    :raises UnstorableValueError: nothing can stand behind a value there.
    """

    def __init__(self, backend: ByteBackend, key: str, seconds: float) -> None:
        self.seconds = seconds
        self._backend = backend
        self._key = key
        self._token = secrets.token_bytes(16)
        # Made here: a prefix may be one of the request.
        encoded = backend._encode(key, None, (), True)
        self._store, self._wire_key = encoded.store, encoded.key
        self._none = _Open(encoded.data, encoded.flags, Metadata.in_place(self._token, False))
        #: One at a time renews it, stores over it, or ends it. No code of the application runs.
        self._lock = threading.Lock()
        #: What has to be there for the result to be stored; None: it is not to be.
        self._expected: _Stored | None = None
        #: What is put there where no result is stored.
        self._before: _Stored | None = None
        #: The old value that it is behind.
        self._over: _Open | None = None
        self._is_own = False

    def take(self) -> bool:
        """Take it, where there is nothing."""
        marker = self._bytes(self._none, self._none.metadata)
        if not add_lease(self._store, self._wire_key, marker, self.seconds):
            return False
        self._expected, self._is_own = marker, True
        return True

    def look(self) -> Found | None:
        """What is there; None: nothing, or nothing that can be read."""
        stored = self._store.get(self._wire_key)
        if stored is None:
            return None
        value = self._backend._unpack(self._key, self._wire_key, stored)
        if value is MISSING:
            return None
        if type(value) is not SealedValue:
            return Found(stored, value, None, None)
        metadata = value.metadata
        found = value.value if metadata.has_value else MISSING
        return Found(stored, found, metadata, metadata.lease)

    def watch(self, found: Found) -> None:
        """Compute beside who has it: whose result is stored first is the one."""
        self._expected = found.stored

    def seize(self, found: Found) -> bool:
        """Take it over whatever is there; False: that has changed."""
        if found.value is not MISSING:
            return self.take_over(found)
        marker = self._bytes(self._none, self._none.metadata)
        done = self._store.set_if(self._wire_key, found.stored, marker, timeout=self.seconds)
        if done:
            self._expected, self._is_own = marker, True
        return done

    def take_over(self, found: Found) -> bool:
        """Take it behind an old value, which stays there; False: that has changed."""
        encoded = self._backend._encode(self._key, found.value, (), True)
        metadata = found.metadata or Metadata([])
        over = _Open(encoded.data, encoded.flags, metadata.unleased())
        leased = self._bytes(over, over.metadata.leased(self._token, self.seconds, "held"))
        # Where nobody can tell what is left of its life: metadata says how old it is.
        timeout = self.seconds if found.metadata is None else self._backend._timeout(None)
        if not self._store.compare_exchange(self._wire_key, found.stored, leased, timeout=timeout):
            return False
        if found.metadata is not None:
            # The lease is not to end with what is left of an old value's life.
            self._store.extend(self._wire_key, timeout=self.seconds)
        self._before = found.stored if found.lease is None else self._bytes(over, over.metadata)
        self._expected, self._over, self._is_own = leased, over, True
        return True

    def renew(self) -> bool:
        """Let it live as long again as at first; False: it is not held any more."""
        with self._lock:
            if not self._is_own or self._expected is None:
                return False
            if self._over is None:
                self._is_own = self._store.set_if(
                    self._wire_key, self._expected, self._expected, timeout=self.seconds
                )
            else:
                metadata = self._over.metadata.leased(self._token, self.seconds, "held")
                leased = self._bytes(self._over, metadata)
                self._is_own = self._store.compare_exchange(
                    self._wire_key,
                    self._expected,
                    leased,
                    timeout=self._backend._timeout(None),
                )
                self._expected = leased
                self._store.extend(self._wire_key, timeout=self.seconds)
            return self._is_own

    def write(self, port: Port, key: Any, encoded: Encoded, timeout: Any) -> bool | None:
        """Store a result over it, unless something was deleted or written meanwhile.

        :return: whether it is stored; None: it was superseded.
        """
        with self._lock:
            expected, self._expected = self._expected, None
            if expected is None:
                return None
            own, self._is_own = self._is_own, False
            backend = self._backend
            packed = encoded.data, encoded.flags
            value = getattr(encoded, "value", MISSING)
            if value is not MISSING:
                # Text or bytes, which files write as they are.
                packed = backend._pack(self._key, encoded.key, value)
            lifetime = backend._timeout(timeout)
            if encoded.store.set_if(encoded.key, expected, packed, timeout=lifetime):
                return True
            # What is still there was not superseded, but refused.
            refused = own and encoded.store.compare_exchange(encoded.key, expected, None)
            return False if refused else None

    def end(self, note: Note) -> None:
        """Let others have it, where no result was stored."""
        with self._lock:
            expected, self._expected = self._expected, None
            if not self._is_own or expected is None:
                return
            self._is_own = False
            over, (outcome, seconds) = self._over, note
            if over is None:
                if outcome != "refused":
                    self._store.compare_exchange(self._wire_key, expected, None)
                    return
                told = self._bytes(self._none, Metadata.in_place(self._token, True))
                self._store.set_if(self._wire_key, expected, told, timeout=seconds)
                return
            before = self._before
            if outcome is not None and seconds > 0:
                before = self._bytes(over, over.metadata.leased(self._token, seconds, outcome))
            self._store.compare_exchange(self._wire_key, expected, before, timeout=self.seconds)

    def _bytes(self, open: _Open, metadata: Metadata) -> _Stored:
        data = metadata.seal(open.data)
        return self._backend._wrap(self._wire_key, data, open.flags), open.flags


class ClaimBeside:
    """The lease of one call, beside the value; otherwise as :class:`Claim`.

    Renewing it is two steps, and one that is deleted between them comes back. So there is a fence,
    which is only ever added: whoever computes looks for it before and after he stores. What he
    stored without it is taken back; in between, for the time of a question, others may find it.
    """

    def __init__(self, backend: Any, key: str, seconds: float) -> None:
        self.seconds = seconds
        self._backend = backend
        self._name = f"{key}{_SUFFIX}"
        self._lease = Lease(backend, self._name, seconds)
        self._fence = Lease(backend, f"{key}{_FENCE_SUFFIX}", _FENCE_SECONDS)
        self._is_own = False
        self._has_fence = False
        self._is_over = False

    def take(self) -> bool:
        """Take it, unless somebody has it."""
        self._is_own = self._lease.take()
        if self._is_own:
            self._put_up_fence()
        return self._is_own

    def look(self) -> Found | None:
        """The token of whoever has it; None: nobody does."""
        token = token_under(self._backend, self._name)
        if token is None:
            return None
        return Found(token, MISSING, None, "refused" if token == _REFUSED else "held")

    def watch(self, found: Found) -> None:
        """Compute beside who has it: a deletion takes that one's fence away."""
        self._has_fence = self._fence.take()
        token = None if self._has_fence else self._fence.present()
        if token is not None:
            self._fence = self._fence.watching(token)

    def seize(self, found: Found) -> bool:
        """Take it from whoever has it."""
        self._is_own = self._lease.put()
        self._put_up_fence()
        return self._is_own

    def take_over(self, found: Found) -> bool:
        """There is no value where the lease is."""
        return False

    def renew(self) -> bool:
        """Let it live as long again as at first; False: it is not held any more."""
        if not self._is_own or not self._lease.renew():
            return False
        if self._fence.is_held():
            return True
        # It was deleted at this moment, and is back.
        self._lease.free()
        return False

    def write(self, port: Port, key: Any, encoded: Any, timeout: Any) -> bool | None:
        """Store a result, unless something was deleted meanwhile."""
        if not self._fence.is_held():
            self._end(NOTHING)
            return None
        done = port.put(encoded, key, timeout)
        if done and not self._fence.is_held():
            port.undo(key, encoded, ())
            self._end(NOTHING)
            return None
        self._end(NOTHING if done else Note(_REFUSED, MOMENT))
        return done

    def end(self, note: Note) -> None:
        """Let others have it."""
        if not self._is_over:
            self._end(note)

    def _end(self, note: Note) -> None:
        self._is_over = True
        own, self._is_own = self._is_own, False
        if self._has_fence:
            self._fence.free()
        if own and self._lease.free() and note.outcome == _REFUSED:
            self._backend.add(self._name, _REFUSED, timeout=note.seconds)

    def _put_up_fence(self) -> None:
        self._has_fence = self._fence.take()
        if not self._has_fence:
            # One who had the lease before was killed, or is late.
            self._backend.delete(self._fence.key)
            self._has_fence = self._fence.take()


def end_leases(cache: Any, backend: Any, keys: tuple[Any, ...]) -> None:
    """Take the leases away that stand beside what is about to be deleted, whoever has them."""
    if isinstance(backend, ByteBackend) and _holds_claims(cache, backend):
        return
    suffixes = _FENCE_SUFFIX, _SUFFIX
    names = [f"{key}{suffix}" for key in keys if isinstance(key, str) for suffix in suffixes]
    try:
        for name in names:
            backend.delete(name)
    except Exception:
        # Whether the cache fails, the deletion itself finds out.
        pass


def _holds_claims(cache: Any, backend: ByteBackend) -> bool:
    if {"get", "get_many", "set"} & set(replaced_methods(cache)):
        return False
    try:
        backend._present_codec().encode_open(None)
    except UnstorableValueError:
        return False
    return True
