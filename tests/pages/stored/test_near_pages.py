"""Pages on Redis with copies in the process: a hit asks the server nothing."""

from __future__ import annotations

import itertools

import pytest
from near import Nearby
from paged import Paged
from redis_servers import RedisServer
from servers import wait_until


@pytest.mark.parametrize("in_front", [True, False])
@pytest.mark.parametrize("has_tags", [True, False])
def test_a_hit_asks_the_server_nothing(
    redis_server: RedisServer, in_front: bool, has_tags: bool
) -> None:
    near = Nearby(redis_server)
    settings = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_PORT": near.port,
        "CACHE_KEY_PREFIX": near.prefix,
        "CACHE_NEAR": True,
        "CACHE_PAGES_IN_FRONT": True,
    }
    options = {"tags": ("news",), "compress": ("gzip",)} if has_tags else {}
    view = (f"run {number} {'word ' * 200}" for number in itertools.count(1)).__next__
    paged, other = (
        Paged(lambda run: view(), settings, in_front=in_front, **options) for _ in range(2)
    )
    first = paged.get().data
    near.settle(paged.get)
    assert near.asked(lambda: [paged.get() for _ in range(5)]) == 0
    assert paged.get().data == first
    # What another process deletes is heard of.
    if has_tags:
        other.cache.delete_tags("news")
    else:
        other.cache.delete_page("/page")
    wait_until(lambda: paged.get().data != first, "the deletion to be heard of")
