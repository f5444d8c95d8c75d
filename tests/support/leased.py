"""What leases do on any backend, where one call does what several processes would."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_caching import Cache
from flask_caching._engine import SealedValue

__all__ = ["check_leases", "lease_of"]


def lease_of(backend: Any, key: str) -> str | None:
    """What the lease of a key of one of our backends says."""
    found = backend._find(key)
    return found.metadata.lease if type(found) is SealedValue else None


def check_leases(backend: Any) -> None:
    """Calls hold leases while they compute, and what is deleted meanwhile is not found."""
    app = Flask("leased")
    cache = Cache(app, config={"CACHE_TYPE": lambda app, config, args, kwargs: backend})
    held: list[str | None] = []
    deletes = False

    def compute() -> list[int]:
        held.append(lease_of(backend, "leased"))
        if deletes:
            # As another process does it, of which this one does not hear.
            backend.delete("leased")
        return [len(held)]

    view = cache.cached(key_prefix="leased", lease=True, timeout=60)(compute)
    with app.app_context():
        backend.delete("leased")
        assert [view(), view()] == [[1], [1]]
        assert lease_of(backend, "leased") is None
        backend.delete("leased")
        deletes = True
        assert view() == [2]
        assert backend.get("leased") is None
        assert view() == [3]
    assert held == ["held"] * 3
