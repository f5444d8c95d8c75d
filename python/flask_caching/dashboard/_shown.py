"""What the page shows, as JSON."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from flask import current_app

from ..calls.memoized import MemoizePolicy

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["shown"]


def shown(cache: Cache) -> dict[str, Any]:
    """Counts, servers and functions of a cache at this moment.

    :raises CacheNotInitializedError: it is not set up for the active application.
    """
    totals = cache.stats().as_dict()
    functions = totals.pop("functions")
    memoized = {policy.name for policy in cache._policies if isinstance(policy, MemoizePolicy)}
    return {
        "app": current_app.name,
        "process": os.getpid(),
        "health": cache.health().as_dict(),
        "totals": totals,
        "functions": [
            {"name": name, "can_forget": name in memoized, **counts}
            for name, counts in functions.items()
        ],
        "refusals": [],
    }
