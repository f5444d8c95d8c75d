"""Leases of all that computes: memoized functions, helpers, fragments, pages; and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from leased import LONG, configured, lease_of


@pytest.fixture(params=["files", "redis", "own"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return configured(request.param, request, tmp_path)


class Side:
    """One process: what it computes waits until it may."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.app = Flask("side")
        self.cache = Cache(self.app, config=config)
        self.runs = 0
        self.entered, self.opened = threading.Event(), threading.Event()
        cache = self.cache

        @cache.memoize()
        def memoized(key: str) -> int:
            return self.compute()

        @cache.memoize(tags=["tag"])
        def tagged(key: str) -> int:
            return self.compute()

        template = self.app.jinja_env.from_string(
            "{% cache 60, 'name' %}{{ compute() }}{% endcache %}"
        )
        self.memoized, self.tagged = memoized, tagged
        self.calls: dict[str, Callable[[], Any]] = {
            "memoize": lambda: memoized("key"),
            "tags": lambda: tagged("key"),
            "get_or_set": lambda: cache.get_or_set("key", self.compute),
            "fragment": lambda: template.render(compute=self.compute),
        }

    def compute(self) -> int:
        self.runs += 1
        self.entered.set()
        assert self.opened.wait(LONG)
        return self.runs

    def start(self, name: str) -> threading.Thread:
        thread = threading.Thread(target=self.run, args=(self.calls[name],), daemon=True)
        thread.start()
        return thread

    def run(self, action: Callable[[], Any]) -> Any:
        with self.app.app_context():
            return action()


CALLS = ["memoize", "tags", "get_or_set", "fragment"]


@pytest.mark.parametrize("name", CALLS)
def test_one_process_computes(config: dict[str, Any], name: str) -> None:
    if name == "tags" and config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("it keeps no tags")
    first, second = Side(config), Side(config)
    threads = [first.start(name)]
    assert first.entered.wait(LONG)
    threads += [second.start(name), second.start(name)]
    assert not second.entered.wait(0.2)
    first.opened.set()
    for thread in threads:
        thread.join(LONG)
    assert (first.runs, second.runs) == (1, 0)


def deletions(side: Side, name: str) -> list[Callable[[], Any]]:
    cache = side.cache
    return {
        "memoize": [
            lambda: cache.delete_memoized(side.memoized, "key"),
            lambda: cache.delete_memoized(side.memoized),
            cache.clear,
        ],
        "tags": [
            lambda: cache.delete_tags("tag"),
            lambda: cache.delete_memoized(side.tagged, "key"),
        ],
        "get_or_set": [lambda: cache.delete("key"), lambda: cache.delete_many("other", "key")],
        "fragment": [lambda: cache.delete("_template_fragment_cache_name")],
    }[name]


@pytest.mark.parametrize("name", CALLS)
def test_a_deletion_by_another_process_wins(config: dict[str, Any], name: str) -> None:
    if name == "tags" and config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("it keeps no tags")
    for number in range(len(deletions(Side(config), name))):
        first, second = Side(config), Side(config)
        second.run(second.cache.clear)
        late = first.start(name)
        assert first.entered.wait(LONG)
        second.run(deletions(second, name)[number])
        first.opened.set()
        late.join(LONG)
        second.opened.set()
        second.run(second.calls[name])
        assert second.runs == 1, "it found what was deleted"


def test_a_page_of_one_process_is_that_of_all(config: dict[str, Any]) -> None:
    runs: list[int] = []

    def process() -> Flask:
        app = Flask("paged")
        cache = Cache(app, config=config)

        @app.get("/")
        @cache.page(timeout=60)
        def page() -> str:
            runs.append(1)
            time.sleep(0.2)
            return "page"

        return app

    def get(app: Flask) -> None:
        assert app.test_client().get("/").text == "page"

    threads = [threading.Thread(target=get, args=(process(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert runs == [1]


def test_what_is_there_and_no_answer_is_computed_anew(config: dict[str, Any]) -> None:
    side = Side(config)
    runs: list[int] = []
    nothing = side.cache.cached(key_prefix="key")(lambda: runs.append(1))
    assert [side.run(nothing), side.run(nothing)] == [None, None]
    assert runs == [1, 1]
    # What was stored with a tag that is deleted is in its place still.
    other = Side(config)
    for process in (side, other):
        process.opened.set()
    side.run(side.calls["tags"])
    side.run(lambda: side.cache.delete_tags("tag"))
    other.run(other.calls["tags"])
    assert other.runs == 1


def test_whoever_is_interrupted_hands_over(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("its lease is looked at otherwise")
    side = Side(config)
    side.opened.set()

    def interrupted() -> None:
        assert lease_of(side.cache.cache, "key") == "held"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side.run(lambda: side.cache.get_or_set("key", interrupted))
    assert side.run(lambda: lease_of(side.cache.cache, "key")) is None
    assert side.run(side.calls["get_or_set"]) == 1


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Whoever started the tests may have them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_whoever_waits_can_be_interrupted(config: dict[str, Any]) -> None:
    first, second = Side(config), Side(config)
    late = first.start("get_or_set")
    assert first.entered.wait(LONG)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        second.run(second.calls["get_or_set"])
    first.opened.set()
    late.join(LONG)
    assert second.runs == 0


def test_a_task_that_is_cancelled_hands_over(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("its lease is looked at otherwise")
    app = Flask("tasks")
    cache = Cache(app, config=config)
    entered: list[int] = []

    @cache.cached(key_prefix="key")
    async def view() -> str:
        entered.append(1)
        if len(entered) == 1:
            await asyncio.sleep(LONG)
        return "computed"

    async def main() -> str:
        first = asyncio.create_task(view())
        while not entered:
            await asyncio.sleep(0.01)
        second = asyncio.create_task(view())
        await asyncio.sleep(0.05)
        first.cancel()
        return await second

    with app.app_context():
        assert asyncio.run(main()) == "computed"
        assert cache.get("key") == "computed"


def test_a_frozen_process_that_wakes_stores_nothing(config: dict[str, Any], tmp_path: Path) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("one of a single process")
    config["CACHE_LEASE_TTL"] = 1
    code = f"""
        import sys, time
        from flask import Flask
        from flask_caching import Cache
        app = Flask("frozen")
        cache = Cache(app, config={config!r})
        def compute():
            print("computing", flush=True)
            sys.stdin.readline()
            return "late"
        with app.app_context():
            print(cache.get_or_set("key", compute), flush=True)
    """
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    frozen = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], **pipes)
    assert frozen.stdout is not None
    assert frozen.stdout.readline() == "computing\n"
    frozen.send_signal(signal.SIGSTOP)
    try:
        side = Side(config)
        side.opened.set()
        # Its time to live is over at some time, and this one computes.
        assert side.run(side.calls["get_or_set"]) == 1
        side.run(lambda: side.cache.delete("key"))
    finally:
        frozen.send_signal(signal.SIGCONT)
    assert frozen.communicate("go on\n", LONG)[0] == "late\n"
    assert side.run(lambda: side.cache.get("key")) is None


def test_greenlets_go_on_while_one_waits(config: dict[str, Any]) -> None:
    script = f"""
        from gevent import monkey; monkey.patch_all()
        import gevent.event
        from flask import Flask
        from flask_caching import Cache
        def side():
            app = Flask("greenlets")
            return app, Cache(app, config={config!r})
        (app, cache), (other_app, other) = side(), side()
        runs = []
        go_on = gevent.event.Event()
        def compute():
            runs.append(1)
            # Whoever blocks the others blocks those who let this one go on.
            assert go_on.wait(50)
            return "computed"
        def call(app, cache):
            with app.app_context():
                return cache.get_or_set("key", compute)
        waiting = [gevent.spawn(call, app, cache) for _ in range(3)]
        waiting += [gevent.spawn(call, other_app, other) for _ in range(3)]
        ticks = []
        def tick():
            while len(ticks) < 10:
                ticks.append(1)
                gevent.sleep(0.01)
        gevent.spawn(tick).join()
        assert not any(greenlet.ready() for greenlet in waiting)
        go_on.set()
        gevent.joinall(waiting, timeout=30)
        assert [greenlet.value for greenlet in waiting] == ["computed"] * 6
        assert runs == [1], runs
    """
    config.pop("CACHE_SERIALIZER", None)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
