"""What is known of the servers behind a cache: ``cache.health()``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ._engine import NearCopies

__all__ = ["CacheHealth", "NearHealth", "ServerHealth"]


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """What this process knows of one server.

    :param server: how errors and logs call it; no password is in it.
    :param is_left_alone: whether it failed a moment ago, so that nothing would be tried now.
    :param failing_for: seconds for which it has not been usable, or has refused to store; None: it
        is well.
    :param failures: how many operations have gone without it since then.
    :param last_error: the text of its last error, of whatever time; None: there was none.
    :param last_error_age: seconds since then.
    """

    server: str
    is_left_alone: bool = False
    failing_for: float | None = None
    failures: int = 0
    last_error: str | None = None
    last_error_age: float | None = None


@dataclass(frozen=True, slots=True)
class NearHealth:
    """The copies nearby of a cache with ``CACHE_NEAR``, in this process.

    :param is_current: whether they are read at present; otherwise the servers are asked each time.
        They begin with the first entry that is read.
    :param entries: how many there are, those included that are not read any more.
    :param bytes: what these take; None: that is not bounded.
    :param trouble: why they are not read, where that is known; no password is in it.
    """

    is_current: bool
    entries: int = 0
    bytes: int | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class CacheHealth:
    """What this process knows of the backend of the active application.

    :param backend: the name of its class.
    :param where: where it keeps its entries, for people; no password is in it.
    :param servers: the servers that have been heard of; empty where there is none, or where a
        client of the application's own talks to them.
    :param owes: whether a deletion has not reached its server yet; it is delivered before anything
        deleted could be read.
    :param near: its copies nearby; None: it keeps none.
    """

    backend: str
    where: str = ""
    servers: tuple[ServerHealth, ...] = ()
    owes: bool = False
    near: NearHealth | None = None

    @property
    def is_well(self) -> bool:
        """Whether no server is failing, and no deletion owed."""
        return not self.owes and all(server.failing_for is None for server in self.servers)

    def as_dict(self) -> dict[str, Any]:
        """All of it as a new dictionary."""
        return asdict(self)


def health_of(backend: Any) -> CacheHealth:
    """The health of a backend, as far as this process knows it; nobody is asked."""
    store: Any = getattr(backend, "_store", None)
    rows = store.server_health() if hasattr(store, "server_health") else []
    servers = tuple(
        ServerHealth(server, is_left_alone, failing_for, failures, *(last_error or ()))
        for server, is_left_alone, failing_for, failures, last_error in rows
    )
    whereabouts = getattr(backend, "_whereabouts", str)
    owes = getattr(store, "owes", bool)
    near = _near_of(getattr(backend, "_quick", None))
    return CacheHealth(type(backend).__name__, whereabouts(), servers, owes(), near)


def _near_of(copies: Any) -> NearHealth | None:
    if not isinstance(copies, NearCopies):
        return None
    is_current, trouble = copies.state()
    entries, bytes_, _ = copies._usage()
    return NearHealth(is_current, entries, bytes_, trouble)
