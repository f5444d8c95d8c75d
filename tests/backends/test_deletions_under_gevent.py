"""Greenlets share a thread: a deletion of one lets the late write of another come first."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from network import KINDS, Kind

SCRIPT = """
    from gevent import monkey; monkey.patch_all()
    import sys, gevent
    from gevent.event import Event
    from gevent.threadpool import ThreadPool
    from flask import Flask
    from flask_caching import Cache
    from network import KINDS

    app = Flask("greenlets")
    cache = Cache(app, config=KINDS[sys.argv[1]].config(sys.argv[2], CACHE_KEY_PREFIX="late_"))
    slow, writes, wrote, answers, apply = set(), Event(), Event(), [1], ThreadPool.apply

    def apply_slowly(self, *args):
        if gevent.getcurrent() not in slow:
            return apply(self, *args)
        slow.clear()
        writes.set()
        gevent.sleep(0.1)
        try:
            return apply(self, *args)
        finally:
            wrote.set()

    ThreadPool.apply = apply_slowly

    @cache.memoize(60)
    def answer(question):
        value = answers[0]
        if value == 1:
            slow.add(gevent.getcurrent())
        return value

    def ask():
        with app.app_context():
            return answer("?")

    deletions = (
        lambda: cache.delete_memoized(answer),
        lambda: cache.delete_memoized(answer, "?"),
        lambda: cache.delete(answer.make_cache_key(answer.uncached, "?")),
        cache.clear,
    )
    for delete in deletions:
        with app.app_context():
            cache.delete_memoized(answer)
        answers[0] = 1
        writes.clear(), wrote.clear()
        asked = gevent.spawn(ask)
        writes.wait()
        answers[0] = 2
        with app.app_context():
            delete()
        assert wrote.is_set()
        assert [ask(), asked.get(), ask()] == [2, 1, 2]
"""


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_deletion_waits_for_the_write_of_another_greenlet(
    kind: Kind, request: pytest.FixtureRequest
) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    server: Any = request.getfixturevalue(kind.shared)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), kind.name, kind.address(server)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
