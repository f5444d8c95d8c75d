"""What SharedCache answers natively: what was read before, and what others have changed since."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from compat import programs
from compat.under_either import world
from flask import Flask
from flask_caching import Cache
from flask_caching._engine import CallParts
from flask_caching.backends.sharedcache import SharedCache
from flask_caching.calls.fragments import _FragmentPolicy
from flask_caching.calls.memoized import MemoizePolicy
from flask_caching.calls.view import ViewPolicy
from flask_caching.testing import manual_clock

POLICIES = (MemoizePolicy, ViewPolicy, _FragmentPolicy)


@pytest.fixture
def cache(app: Flask, tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(app, config={"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path / "cache")})
    with app.test_request_context("/page?a=1"):
        yield cache


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the policies whose calls took the ordinary path."""
    taken: list[str] = []
    for policy in POLICIES:
        original = policy.description

        def description(self: Any, *args: Any, original: Any = original) -> Any:
            taken.append(type(self).__name__)
            return original(self, *args)

        monkeypatch.setattr(policy, "description", description)
    return taken


def in_child(act: Callable[[], object]) -> None:
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def asked_in(app: Flask, cache: Cache, kind: str, results: Iterator[Any]) -> Callable[[], Any]:
    """A call of a kind, which returns the next result where it is computed."""
    if kind == "memoize":
        return cache.memoize(timeout=100)(lambda: next(results))
    if kind == "view":
        return cache.cached(timeout=100)(lambda: next(results))
    if kind == "query":
        return cache.cached(timeout=100, query_string=True)(lambda: next(results))
    if kind == "name":
        return cache.cached(timeout=100, key_prefix="name")(lambda: next(results))
    if kind == "own key":
        return cache.cached(timeout=100, make_cache_key=lambda: "own")(lambda: next(results))
    text = "{% cache 100, 'part', 'of page' %}{{ next() }}{% endcache %}"
    template = app.jinja_env.from_string(text)
    return lambda: template.render(next=lambda: next(results))


KINDS = ["memoize", "view", "query", "name", "own key", "fragment"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_answered_takes_no_ordinary_path(
    app: Flask, cache: Cache, ordinary: list[str], kind: str
) -> None:
    call = asked_in(app, cache, kind, iter(["one", "two"]))
    assert [call(), call()] == ["one", "one"]
    ordinary.clear()
    assert [call(), call()] == ["one", "one"]
    assert ordinary == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_other_processes_change_is_seen_by_the_next_call(
    app: Flask, cache: Cache, kind: str
) -> None:
    call = asked_in(app, cache, kind, iter("abcdefgh"))
    for value in "abc":
        assert [call() for _ in range(4)] == [value] * 4
        in_child(cache.clear)
    with manual_clock() as clock:
        assert [call() for _ in range(3)] == ["d"] * 3
        clock.advance(99.999)
        assert call() == "d"
        clock.advance(0.002)
        assert call() == "e"


@pytest.mark.parametrize("kind", ["view", "query", "name", "own key"])
def test_a_function_that_makes_the_keys_from_now_on_is_asked(
    app: Flask, cache: Cache, kind: str
) -> None:
    call: Any = asked_in(app, cache, kind, iter(["one", "two"]))
    assert [call(), call()] == ["one", "one"]
    call.make_cache_key = lambda *args, **kwargs: "another"
    assert [call(), call(), cache.get("another")] == ["two"] * 3


@pytest.mark.parametrize("value", ["text", b"bytes", 7, 1.5, Decimal(1), ("a", 1), [1]], ids=repr)
def test_gets_see_every_write(cache: Cache, value: Any) -> None:
    assert cache.get("key") is None
    cache.set("key", value)
    for _ in range(3):
        assert (type(cache.get("key")), cache.get("key")) == (type(value), value)
    in_child(lambda: cache.set("key", "of the child"))
    assert [cache.get("key"), cache.get("key")] == ["of the child"] * 2
    cache.set("other", 1)
    assert cache.get("key") == "of the child"
    cache.delete("key")
    assert cache.get("key") is None
    cache.set("key", None)
    assert (cache.get("key"), cache.has("key")) == (None, True)


def test_a_child_that_has_its_parents_copies_sees_what_is_written(cache: Cache) -> None:
    cache.set("key", "of the parent")
    assert cache.get("key") == cache.get("key")
    pid = os.fork()
    if pid == 0:
        for _ in range(1_000_000):
            if cache.get("key") == "written later":
                os._exit(0)
        os._exit(1)
    cache.set("key", "written later")
    assert os.waitpid(pid, 0)[1] == 0


def test_a_removed_directory_is_noticed(cache: Cache, tmp_path: Path) -> None:
    cache.set("key", "value")
    assert cache.get("key") == cache.get("key")
    shutil.rmtree(tmp_path / "cache")
    cache.set("other", 1)
    assert cache.get("key") is None


@pytest.mark.parametrize("kind", [*KINDS, "get"])
def test_a_get_that_is_replaced_later_is_asked(app: Flask, cache: Cache, kind: str) -> None:
    if kind == "get":
        cache.set("key", "one")
        call: Callable[[], Any] = lambda: cache.get("key")  # noqa: E731
    else:
        call = asked_in(app, cache, kind, iter(["one", "two"]))
    assert [call(), call(), call()] == ["one"] * 3
    backend, reads = cache.cache, list[str]()
    get, get_many = backend.get, backend.get_many
    backend.get = lambda key: reads.append(key) or get(key)
    backend.get_many = lambda *keys: reads.extend(keys) or get_many(*keys)
    assert call() == "one"
    assert reads
    del backend.get, backend.get_many
    reads.clear()
    assert call() == "one"
    assert not reads


def test_threads_and_processes_read_nothing_that_was_never_written(
    cache: Cache, app: Flask
) -> None:
    """Copies of few keys, which three processes and four threads write and delete."""
    keys = [f"key {number}" for number in range(5)]
    wrong: list[object] = []

    def work(seed: int, steps: int) -> None:
        chance = random.Random(seed)
        with app.app_context():
            for step in range(steps):
                key = chance.choice(keys)
                if chance.random() < 0.1:
                    cache.set(key, f"{key}: {seed} {step}")
                elif chance.random() < 0.05:
                    cache.delete(key)
                found = cache.get(key)
                if found is not None and not found.startswith(f"{key}: "):
                    wrong.append(found)

    children = []
    for seed in range(2):
        pid = os.fork()
        if pid == 0:
            work(seed, 1500)
            os._exit(len(wrong) > 0)
        children.append(pid)
    threads = [threading.Thread(target=work, args=(seed, 800)) for seed in range(10, 14)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
    assert not wrong


def test_many_values_are_found_though_few_copies_are_kept(cache: Cache) -> None:
    names = [f"key {number}" for number in range(6000)]
    cache.set_many({name: name for name in names})
    for _ in range(2):
        assert all(cache.get(name) == name for name in names)
    cache.set("large", "x" * 200_000)
    assert cache.get("large") == cache.get("large") == "x" * 200_000


@pytest.mark.parametrize("seed", range(100, 112))
def test_random_programs_do_the_same_without_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int
) -> None:
    program = programs.Generator(seed, "SimpleCache").program(120)

    def run(name: str) -> Any:
        config = {"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path / name)}
        return world.run(config, False, program)

    natively = run("natively")
    monkeypatch.setattr(SharedCache, "_choose_quick", lambda self: None)
    for policy in POLICIES:
        monkeypatch.setattr(policy, "parts", lambda self: CallParts.unknown())
    assert natively == run("ordinarily")
