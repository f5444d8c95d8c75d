"""``CACHE_NEAR``: what was read is kept in the process while the server says nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from flask_caching import Cache
from flask_caching.testing import manual_clock
from near import Nearby
from redis_servers import RedisServer
from servers import wait_until


@pytest.fixture
def near(redis_server: RedisServer) -> Nearby:
    made = Nearby(redis_server)
    made.start()
    return made


@dataclass
class Point:
    x: int
    y: list[int]


class Odd:
    """What only pickle copies."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        return Odd, (self.value,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


class Colour(str, Enum):  # noqa: UP042 (its text is another one)
    RED = "red"


VALUES = [
    "text", b"bytes", 7, -(2**70), 1.5, True, None, [1, [2]], {"a": {"b": (1, 2)}}, {1, 2},
    Point(1, [2]), Odd([1]), Colour.RED, "ä\udcff", b"",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("more", [{}, {"CACHE_SIGNING_KEY": "s"}, {"CACHE_COMPRESSION": "zstd"}])
def test_a_copy_is_what_the_server_has(
    redis_server: RedisServer, value: Any, more: dict[str, Any]
) -> None:
    near = Nearby(redis_server, **more)
    cache = near.start()
    near.other(**more).set("k", value)
    near.settle(lambda: cache.cache._read("k"))
    for _ in range(2):
        found = cache.get("k")
        assert (type(found), found) == (type(value), value)
        assert cache.get_many("k", "absent") == [value, None]
    if isinstance(value, list):
        found.append(1)
        assert cache.get("k") == value


def test_a_memoized_hit_makes_no_round_trip(near: Nearby) -> None:
    cache, runs = near.cache, []

    @cache.memoize(60)
    def double(number: int) -> list[int]:
        runs.append(number)
        return [number, number]

    near.settle(lambda: double(2))
    assert near.asked(lambda: [double(2) for _ in range(100)]) == 0
    assert runs == [2]
    double(2).append(3)
    assert double(2) == [2, 2]
    assert cache.stats().near_hits > 100


def test_views_and_fragments_make_none(near: Nearby) -> None:
    app = near.cache.app
    assert app is not None
    app.jinja_env.globals["now"] = time.monotonic

    @app.get("/plain")
    @near.cache.cached(60)
    def plain() -> str:
        return f"{time.monotonic()}"

    @app.get("/query")
    @near.cache.cached(60, query_string=True)
    def query() -> dict[str, float]:
        return {"at": time.monotonic()}

    @app.get("/keyed")
    @near.cache.cached(60, make_cache_key=lambda: "own")
    def keyed() -> str:
        return f"{time.monotonic()}"

    @app.get("/fragment")
    def fragment() -> str:
        from flask import render_template_string

        return render_template_string("{% cache 60, 'name' %}{{ now() }}{% endcache %}")

    client = app.test_client()
    for path in ("/plain", "/query?a=1", "/keyed", "/fragment"):
        first = client.get(path).data
        near.settle(lambda path=path: client.get(path))
        assert client.get(path).data == first
        assert near.asked(lambda path=path: client.get(path)) == 0, path


def test_what_others_change_is_seen(near: Nearby) -> None:
    cache, other = near.cache, near.other()
    changes: list[tuple[Callable[[], Any], Any]] = [
        (lambda: other.set("k", 2), 2),
        (lambda: other.delete("k"), None),
        (lambda: near.admin.set(f"{near.prefix}k", "7"), 7),
        (lambda: near.admin.incr(f"{near.prefix}k"), 8),
        (lambda: near.admin.rename(f"{near.prefix}k", f"{near.prefix}other"), None),
        (lambda: near.admin.eval("redis.call('SET', KEYS[1], '9')", 1, f"{near.prefix}k"), 9),
        (lambda: near.admin.pexpire(f"{near.prefix}k", 1), None),
        (lambda: other.set("k", 3), 3),
        (lambda: other.clear(), None),
    ]
    for change, expected in changes:
        cache.set("k", "before") if cache.get("k") is None else None
        near.settle(lambda: cache.get("k"))
        change()
        wait_until(lambda expected=expected: cache.get("k") == expected, "the change to be seen")


@pytest.mark.parametrize("command", ["flushdb", "flushall"])
def test_an_emptied_database_is_seen(tmp_path: Any, command: str) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        near = Nearby(server)
        cache = near.start()
        cache.set("k", 1)
        near.settle(lambda: cache.get("k"))
        getattr(near.admin, command)()
        wait_until(lambda: cache.get("k") is None, "the change to be seen")
    finally:
        server.kill()


def test_what_the_server_evicts_is_seen(tmp_path: Any) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        near = Nearby(server)
        cache = near.start()
        keys = [f"k{number}" for number in range(100)]
        cache.set_many(dict.fromkeys(keys, "x" * 1000))
        near.settle(lambda: cache.get_many(*keys))
        used = near.admin.info("memory")["used_memory"]
        near.admin.config_set("maxmemory-policy", "allkeys-random")
        near.admin.config_set("maxmemory", used - 50_000)
        near.admin.set("more", 1)

        def there() -> list[str]:
            return [key for key in keys if near.admin.exists(near.prefix + key)]

        assert there() != keys
        # The server may go on evicting while it is asked.
        wait_until(
            lambda: [key for key in keys if cache.get(key) is not None] == there(),
            "the evictions to be seen",
        )
    finally:
        server.kill()


def test_what_this_process_changes_it_sees_at_once(near: Nearby) -> None:
    cache = near.cache
    cache.set_many({"a": 0, "b": 0})
    for number in range(1, 200):
        cache.get_many("a", "b")
        cache.set("a", number)
        assert cache.get("a") == number
        cache.set_many({"b": number})
        assert cache.get("b") == number
        assert cache.inc("a") == number + 1
        assert cache.get("a") == number + 1
        cache.delete("b")
        assert cache.get("b") is None
        assert cache.add("b", number)
        assert cache.get_dict("a", "b") == {"a": number + 1, "b": number}
    cache.clear()
    assert cache.get_many("a", "b") == [None, None]
    assert not cache.has("a")


def test_deleted_results_are_computed_again(near: Nearby) -> None:
    cache, runs = near.cache, []

    @cache.memoize(60)
    def double(number: int) -> int:
        runs.append(number)
        return 2 * number

    for _ in range(50):
        near.settle(lambda: double(1))
        before = len(runs)
        cache.delete_memoized(double)
        double(1)
        assert len(runs) == before + 1


def test_deletions_of_other_processes_reach_memoized_functions(near: Nearby) -> None:
    caches, runs = (near.cache, near.other()), []

    def double(number: int) -> int:
        runs.append(number)
        return 2 * number

    here, there = (cache.memoize(60)(double) for cache in caches)
    for _ in range(5):
        near.settle(lambda: here(1))
        before = len(runs)
        caches[1].delete_memoized(there)
        wait_until(lambda before=before: here(1) and len(runs) > before, "the deletion to be seen")


def test_a_copy_lives_no_longer_than_its_entry(near: Nearby) -> None:
    cache = near.cache
    cache.set("short", 1, timeout=30)
    cache.set("long", 1, timeout=0)
    with manual_clock() as clock:
        near.settle(lambda: cache.get_many("short", "long"))
        clock.advance(29)
        assert near.asked(lambda: cache.get("short")) == 0
        clock.advance(2)
        assert near.asked(lambda: cache.get("short")) > 0
        assert near.asked(lambda: cache.get("long")) == 0


def test_a_copy_lives_no_longer_than_it_is_told(redis_server: RedisServer) -> None:
    near = Nearby(redis_server, CACHE_NEAR_TIMEOUT=5)
    cache = near.start()
    cache.set("k", 1, timeout=0)
    with manual_clock() as clock:
        near.settle(lambda: cache.get("k"))
        clock.advance(4)
        assert near.asked(lambda: cache.get("k")) == 0
        clock.advance(2)
        assert near.asked(lambda: cache.get("k")) > 0


def test_tags_are_copied_and_their_deletion_is_seen(near: Nearby) -> None:
    cache, other, runs = near.cache, near.other(), []

    @cache.memoize(60, tags=("colours", "shapes"))
    def paint(what: str) -> str:
        runs.append(what)
        return what.upper()

    near.settle(lambda: paint("a"))
    assert near.asked(lambda: [paint("a") for _ in range(20)]) == 0
    assert runs == ["a"]
    cache.delete_tags("colours")
    paint("a")
    assert runs == ["a"] * 2
    near.settle(lambda: paint("a"))
    other.delete_tags("shapes")
    wait_until(lambda: paint("a") and len(runs) == 3, "the deletion to be seen")

    cache.set("tagged", 1, tags=["colours"])
    near.settle(lambda: cache.get("tagged"))
    other.delete_tags("colours")
    wait_until(lambda: cache.get("tagged") is None, "the deletion to be seen")


def test_results_that_are_stored_cost_the_others_no_copy(near: Nearby) -> None:
    cache = near.cache

    @cache.memoize(60)
    def double(number: int) -> int:
        return 2 * number

    near.settle(lambda: double(0))
    for number in range(1, 20):
        double(number)
    near.settle(lambda: double(0))
    # By now the version lives longer than it has to.
    for number in range(20, 40):
        double(number)
        assert near.asked(lambda: double(0)) == 0


def test_what_is_not_fresh_any_more_is_not_taken_from_a_copy(near: Nearby) -> None:
    cache, runs = near.cache, []

    @cache.memoize(10, stale_if_error=100)
    def fetch() -> int:
        runs.append(1)
        return len(runs)

    with manual_clock() as clock:
        near.settle(fetch)
        assert fetch() == 1
        clock.advance(11)
        assert fetch() == 2


def test_keys_that_are_no_exact_texts_are_those_of_the_server(near: Nearby) -> None:
    class Name(str):
        def __str__(self) -> str:
            return "other"

    cache = near.cache
    cache.set("own", "own")
    cache.set("other", "other")
    cache.set("1", "one")
    near.settle(lambda: cache.get_many("own", "other", "1"))
    assert cache.get(Name("own")) == near.other().get(Name("own"))
    assert cache.get(Colour.RED) is None
    assert cache.get(1) == "one"
    near.other().set("1", "two")
    wait_until(lambda: cache.get(1) == "two", "the change to be seen")


def test_methods_of_the_application_are_asked(redis_server: RedisServer) -> None:
    near = Nearby(redis_server)
    cache = near.start()
    cache.set("k", 1)
    near.settle(lambda: cache.get("k"))
    backend = cache.cache
    backend.get = lambda key: "own"
    assert cache.get("k") == "own"


def test_copies_are_bounded_and_what_is_read_often_stays(redis_server: RedisServer) -> None:
    near = Nearby(redis_server, CACHE_NEAR_THRESHOLD=100, CACHE_NEAR_MAX_BYTES=100_000)
    cache = near.start()
    often = [f"often{number}" for number in range(30)]
    once = [f"once{number}" for number in range(1000)]
    cache.set_many(dict.fromkeys((*often, *once), "x" * 100))
    near.settle(lambda: cache.get_many(*often))
    for start in range(0, len(once), 20):
        cache.get_many(*once[start : start + 20])
        cache.get_many(*often)
    health = cache.health().near
    assert health is not None
    assert health.entries <= 100
    assert health.bytes is not None
    assert 0 < health.bytes <= 100_000
    assert near.asked(lambda: cache.get_many(*often)) == 0

    cache.set("large", "x" * 50_000)
    cache.set_many({f"big{number}": "x" * 10_000 for number in range(30)})
    for _ in range(3):
        assert cache.get("large") == "x" * 50_000
        for number in range(30):
            cache.get(f"big{number}")
    health = cache.health().near
    assert health is not None
    assert health.bytes is not None
    assert health.bytes <= 100_000


def test_off_is_off(redis_server: RedisServer) -> None:
    cache: Cache = Nearby(redis_server).other()
    assert cache.health().near is None
    cache.set("k", 1)
    assert cache.get("k") == 1
    assert cache.stats().near_hits == 0
