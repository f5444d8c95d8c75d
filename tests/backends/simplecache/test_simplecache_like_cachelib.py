"""SimpleCache against cachelib's, which Flask-Caching uses: random programs, equal answers."""

from __future__ import annotations

import copy
import random
import threading
from typing import Any

import pytest
from cachelib import SimpleCache as CachelibSimpleCache
from flask_caching.backends.simplecache import SimpleCache

KEYS = ["a", "b", "c", "d", "ä", "with space", 1, 2.0, ("t", 1), b"a", None]
VALUES = [
    None,
    True,
    0,
    7,
    -3,
    2.5,
    "text",
    b"bytes",
    [],
    [1, [2]],
    {"k": {"v": (1, 2)}},
    (1, 2),
    {1, 2},
    frozenset([3]),
    10**30,
]
OPERATIONS = [
    *("get", "set", "add", "delete", "has", "get_many", "get_dict", "set_many", "delete_many"),
    *("inc", "dec", "clear"),
]
TIMEOUTS: list[dict[str, Any]] = [{}, {"timeout": None}, {"timeout": 0}, {"timeout": 60}]


def _call(cache: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    try:
        return getattr(cache, name)(*args, **kwargs)
    except TypeError:
        return TypeError


def _step(rng: random.Random) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    key = rng.choice(KEYS)
    some = tuple(rng.choices(KEYS, k=rng.randrange(4)))
    timeout = rng.choice(TIMEOUTS)
    name = rng.choice(OPERATIONS)
    match name:
        case "set" | "add":
            return name, (key, rng.choice(VALUES)), timeout
        case "get_many" | "get_dict" | "delete_many":
            return name, some, {}
        case "set_many":
            return name, ({k: rng.choice(VALUES) for k in some},), timeout
        case "inc" | "dec":
            return name, (key, rng.choice([1, 5, -2])), {}
        case "clear":
            # Now and then, or there is never much to look at.
            return (name, (), {}) if rng.random() < 0.2 else ("get", (key,), {})
    return name, (key,), {}


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_answer_the_same(seed: int) -> None:
    rng = random.Random(seed)
    ours, theirs = SimpleCache(), CachelibSimpleCache()
    for number in range(500):
        name, args, kwargs = _step(rng)
        if name in ("inc", "dec") and _differs_on_purpose(theirs.get(args[0]), theirs, args[0]):
            continue
        expected = _call(theirs, name, *args, **kwargs)
        found = _call(ours, name, *args, **kwargs)
        assert (found, type(found)) == (expected, type(expected)), (number, name, args, kwargs)
    for key in KEYS:
        assert repr(ours.get(key)) == repr(theirs.get(key))
    assert set(ours._cache) == set(theirs._cache)


def _differs_on_purpose(value: Any, theirs: CachelibSimpleCache, key: Any) -> bool:
    """Counting on a false value that is no number: cachelib takes it as 0, we refuse it."""
    return theirs.has(key) and not value and not isinstance(value, (int, float))


def test_the_differences() -> None:
    ours, theirs = SimpleCache(threshold=2), CachelibSimpleCache(threshold=2)
    for cache in (ours, theirs):
        for number in range(3):
            cache.set(f"key{number}", number)
    assert (len(ours._cache), len(theirs._cache)) == (2, 3), "one more than the threshold there"

    theirs.set("n", "")
    ours.set("n", "")
    assert theirs.inc("n") == 1
    with pytest.raises(TypeError):
        ours.inc("n")

    with pytest.raises(TypeError):
        theirs.set("key", threading.Lock())
    assert ours.set("key", threading.Lock()) is False

    theirs.set("key", 1, timeout=-1)
    ours.set("key", 1, timeout=-1)
    assert theirs.delete("key") is True, "an expired entry counts there"
    assert ours.delete("key") is False


@pytest.mark.parametrize("kind", [SimpleCache, CachelibSimpleCache])
def test_a_copy_has_the_same_entries(kind: Any) -> None:
    cache = kind()
    cache.set("before", 1)
    other = copy.copy(cache)
    other.set("after", 2)
    cache.delete("before")
    assert (other.get("before"), cache.get("after")) == (None, 2)
    with pytest.raises(TypeError):
        copy.deepcopy(cache)
