"""freezegun and time-machine move the time that entries live by, as they move everybody's."""

import asyncio
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from flask import render_template_string
from flask_caching import Cache
from flask_caching._engine import clock_wall
from flask_caching.backends import FileSystemCache, SimpleCache
from flask_caching.testing import manual_clock

freezegun = pytest.importorskip("freezegun")
time_machine = pytest.importorskip("time_machine")

START = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Freezegun:
    """Time that stands still by freezegun."""

    def __init__(self, start=START, **options):
        self._freezer = freezegun.freeze_time(start, **options)

    def __enter__(self):
        self._time = self._freezer.start()
        return self

    def __exit__(self, *error):
        self._freezer.stop()

    def pass_time(self, delta):
        self._time.tick(delta)

    def move_to(self, moment):
        self._time.move_to(moment)


class TimeMachine:
    """Time that stands still by time-machine."""

    def __init__(self, start=START, tick=False):
        self._travel = time_machine.travel(start, tick=tick)

    def __enter__(self):
        self._time = self._travel.start()
        return self

    def __exit__(self, *error):
        self._travel.stop()

    def pass_time(self, delta):
        self._time.shift(delta)

    def move_to(self, moment):
        self._time.move_to(moment)


@pytest.fixture(params=[Freezegun, TimeMachine])
def frozen(request):
    return request.param


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def backend(request, tmp_path):
    return SimpleCache() if request.param == "SimpleCache" else FileSystemCache(tmp_path)


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def app_cache(request, app, tmp_path):
    config = {"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)}
    cache = Cache(app, config=config)
    with app.app_context():
        yield cache


def test_an_entry_expires_when_its_time_has_passed(backend, frozen):
    with frozen() as clock:
        assert backend.set("k", "v", timeout=60)
        assert backend.set("never", "v", timeout=0)
        clock.pass_time(timedelta(seconds=59))
        assert backend.get("k") == "v"
        assert not backend.add("k", "other")
        clock.pass_time(timedelta(seconds=1))
        assert backend.get_many("k", "never") == [None, "v"]
        assert not backend.has("k")
        assert backend.add("k", "other", timeout=60)
        clock.move_to(START + timedelta(days=1))
        assert backend.get("k") is None
        assert backend.inc("n") == 1
        clock.pass_time(timedelta(days=1))
        assert backend.inc("n") == 1
        assert backend.get("never") == "v"


def test_time_is_as_exact_as_what_moves_it(backend, frozen):
    with frozen() as clock:
        for _ in range(50):
            clock.pass_time(timedelta(microseconds=123_457))
            assert backend.set("k", "v", timeout=0.5)
            clock.pass_time(timedelta(microseconds=499_999))
            assert backend.get("k") == "v"
            clock.pass_time(timedelta(microseconds=1))
            assert backend.get("k") is None


def test_the_present_and_the_moved_time_see_each_others_entries(backend, frozen):
    assert backend.set("of today", "v", timeout=60)
    with frozen():
        assert backend.get("of today") is None
        assert backend.set("of 2031", "v", timeout=60)
    assert backend.get("of 2031") == "v"
    assert backend.set("again", "v", timeout=60)
    with frozen(datetime(2011, 1, 1, tzinfo=UTC)):
        assert backend.get("again") == "v"
        assert backend.set("of 2011", "v", timeout=60)
        assert backend.get("of 2011") == "v"
    assert backend.get("of 2011") is None
    assert backend.get("again") == "v"


def test_time_moved_within_moved_time(backend, frozen):
    with frozen() as outer:
        assert backend.set("k", "v", timeout=60)
        with frozen(START + timedelta(days=1)):
            assert not backend.has("k")
            assert backend.set("k", "v", timeout=60)
        assert backend.has("k")
        outer.pass_time(timedelta(days=2))
        assert not backend.has("k")


def test_time_that_goes_on_from_where_it_was_moved_to(backend, frozen):
    before = time.time()
    with frozen(START, tick=True) as clock:
        assert clock_wall() - START.timestamp() < 60
        assert backend.set("k", "v", timeout=3600)
        clock.move_to(START + timedelta(minutes=59))
        assert backend.has("k")
        clock.move_to(START + timedelta(minutes=61))
        assert not backend.has("k")
    assert clock_wall() - before < 60


def test_functions_views_and_fragments_are_computed_anew(app, app_cache, frozen):
    calls = []

    @app_cache.memoize(60)
    def doubled(number):
        calls.append(number)
        return 2 * number

    @app.route("/page")
    @app_cache.cached(60)
    def page():
        calls.append("page")
        return "page"

    template = "{% cache 60, 'fragment' %}{{ calls.append('fragment') }}{% endcache %}"
    client = app.test_client()

    def call_all():
        doubled(2)
        client.get("/page")
        render_template_string(template, calls=calls)

    with frozen() as clock:
        for round_number in range(1, 4):
            for _ in range(3):
                call_all()
            assert calls == [2, "page", "fragment"] * round_number
            clock.pass_time(MINUTE)
    call_all()
    assert calls == [2, "page", "fragment"] * 3, "what was stored in 2031 lives until then"


def test_a_rate_limit_ends(app_cache, frozen):
    def is_allowed():
        if app_cache.get("failures") is None:
            app_cache.set("failures", 0, timeout=300)
        return app_cache.cache.inc("failures") <= 3

    with frozen() as clock:
        assert [is_allowed() for _ in range(5)] == [True, True, True, False, False]
        clock.pass_time(timedelta(seconds=301))
        assert is_allowed()


def test_other_threads_see_the_moved_time(backend, frozen):
    seen = []
    deep = 10

    def look(depth=deep):
        # freezegun gives its callers below `threading` the real time, as far as it looks.
        seen.append(backend.get("k")) if depth == 0 else look(depth - 1)

    with frozen() as clock:
        backend.set("k", "v", timeout=60)
        for _ in range(2):
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            clock.pass_time(MINUTE)
    assert seen == ["v", None]


def test_decorators_of_functions_coroutines_and_classes(backend):
    moved = []

    @freezegun.freeze_time(START)
    def function():
        moved.append(clock_wall())

    @time_machine.travel(START, tick=False)
    async def coroutine():
        await asyncio.sleep(0)
        moved.append(clock_wall())

    @freezegun.freeze_time(START)
    class Case:
        def method(self):
            moved.append(clock_wall())

    function()
    asyncio.run(coroutine())
    Case().method()
    assert moved == [START.timestamp()] * 3
    assert abs(clock_wall() - time.time()) < 60


def test_what_freezegun_is_told_to_ignore_sees_the_real_time(backend):
    with freezegun.freeze_time(START, ignore=["flask_caching", __name__]):
        assert abs(clock_wall() - START.timestamp()) > 3600


def test_a_clock_that_is_stopped_in_moved_time(backend, frozen):
    with frozen() as clock, manual_clock() as manual:
        assert clock_wall() == START.timestamp()
        backend.set("k", "v", timeout=60)
        clock.pass_time(MINUTE)
        assert backend.get("k") == "v"
        manual.advance(60)
        assert backend.get("k") is None


def test_the_real_time_is_back_when_time_is_no_longer_moved(frozen):
    for _ in range(3):
        with frozen():
            assert clock_wall() == START.timestamp()
        assert abs(clock_wall() - time.time()) < 60


def test_a_clock_that_raises_is_reported_and_not_followed(monkeypatch):
    from flask_caching import _clock

    def broken():
        raise OSError("no time")

    real, reported = _clock.time, []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: reported.append(args.exc_value))
    try:
        _clock.time = broken
        assert abs(clock_wall() - time.time()) < 60
    finally:
        _clock.time = real
    assert [str(error) for error in reported] == ["no time"]


@pytest.mark.parametrize("library", ["freezegun", "time_machine", "time"])
def test_nothing_is_asked_while_nobody_moves_time(library):
    program = f"import {library}; from flask_caching import _clock; print(_clock._is_known)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr


BEFORE = """
import {library}, time
with {move}:
    from flask_caching.backends import SimpleCache
    from flask_caching._engine import clock_wall
    cache = SimpleCache()
    cache.set("k", "v", timeout=60)
    print(clock_wall() == time.time(), cache.get("k"), end=" ")
print(abs(clock_wall() - time.time()) < 60, cache.get("k"), end=" ")
with {move} as clock:
    print(clock_wall() == time.time(), end=" ")
    cache.set("k", "v", timeout=60)
    {later}
    print(cache.get("k"))
"""


@pytest.mark.parametrize(
    ("library", "move", "later"),
    [
        (
            "freezegun",
            "freezegun.freeze_time('2031-01-01')",
            "clock.tick(61)",
        ),
        (
            "time_machine",
            "time_machine.travel('2031-01-01 00:00 +0000', tick=False)",
            "clock.shift(61)",
        ),
    ],
)
def test_time_that_was_moved_before_the_package_was_imported(library, move, later):
    program = BEFORE.format(library=library, move=move, later=later)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.split() == ["True", "v", "True", "v", "True", "None"], run.stderr


MEANWHILE = """
import threading
from flask import Flask
from flask_caching import Cache, _clock

app = Flask("app")
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

@cache.memoize()
def twice(number):
    return 2 * number

main = threading.current_thread()
asked = 0

def call():
    with app.app_context():
        twice(1)

def in_turn():
    global asked
    if threading.current_thread() is main:
        asked += 1
        other = threading.Thread(target=call)
        other.start()
        other.join()
    return 1e9

with app.app_context():
    twice(1)
    _clock.time = in_turn
    print(twice(1), twice(2), twice(2), asked > 0)
"""


def test_others_are_answered_while_the_clock_is_asked():
    """It is asked with no lock held that a call in another thread needs."""
    run = subprocess.run(
        [sys.executable, "-c", MEANWHILE], capture_output=True, text=True, timeout=60
    )
    assert run.stdout.split() == ["2", "4", "4", "True"], run.stderr
