"""SharedCache where workers come and go: replaced by gunicorn, of two applications, greenlets."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask_caching import Cache
from gunicorn_server import serving

APPLICATION = """
import os
from flask import Flask
from flask_caching import Cache

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "SharedCache", "CACHE_DIR": %r})

@app.get("/pid")
def pid():
    return f"{app.name} {os.getpid()}"

@app.get("/count")
def count():
    return f"{cache.inc('visits')} {os.getpid()}"

@app.get("/page")
@cache.cached(timeout=300)
def page():
    return f"made by the {cache.inc('made')}. process"

@app.get("/forget")
def forget():
    return str(cache.delete("view//page"))
"""


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
def test_workers_that_are_replaced_share_one_cache(tmp_path: Path, preload: bool) -> None:
    application = tmp_path / "shared_app.py"
    application.write_text(APPLICATION % str(tmp_path / "cache"))
    options = ["--workers", "3", "--max-requests", "5", "--max-requests-jitter", "3"]
    options += ["--preload"] if preload else []
    with serving(tmp_path, application, *options) as server:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: server.ask("/count").split(), range(30)))
        # Each visit was counted once, whichever worker it came to.
        assert sorted(int(visits) for visits, _ in answers) == list(range(1, 31))
        assert len({pid for _, pid in answers}) > 3
        assert {server.ask("/page") for _ in range(10)} == {"made by the 1. process"}
        assert server.ask("/forget") == "True"
        assert {server.ask("/page") for _ in range(10)} == {"made by the 2. process"}


def test_two_applications_of_one_process_share_a_directory(tmp_path: Path) -> None:
    applications = []
    for name in ("one", "two"):
        app = Flask(name)
        config = {"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path / "cache")}
        applications.append((app, Cache(app, config=config)))
    (one, one_cache), (two, two_cache) = applications
    with one.app_context():
        one_cache.set("key", "of one")
        assert one_cache.get("key") == "of one"
    with two.app_context():
        assert two_cache.get("key") == "of one"
        two_cache.set("key", "of two")
    with one.app_context():
        assert one_cache.get("key") == "of two"
        one_cache.clear()
    with two.app_context():
        assert two_cache.get("key") is None


def test_greenlets_read_and_write_and_wait_for_each_others_results(tmp_path: Path) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    program = """
from gevent import monkey; monkey.patch_all()
import os, sys, gevent
from flask import Flask
from flask_caching import Cache

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "SharedCache", "CACHE_DIR": sys.argv[1]})
calls = []

@cache.memoize()
def slow(number):
    calls.append(number)
    gevent.sleep(0.05)
    return f"result {number}"

def work(number):
    with app.app_context():
        cache.set(f"key {number}", number)
        assert slow(number % 3) == f"result {number % 3}"
        assert cache.get(f"key {number}") == number
        cache.inc("count")

def run():
    gevent.joinall([gevent.spawn(work, n) for n in range(30)], raise_error=True, timeout=30)

run()
assert sorted(calls) == [0, 1, 2], calls
pid = os.fork()
if pid == 0:
    run()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
with app.app_context():
    assert cache.get("count") == 60
print("done")
"""
    command = [sys.executable, "-c", program, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n", done


def test_a_directory_that_is_read_only_is_refused_with_a_sentence() -> None:
    program = """
import os, sys
from flask_caching.backends.sharedcache import SharedCache
os.setuid(12345)
SharedCache(sys.argv[1])
"""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    # Not below pytest's own temporary directory, which others cannot enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        directory = Path(folder) / "cache"
        directory.mkdir()
        os.chown(directory, 12345, 12345)
        directory.chmod(0o500)
        command = [sys.executable, "-c", program, str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "CacheConfigError" in done.stderr, done
    assert "may not write to CACHE_DIR" in done.stderr
