"""NullCache: a cache that does not cache."""

from flask_caching._engine import MISSING
from flask_caching.backends.nullcache import NullCache


def test_every_write_is_accepted_and_every_read_is_a_miss() -> None:
    cache = NullCache(default_timeout=5)
    assert cache.default_timeout == 5
    assert cache.set("key", 1)
    assert cache.add("key", 1)
    assert cache.get("key") is None
    assert cache.get_many("key", "other") == [None, None]
    assert cache.has("key") is False
    assert cache.set_many({"a": 1, "b": 2}) == ["a", "b"]
    assert cache.delete_many("a") == ["a"]
    assert cache.clear()
    assert cache._read("key") is MISSING
    assert cache._read_many("a", "b") == [MISSING, MISSING]


def test_every_count_starts_anew() -> None:
    cache = NullCache()
    assert cache.inc("key", 5) == 5
    assert cache.inc("key", 5) == 5
    assert cache.dec("key") == -1
