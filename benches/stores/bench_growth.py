"""How does the cost grow: with entries, threads, sizes of values, and thresholds?"""

from __future__ import annotations

import gc
import os
import random
import threading
from functools import partial
from itertools import count, cycle

from question import Question, Statement, make

READS = 20_000
MILLION = 1_000_000


def entries(code: str, number: int) -> Statement:
    """``code`` with a store of ``number`` entries, on its keys in an order of chance."""
    _, cache = make(CACHE_THRESHOLD=10 * MILLION)
    keys = [f"key {i}" for i in range(number)]
    for key in keys:
        cache.cache.set(key, "a value")
    random.Random(1).shuffle(keys)
    return Statement(code, {"backend": cache.cache, "keys": cycle(keys)})


def threads(number: int) -> Statement:
    """``READS`` reads of one store, divided among threads."""
    _, cache = make()
    backend = cache.cache
    backend.set("key", "a value")

    def read() -> None:
        for _ in range(READS // number):
            backend.get("key")

    def run() -> None:
        workers = [threading.Thread(target=read) for _ in range(number)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return Statement("run()", {"run": run})


def sizes(code: str, value: object) -> Statement:
    _, cache = make()
    cache.cache.set("key", value)
    return Statement(code, {"backend": cache.cache, "value": value})


def thresholds(threshold: int) -> Statement:
    """A new key on a store that is full."""
    _, cache = make(CACHE_THRESHOLD=threshold)
    for number in range(threshold + 1):
        cache.cache.set(f"filler {number}", "a value")
    code = "backend.set(f'key {next(numbers)}', 'a value')"
    return Statement(code, {"backend": cache.cache, "numbers": count()})


def bytes_per_entry() -> float:
    """Resident bytes an entry of a store with a million, keys and store together."""
    _, cache = make(CACHE_THRESHOLD=10 * MILLION)
    gc.collect()
    before = _resident_bytes()
    for number in range(MILLION):
        cache.cache.set(f"key {number}", "a value")
    return (_resident_bytes() - before) / MILLION


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


GET = "backend.get(next(keys))"
SET = "backend.set(next(keys), 'another value')"

QUESTIONS = [
    *(
        Question(
            f"{name}, {number:,} entries",
            partial(entries, code, number),
            at_most_twice=f"{name}, 1,000 entries" if number == MILLION else None,
        )
        for name, code in (("get", GET), ("set", SET))
        for number in (1, 1_000, 100_000, MILLION)
    ),
    *(
        Question(f"get, {number} threads", partial(threads, number), runs=READS)
        for number in (1, 2, 4, 8)
    ),
    *(
        Question(f"{name} of {size:,} bytes", partial(sizes, code, b"x" * size))
        for name, code in (("get", "backend.get('key')"), ("set", "backend.set('key', value)"))
        for size in (100, 10_000, MILLION)
    ),
    *(
        Question(f"{name} of a list of {size:,} ints", partial(sizes, code, list(range(size))))
        for name, code in (("get", "backend.get('key')"), ("set", "backend.set('key', value)"))
        for size in (10, 1_000, 100_000)
    ),
    *(
        Question(f"set of a new key, full at {threshold:,}", partial(thresholds, threshold))
        for threshold in (500, MILLION)
    ),
]
