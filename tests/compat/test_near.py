"""What Flask-Caching changes on Redis is seen by a process that keeps copies."""

from __future__ import annotations

from typing import Any

import pytest
from near import Nearby
from redis_servers import RedisServer
from servers import wait_until

from .conftest import Worker


@pytest.fixture
def near(redis_server: RedisServer) -> Nearby:
    made = Nearby(redis_server)
    made.start()
    return made


def test_changes_by_flask_caching_are_seen(near: Nearby, reference: Worker) -> None:
    cache = near.cache
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_HOST": "127.0.0.1",
        "CACHE_REDIS_PORT": near.port,
        "CACHE_KEY_PREFIX": near.prefix,
    }
    changes: list[tuple[tuple[Any, ...], Any]] = [
        (("set", "k", {"a": [1]}), {"a": [1]}),
        (("set", "k", 5), 5),
        (("delete", "k"), None),
        (("set_many", {"k": "many"}), "many"),
        (("clear",), None),
    ]
    for change, expected in changes:
        if cache.get("k") is None:
            cache.set("k", "before")
        near.settle(lambda: cache.get("k"))
        reference.call("near_changes", "change", config, *change)
        wait_until(lambda expected=expected: cache.get("k") == expected, "the change to be seen")
    reference.call("near_changes", "change", config, "set", "k", 1)
    near.settle(lambda: cache.get("k"))
    assert cache.get("k") == 1
