"""A process that reads through copies nearby, and checks that no answer is older than it may be.

``near_reader.py PORT PREFIX SECONDS MOST``: each key holds a number that only grows. What is read
must not be less than what this process was told had been written MOST seconds before it asked. It
is told on the standard input: a line ``key number when`` each, on the clock of the system.
"""

from __future__ import annotations

import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import redis
from flask_caching.errors import CacheBackendError
from near import Nearby

#: For each key, what was told and when.
_told: dict[str, list[tuple[float, int]]] = {}
_begun = threading.Event()


def listen() -> None:
    for line in sys.stdin:
        _begun.set()
        key, number, at = line.split()
        _told.setdefault(key, []).append((float(at), int(number)))


def least(key: str, before: float) -> int:
    """The number that was written to a key at least, at a time."""
    told = _told.get(key, [])
    return max((number for at, number in told[-200:] if at < before), default=-1)


def main(port: int, prefix: str, seconds: float, most: float) -> None:
    server: Any = SimpleNamespace(port=port, admin=redis.Redis(port=port))
    options = {"breaker_reset": 0.05, "operation_timeout": 0.2}
    near = Nearby(server, prefix, CACHE_OPTIONS=options, CACHE_NEAR_SILENCE=0.5)
    threading.Thread(target=listen, daemon=True).start()
    print("ready", flush=True)
    # The others may need long to be ready.
    _begun.wait()
    hits, copies, wrong, end = 0, 0, [], time.monotonic() + seconds
    while time.monotonic() < end:
        for key in [f"k{number}" for number in range(8)]:
            begun = time.monotonic()
            try:
                value = near.cache.get(key)
            except CacheBackendError:
                continue
            if value is None:
                continue
            hits += 1
            expected = least(key, begun - most)
            if value < expected:
                wrong.append((key, value, expected))
        copies = max(copies, near.cache.cache._quick._len())
        # Somebody writes every five of these; more rounds would only keep the processors busy.
        time.sleep(0.001)
    print(f"{hits} {copies} {wrong[:5]}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
