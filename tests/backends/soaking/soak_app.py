"""An application for the soak of processes: each page computes a number, and says that it does.

``TEST_CACHE`` has the configuration of its cache, in JSON; ``SOAK_FOLDER`` the numbers, and the log
of what was computed, in which a line is one write.
"""

import itertools
import json
import logging
import mmap
import os
import random
import struct
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask
from flask_caching import Cache
from flask_caching._engine import SealedValue
from flask_caching.backends._leasing.claims import Claim

FOLDER = Path(os.environ["SOAK_FOLDER"])

app = Flask("soak")
app.config.update(json.loads(os.environ["TEST_CACHE"]), CACHE_KEY_PREFIX="soak_")
cache = Cache(app)

_numbers = (FOLDER / "numbers").open("r+b")
numbers = mmap.mmap(_numbers.fileno(), 0)
_log = os.open(FOLDER / "computed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_serial = itertools.count()


def note(*words: object) -> None:
    os.write(_log, (" ".join(map(str, (*words, time.monotonic()))) + "\n").encode())


class _Failures(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note("failed", os.getpid())


logging.getLogger("flask_caching").addHandler(_Failures())


_asked = threading.local()


def asking(method: Any) -> Any:
    """The same, and the thread knows since when it may have its lease."""

    def ask(*args: Any) -> Any:
        _asked.at = time.monotonic()
        return method(*args)

    return ask


Claim.take = asking(Claim.take)  # type: ignore[method-assign]
Claim.take_over = asking(Claim.take_over)  # type: ignore[method-assign]


def compute(kind: str, key: int) -> int:
    """The number of a key, after long enough for others to come to their turn."""
    name = f"{os.getpid()}-{next(_serial)}"
    note("begins", kind, key, os.getpid(), name, getattr(_asked, "at", time.monotonic()))
    number: int = struct.unpack_from("q", numbers, 8 * key)[0]
    time.sleep(random.random() * 0.03)
    note("ends", name)
    return number


@cache.memoize(timeout=5)
def memoized(key: int) -> int:
    return compute("memoized", key)


@cache.cached(timeout=5, make_cache_key=lambda key: f"cached {key}")
def cached(key: int) -> int:
    return compute("cached", key)


@cache.cached(timeout=1, stale_while_revalidate=20, make_cache_key=lambda key: f"stale {key}")
def stale(key: int) -> int:
    return compute("stale", key)


@cache.memoize(timeout=5, tags=lambda number, key: [f"tag {key}"])
def tagged(key: int) -> int:
    return compute("tagged", key)


_kinds = {"memoized": memoized, "cached": cached, "stale": stale, "tagged": tagged}


@app.get("/pid")
def pid() -> str:
    return f"pid {os.getpid()}"


@app.get("/call/<kind>/<int:key>")
def call(kind: str, key: int) -> str:
    return str(_kinds[kind](key))


@app.get("/forget/<how>/<int:key>")
def forget(how: str, key: int) -> str:
    if how == "clear":
        cache.clear()
        return "done"
    if how == "all":
        cache.delete_memoized(memoized)
    else:
        cache.delete_memoized(memoized, key)
    cache.delete_many(f"cached {key}", f"stale {key}")
    cache.delete_tags(f"tag {key}")
    return "done"


@app.get("/state")
def state() -> str:
    """This process's memory in KiB, its threads and its open files."""
    status = Path("/proc/self/status").read_text()
    memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return f"{os.getpid()} {memory} {threading.active_count()} {len(os.listdir('/proc/self/fd'))}"


@app.get("/leases/<int:keys>")
def leases(keys: int) -> str:
    """How many keys are leased."""
    names = [f"{kind} {key}" for kind in ("cached", "stale") for key in range(keys)]
    found = [cache.cache._find(name) for name in names]
    leased = [value for value in found if type(value) is SealedValue and value.metadata.lease]
    return str(len(leased))
