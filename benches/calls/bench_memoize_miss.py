"""What does a memoize miss cost, beside the function itself?"""

from __future__ import annotations

from itertools import count

from question import Question, Statement, make


def miss(threshold: int, filled: int) -> Statement:
    """A call with an argument that was never seen, on a store with ``filled`` entries."""
    _, cache = make(CACHE_THRESHOLD=threshold)
    for number in range(filled):
        cache.set(f"entry {number}", number)

    @cache.memoize(timeout=300)
    def double(number: int) -> int:
        return number + number

    return Statement("double(next(numbers))", {"double": double, "numbers": count()})


QUESTIONS = [
    Question("memoize miss, store not full", lambda: miss(10**9, 0), ratio=24, micros=3),
    Question("memoize miss, store full", lambda: miss(500, 600), ratio=45, micros=3),
]
