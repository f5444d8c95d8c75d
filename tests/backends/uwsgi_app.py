"""Runs in uWSGI: ``/run/<name>`` runs a test and answers its traceback, or nothing."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_caching import Cache, CacheLockError
from flask_caching._engine import COMPRESSED
from flask_caching.backends._leasing.claims import Claim
from flask_caching.backends._leasing.leases import note_use
from flask_caching.contrib import uwsgicache
from flask_caching.contrib.uwsgicache import UWSGICache
from flask_caching.testing import BackendContract, manual_clock
from leased import check_leases, lease_of

NAME = os.environ["TEST_CACHE"]

app = Flask("in_uwsgi")
app.config.update(CACHE_TYPE="flask_caching.contrib.uwsgicache.UWSGICache", CACHE_UWSGI_NAME=NAME)
app.config["CACHE_PAGES_IN_FRONT"] = True
cache = Cache(app)


class Contract(BackendContract):
    # uWSGI sweeps every few seconds; `expiry` below waits for it.
    expires = False

    def make_backend(self) -> UWSGICache:
        return UWSGICache(cache=NAME)


class Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def contract() -> None:
    failed = []
    for name in dir(Contract):
        if name.startswith("test_"):
            case = Contract()
            try:
                getattr(case, name)()
            except Exception as error:
                if type(error).__name__ != "SkipTest":
                    failed.append(f"{name}: {traceback.format_exc()}")
            finally:
                case.teardown_method()
    assert not failed, "\n".join(failed)


def the_factory() -> None:
    backend = cache.cache
    assert isinstance(backend, UWSGICache)
    assert backend.cache == NAME
    assert backend._uwsgi.opt["cache2"]


def values_are_pickles() -> None:
    backend: Any = UWSGICache(cache=NAME)
    for value in ("text", 5, None, [1, {"a": b"b"}]):
        assert backend.set("k", value)
        assert pickle.loads(backend._uwsgi.cache_get("k", NAME)) == value
        backend._uwsgi.cache_update("k", pickle.dumps(value, 2), 0, NAME)
        assert backend.get("k") == value


def compressed_values() -> None:
    backend: Any = UWSGICache(cache=NAME)
    long = ["the same again"] * 20_000
    for codec in ("zstd", "lz4"):
        backend.compression = (codec, 1024)
        # More than a block of this cache holds, were it not compressed.
        assert backend.set(codec, long)
        assert backend.set("short", "short")
        stored = backend._uwsgi.cache_get(codec, NAME)
        assert stored.startswith(COMPRESSED)
        assert len(stored) < 5000
        for reader in (backend, UWSGICache(cache=NAME)):
            assert reader.get_many(codec, "short") == [long, "short"]
        for damaged in (stored[:-1], stored[:10], COMPRESSED + b"?" + stored[6:], stored + stored):
            backend._uwsgi.cache_update("k", damaged, 0, NAME)
            assert not backend.has("k")
            assert backend.add("k", 1)


def what_is_too_large_is_refused() -> None:
    log = Log()
    logging.getLogger("flask_caching").addHandler(log)
    try:
        backend = UWSGICache(cache=NAME)
        backend.set("k", "old")
        assert backend.set("k", "x" * 3_000_000) is False
        assert backend.get("k") is None
        assert not backend.add("k", "x" * 3_000_000)
        assert backend.set_many({"a": 1, "k": "x" * 3_000_000}) == ["a"]
        assert len(log.lines) == 3, log.lines
        assert "refuses its 30000" in log.lines[0]
    finally:
        logging.getLogger("flask_caching").removeHandler(log)


def a_full_cache_is_said() -> None:
    log = Log()
    logging.getLogger("flask_caching").addHandler(log)
    try:
        backend = UWSGICache(cache=NAME)
        backend.clear()
        stored = [backend.set(f"k{number}", number) for number in range(300)]
        assert not all(stored)
        full = stored.index(False)
        assert full > 50
        assert "full" in log.lines[0]
        assert backend.get(f"k{full}") is None
        assert not backend.has(f"k{full}")
        assert backend.get("k5") == 5
        assert backend.set("k5", "overwritten")
        assert backend.get("k5") == "overwritten"
        assert backend.clear()
    finally:
        logging.getLogger("flask_caching").removeHandler(log)


def odd_keys() -> None:
    backend = UWSGICache(cache=NAME)
    keys = ["a b\r\n", "nul\0", "é", "\ud800", "", "x" * 90, "x" * 5000, "~fc1~"]
    for key in keys:
        assert backend.set(key, key)
    assert backend.get_many(*keys) == keys
    assert backend.inc("n" * 3000, 2) == 2
    for key in keys:
        assert backend.delete(key)
        assert not backend.has(key)
    made: Any = b"made of bytes"
    assert backend.set(made, 1)
    assert backend.get("made of bytes") == backend.get(made) == 1
    assert backend.delete(made)


def keys_of_a_narrow_cache() -> None:
    backend = UWSGICache(cache="narrow")
    for length in (79, 80, 81, 3000):
        assert backend.set("x" * length, length)
        assert backend.get("x" * length) == length


def timeouts() -> None:
    backend = UWSGICache(cache=NAME)
    for timeout in (0, 0.5, 60, 60 * 60 * 24 * 365 * 40, 2.0**40):
        assert backend.set("k", 1, timeout)
        assert backend.get("k") == 1
    assert backend.set("k", 1, -1)
    assert not backend.has("k")


def functions() -> None:
    computed = []

    @cache.memoize()
    def twice(number: int) -> int:
        computed.append(number)
        return 2 * number

    assert [twice(2), twice(2), twice(3)] == [4, 4, 6]
    assert computed == [2, 3]
    cache.delete_memoized(twice, 2)
    assert [twice(2), twice(3)] == [4, 6]
    assert computed == [2, 3, 2]


def counts() -> None:
    runs = []

    @cache.memoize()
    def counted_function(number: int) -> int:
        runs.append(number)
        return number

    earlier = cache.stats()
    for number in (1, 2, 1, 2, 3):
        counted_function(number)
    cache.set("k", 1), cache.get("k"), cache.get("no such key"), cache.delete("k")
    delta = cache.stats().delta(earlier)
    found = delta.functions[counted_function.__qualname__]
    assert (found.hits, found.misses, found.computed, found.stored) == (2, 3, 3, 3), found
    assert runs == [1, 2, 3]
    operations = delta.operations
    assert (operations.hits, operations.misses, operations.writes) == (1, 1, 1), operations
    backend = cache.stats(all_processes=True).backend
    assert backend is not None
    # uWSGI does not say how many entries it has.
    assert (backend.entries, backend.bytes, backend.evictions) == (None, None, None)


def tags() -> None:
    values = {"number": 5, "text": "text", "none": None, "list": [1, {"a": (2,)}]}
    assert cache.set_many(values, tags=["t", "u"]) == list(values)
    assert cache.get_dict(*values) == values
    assert all(cache.has(key) for key in values)
    assert not cache.add("text", "new")
    cache.delete_tags("u")
    assert cache.get_dict(*values) == dict.fromkeys(values)
    assert not any(cache.has(key) for key in values)
    assert cache.add("text", "new", tags=["t"])
    assert cache.get("text") == "new"
    computed = []

    @cache.memoize(60, tags=lambda rv: [f"user:{rv}"])
    def twice(number: int) -> int:
        computed.append(number)
        return 2 * number

    assert [twice(2), twice(2), twice(3)] == [4, 4, 6]
    cache.delete_tags("user:4")
    assert [twice(2), twice(3)] == [4, 6]
    assert computed == [2, 3, 2]


def tag_entries_of_two_lifetimes() -> None:
    cache.set("passing", 1, 1, tags=["t"])
    cache.set("staying", 2, 1000, tags=["t"])


def the_shorter_entry_is_there() -> None:
    assert cache.cache._store.has(b"passing")


def the_longer_entry_is_there() -> None:
    assert cache.get("staying") == 2
    cache.delete_tags("t")
    assert cache.get("staying") is None


def a_caller_refreshes() -> None:
    """This uWSGI was started without ``enable-threads``."""
    threads = []

    @cache.memoize(10, stale_while_revalidate=100)
    def count() -> int:
        threads.append(threading.current_thread())
        return len(threads)

    with manual_clock() as clock:
        assert [count(), count()] == [1, 1]
        clock.advance(11)
        assert [count(), count()] == [2, 2]
    assert set(threads) == {threading.current_thread()}


def damage() -> None:
    backend: Any = UWSGICache(cache=NAME)
    backend._uwsgi.cache_update("k", b"garbage", 0, NAME)
    assert backend.get("k") is None
    assert not backend.has("k")


def count() -> None:
    backend = UWSGICache(cache=NAME)
    for _ in range(200):
        backend.inc("counted")


def counted() -> None:
    backend = UWSGICache(cache=NAME)
    total = backend.get("counted")
    assert total == 800, total


def leases() -> None:
    check_leases(UWSGICache(cache=NAME))


class Between:
    """uWSGI for a store, where ``act`` is done before the next entry is written over."""

    def __init__(self, uwsgi: Any, act: Callable[[], object]) -> None:
        self._uwsgi = uwsgi
        self._act: Callable[[], object] | None = act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uwsgi, name)

    def cache_update(self, *args: Any) -> Any:
        act, self._act = self._act, None
        if act is None:
            return self._uwsgi.cache_update(*args)
        act()
        self._uwsgi.cache_update(*args)
        # It was written by a process that is killed now.
        raise SystemExit


def killed_between(act: Callable[[], object]) -> Any:
    """The store, after a process was frozen within an exchange, in which time ``act`` was done;
    it has gone on until the entry was written."""
    backend: Any = UWSGICache(cache=NAME)
    store, uwsgi = backend._store, backend._uwsgi
    assert store.set(b"k", b"old")
    frozen: Any = UWSGICache(cache=NAME)
    frozen._store._uwsgi = Between(uwsgi, act)
    try:
        frozen._store.compare_exchange(b"k", (b"old", 0), (b"late", 0))
    except SystemExit:
        return store
    raise AssertionError("nothing was written")


def exchanges() -> None:
    """What else happens while an entry is exchanged in several steps."""
    patience, uwsgicache._PATIENCE = uwsgicache._PATIENCE, 0.05
    try:
        _exchanges()
    finally:
        uwsgicache._PATIENCE = patience


def _exchanges() -> None:
    other: Any = UWSGICache(cache=NAME)
    other_store = other._store
    turn = other_store._new_turn(b"k")._key

    def stored_then_deleted() -> None:
        other_store.set(b"k", b"newer")
        assert other_store.delete(b"k")

    def exchanged_and_deleted() -> None:
        # Whoever comes after one who took the turn away knows nothing of him.
        assert other_store.compare_exchange(b"k", (b"old", 0), (b"newer", 0))
        assert other_store.delete(b"k")

    deletions: list[Callable[[], object]] = [
        other_store.clear,
        lambda: other._uwsgi.cache_clear(NAME),
        lambda: other_store.delete(b"k"),
        stored_then_deleted,
        exchanged_and_deleted,
    ]
    for act in deletions:
        store = killed_between(act)
        assert store._uwsgi.cache_get("k", NAME).startswith(b"late")
        assert store.get_many([b"k", b"j"]) == [None, None]
        assert not store.has(b"k")
        assert not store.compare_exchange(b"k", (b"late", 0), (b"later", 0))
        # It is in nobody's way.
        assert store.add(b"k", b"added")
        assert store.get(b"k") == (b"added", 0)
        assert store.delete(b"k")
    # Only one who was killed has left a turn behind.
    assert not other._uwsgi.cache_exists(turn, NAME)
    # What is set meanwhile is not replaced by what is older, where leases are in use.
    note_use()
    store = killed_between(lambda: other_store.set(b"k", b"set"))
    assert store.get(b"k") in (None, (b"set", 0))


def leases_end_to_the_moment() -> None:
    """Of what is over, uWSGI removes nothing but now and then."""
    backend: Any = UWSGICache(cache=NAME)

    with manual_clock() as clock:
        claim = Claim(backend, "key", 1.5)
        assert claim.take()
        with cache.lock("lock", timeout=3.5):
            clock.advance(1.4)
            assert not Claim(backend, "key", 9).take()
            assert lease_of(backend, "key") == "held"
            assert claim.renew()
            clock.advance(1.4)
            assert lease_of(backend, "key") == "held"
            clock.advance(0.3)
            assert lease_of(backend, "key") is None
            assert Claim(backend, "key", 9).take()
            assert not claim.renew()
            try:
                with cache.lock("lock", wait=0):
                    raise AssertionError("two have the lock")
            except CacheLockError:
                pass
            # Whoever was frozen has it no more, and frees nobody else's.
            clock.advance(1)
            other = cache.lock("lock", wait=0)
            other.__enter__()
        other.renew()
        other.__exit__(None, None, None)


def what_is_exchanged_is_readable() -> None:
    """Where leases are held, a pickle is followed by more; numbers are as they were."""
    backend: Any = UWSGICache(cache=NAME)

    @cache.memoize(lease=True)
    def computed(number: int) -> list[int]:
        return [number]

    assert computed(1) == computed(1) == [1]
    stored = backend._uwsgi.cache_get(computed.make_cache_key(computed.uncached, 1), NAME)
    assert pickle.loads(stored) == [1]
    assert stored != pickle.dumps([1])
    assert [backend.inc("n"), backend.inc("n"), backend.inc("n", 5)] == [1, 2, 7]
    assert backend._uwsgi.cache_get("n", NAME) == pickle.dumps(7, pickle.HIGHEST_PROTOCOL)
    backend.clear()
    assert computed(1) == [1]


def clear() -> None:
    assert UWSGICache(cache=NAME).clear()


def write_short() -> None:
    assert UWSGICache(cache=NAME).set("short", 1, timeout=1)


def short_is_there() -> None:
    assert UWSGICache(cache=NAME).has("short")


@app.get("/run/<name>")
def run(name: str) -> str:
    try:
        globals()[name]()
    except Exception:
        return traceback.format_exc()
    return ""


for path, options in {"/placed": {}, "/front": {"in_front": True, "compress": ("gzip",)}}.items():
    decorate = cache.page(timeout=60, tags=("pages",), **options)  # type: ignore[arg-type]
    app.add_url_rule(path, path[1:], decorate(lambda: os.urandom(8).hex() * 100))


def forget_pages() -> None:
    cache.delete_tags("pages")


@app.get("/page")
@cache.cached()
def page() -> str:
    return os.urandom(8).hex()


@cache.cached(key_prefix="shared")
def shared() -> str:
    return os.urandom(8).hex()


@app.get("/meet/<int:workers>")
def meet(workers: int) -> str:
    """This worker's id and what all share, once so many requests are under way: none has two."""
    backend: Any = UWSGICache(cache=NAME)
    counter = f"met {workers}"
    backend.inc(counter)
    deadline = time.monotonic() + 60
    while backend.get(counter) < workers and time.monotonic() < deadline:
        time.sleep(0.005)
    return f"{os.getpid()} {shared()}"
