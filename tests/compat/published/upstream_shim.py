"""Put in place of the published suites' ``conftest.py``, which stays beside it as ``published``.

The suites stop time inside cachelib or sleep; here the engine's clock is set instead. Their
servers stand on fixed ports; here each run has servers and ports of its own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import types
from collections.abc import Iterator

import pytest
from flask_caching.testing import manual_clock

try:
    import xprocess  # noqa: F401
except ImportError:
    # Only names that the published conftest imports; its server fixtures are replaced below.
    stand_in = types.ModuleType("xprocess")
    stand_in.ProcessStarter = object  # type: ignore[attr-defined]
    sys.modules["xprocess"] = stand_in

from published import *  # type: ignore[import-not-found] # noqa: F403


@pytest.fixture
def clock() -> Iterator[object]:
    """The engine's clock, stopped."""
    with manual_clock() as stopped:
        yield stopped


@pytest.fixture(autouse=True)
def no_sleeping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``time.sleep`` moves the clock, except where a server keeps the time."""
    if {"redis_server", "memcache_server"} & set(request.fixturenames):
        yield
        return
    with manual_clock() as stopped:
        monkeypatch.setattr(time, "sleep", stopped.advance)
        yield


def _serve(executable: str, *arguments: str, port: str) -> Iterator[None]:
    if shutil.which(executable) is None:
        pytest.skip(f"{executable} is not installed")
    server = subprocess.Popen(
        [executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                    break
            time.sleep(0.05)
        else:
            pytest.fail(f"{executable} does not listen on port {port}")
        yield
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[None]:
    """A redis-server that keeps nothing on disk."""
    port = os.environ["COMPAT_REDIS_PORT"]
    yield from _serve("redis-server", "--port", port, "--save", "", port=port)


@pytest.fixture(scope="session")
def memcache_server() -> Iterator[None]:
    """A memcached."""
    port = os.environ["COMPAT_MEMCACHED_PORT"]
    user = ("-u", "root") if os.geteuid() == 0 else ()
    yield from _serve("memcached", "-p", port, "-U", "0", "-l", "127.0.0.1", *user, port=port)
