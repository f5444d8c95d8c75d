"""Processes do at random what they may, while they and servers are killed and frozen.

``make soak`` runs this for longer: five times ``SOAK_SECONDS``. ``SOAK_SEED`` repeats what is done,
though not the order in which processes come to their turn.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from gunicorn_server import serving
from memcached_servers import MemcachedServer
from redis_servers import RedisServer
from soak import KEYS, TTL, Soak

#: Seconds for which they go on; starting them takes its time, too.
SECONDS = max(10.0, 5 * float(os.environ.get("SOAK_SECONDS", "0")))
SEED = os.environ.get("SOAK_SEED") or str(random.randrange(10**6))


@pytest.mark.parametrize("kind", ["redis", "memcached"])
def test_processes_that_are_killed_and_frozen_lose_no_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Workers of gunicorn compute under leases while they, and the server, are disturbed."""
    server: RedisServer | MemcachedServer
    config: dict[str, Any] = {
        "CACHE_LEASE": True,
        "CACHE_LEASE_TTL": TTL,
        "CACHE_WAIT": 60,
    }
    if kind == "redis":
        server = RedisServer(tmp_path / "redis")
        config |= {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": server.port}
    else:
        server = MemcachedServer(tmp_path / "memcached")
        config |= {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": [server.address]}
    monkeypatch.setenv("TEST_CACHE", json.dumps(config))
    monkeypatch.setenv("SOAK_FOLDER", str(tmp_path))
    (tmp_path / "numbers").write_bytes(bytes(8 * KEYS))
    application = Path(__file__).with_name("soak_app.py")
    options = ("--workers", "4", "--threads", "4", "--timeout", "300")
    server.start()
    try:
        with serving(tmp_path / "gunicorn", application, *options) as gunicorn:
            soak = Soak(gunicorn, server, tmp_path)
            soak.run(SECONDS, SEED)
            soak.check_leases()
            computed = soak.check_computations()
            # gunicorn's, those that refresh, that renew leases, and that leave counts.
            soak.check_bounds(most_threads=16, most_files=80, most_megabytes=150)
            assert computed < soak.calls
            assert soak.deletions
    finally:
        server.kill()
