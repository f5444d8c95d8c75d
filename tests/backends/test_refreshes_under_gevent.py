"""Refreshes in a process whose threads gevent has patched: they are greenlets."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from network import KINDS, Kind

SCRIPT = """
    from gevent import monkey; monkey.patch_all()
    import sys, threading, gevent
    from gevent.event import Event
    from flask import Flask
    from flask_caching import Cache
    from flask_caching.testing import manual_clock
    from network import KINDS

    app = Flask("greenlets")
    if sys.argv[1] == "simple":
        config = {"CACHE_TYPE": "SimpleCache"}
    else:
        config = KINDS[sys.argv[1]].config(sys.argv[2], CACHE_KEY_PREFIX=sys.argv[3])
    cache = Cache(app, config=config)
    greenlets, gate, calls = [], Event(), []

    @cache.memoize(0.2, stale_while_revalidate=60)
    def f():
        calls.append(1)
        greenlets.append(gevent.getcurrent())
        if len(calls) > 1:
            assert gate.wait(30)
        return len(calls)

    def ask():
        with app.app_context():
            return f()

    assert gevent.spawn(ask).get() == 1
    gevent.sleep(0.3)
    # The refresh waits, in a greenlet of its own, and all others go on.
    asked = [gevent.spawn(ask) for _ in range(20)]
    gevent.joinall(asked, timeout=30)
    assert [one.value for one in asked] == [1] * 20, [one.value for one in asked]
    while len(calls) < 2:
        gevent.sleep(0.001)
    gate.set()
    while ask() < 2:
        gevent.sleep(0.001)
    assert len(set(map(id, greenlets))) > 1
    assert all(one not in asked for one in greenlets)
    print("refreshed")
"""


@pytest.mark.parametrize("name", ["simple", "redis", "memcached"])
def test_a_refresh_is_a_greenlet(request: Any, name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    address = ""
    if name != "simple":
        kind: Kind = KINDS[name]
        address = kind.address(request.getfixturevalue(kind.shared))
    script = textwrap.dedent(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-c", script, name, address, f"{tmp_path.name}_"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "refreshed\n", done.stdout + done.stderr
