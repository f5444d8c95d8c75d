"""Tags on every backend: what one process deletes is a miss for all, whatever they have used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.filesystemcache import FileSystemCache
from flask_caching.testing import manual_clock
from worlds import World

VALUES = {"number": 5, "text": "text", "bytes": b"bytes", "none": None, "list": [1, {"a": (2,)}]}


@pytest.mark.parametrize("more", [{}, {"CACHE_COMPRESSION": "zstd", "CACHE_COMPRESSION_MIN": 1}])
def test_what_was_deleted_elsewhere_is_a_miss_for_every_reader(world: World, more: Any) -> None:
    writer = world.process(**more)
    with writer.app.app_context():
        stored = writer.set_many(VALUES, tags=["t", "another slot"])
        assert sorted(stored) == sorted(VALUES)
        assert writer.set("kept", "x" * 1000, tags=["u"])
        world.settle()
    # They have never seen a tag, nor compressed anything.
    for ask in (
        lambda cache, key: cache.has(key),
        lambda cache, key: cache.get(key) is not None or key == "none",
        lambda cache, key: cache.get_many(key) != [None] or key == "none",
        lambda cache, key: not cache.add(key, "new"),
    ):
        cache = world.process()
        with cache.app.app_context():
            assert [key for key in VALUES if not ask(cache, key)] == []
    with writer.app.app_context():
        writer.delete_tags("another slot")
        world.settle()
    cache = world.process()
    with cache.app.app_context():
        assert [key for key in VALUES if cache.has(key)] == []
    cache = world.process()
    with cache.app.app_context():
        assert cache.get_dict(*VALUES) == dict.fromkeys(VALUES)
        assert cache.has("kept")
    cache = world.process()
    with cache.app.app_context():
        assert cache.inc("number", 2) == 2
        assert all(cache.add(key, "new") for key in VALUES if key != "number")
        world.settle()
        assert cache.get("text") == "new"


def test_a_lost_version_means_misses_and_nothing_comes_back(world: World) -> None:
    cache = world.process()
    calls = []

    @cache.memoize(60, tags=["t"])
    def known() -> int:
        calls.append(1)
        return len(calls)

    @cache.memoize(60, tags=lambda rv: ["t"])
    def told() -> int:
        calls.append(1)
        return len(calls)

    with cache.app.app_context():
        cache.set("a", 1, tags=["t"])
        world.settle()
        first = known(), told()
        world.settle()
        assert (known(), told()) == first
        # As an eviction, or a restart of a server that holds it, does.
        cache.delete("_tag:t")
        world.settle()
        assert cache.get("a") is None
        cache.set("b", 2, tags=["t"])
        world.settle()
        assert cache.get("a") is None
        assert cache.get("b") == 2
        assert known() not in first
        assert told() not in first


def test_a_version_outlives_every_entry(world: World) -> None:
    """Whatever was stored with a shorter timeout before."""
    cache = world.process()
    with cache.app.app_context():
        cache.set("short", 1, 1, tags=["t"])
        cache.set("long", 2, 1000, tags=["t"])
        cache.add("longer", 3, 2000, tags=["t"])
        cache.set_many({"longest": 4, "as long": 5}, 3000, tags=["t"])
        left = cache.cache._details("_tag:t")
        assert left is not None
        assert left[1] is None or left[1] > 2990


def test_a_deletion_while_a_told_tag_is_made_wins(tmp_path: Path) -> None:
    """The tag is new: between the question whether one was deleted and its first version."""
    deletions = []

    class Slow(FileSystemCache):
        def add(self, key: str, *args: Any, **kwargs: Any) -> bool:
            if key == "_tag:t" and not deletions:
                deletions.append(key)
                other.delete_tags("t")
            return super().add(key, *args, **kwargs)

    def process(kind: Any) -> Cache:
        app = Flask("tested")
        return Cache(app, config={"CACHE_TYPE": kind, "CACHE_DIR": str(tmp_path)})

    cache, elsewhere = process(Slow), process("FileSystemCache")
    calls = []

    @cache.memoize(60, tags=lambda rv: ["t"])
    def f() -> int:
        calls.append(1)
        return len(calls)

    other = _InApp(elsewhere)
    with cache.app.app_context():
        assert f() == 1
        assert deletions
        assert [f(), f()] == [2, 2]


class _InApp:
    """``delete_tags`` as another process calls it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def delete_tags(self, *tags: str) -> None:
        with self._cache.app.app_context():
            self._cache.delete_tags(*tags)


@pytest.mark.parametrize("tags", [["t"], lambda rv: ["t"]], ids=["known", "told"])
def test_a_function_that_takes_longer_than_its_result_is_kept(tmp_path: Path, tags: Any) -> None:
    app = Flask("tested")
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    cache = Cache(app, config=config)
    calls = []
    with app.app_context(), manual_clock() as clock:

        @cache.memoize(5, tags=tags)
        def f() -> int:
            calls.append(1)
            clock.advance(20)
            return len(calls)

        assert [f(), f()] == [1, 1]
