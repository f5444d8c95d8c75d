"""The dashboard with keys, names and servers that are not as they should be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dashboards import Shop, press
from redis_servers import RedisServer


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "RedisCache", "MemcachedCache"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    config: dict[str, Any] = {"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)}
    if request.param == "RedisCache":
        config["CACHE_REDIS_PORT"] = request.getfixturevalue("redis_server").port
    if request.param == "MemcachedCache":
        port = request.getfixturevalue("memcached_server").port
        config["CACHE_MEMCACHED_SERVERS"] = [f"127.0.0.1:{port}"]
    return Shop(config, show_values=True)


@pytest.mark.parametrize(
    "key",
    ["\0", "a b", "\r\nget x\r\n", "\ud800", "\u2028", "x" * 10_000, "../../etc/passwd", "%s"],
    ids=ascii,
)
def test_any_key_is_looked_up_and_deleted_or_refused_with_a_sentence(shop: Shop, key: str) -> None:
    client = shop.client
    for path, asked in (("look-up", {"key": key}), ("delete", {"what": "key", "name": key})):
        answer = press(client, path, asked)
        assert answer.status_code in (200, 502), answer.get_data(as_text=True)
        if answer.status_code == 502:
            assert answer.get_json()["error"]


def test_many_look_and_delete_at_once(shop: Shop) -> None:
    def look(number: int) -> int:
        client = shop.client
        shop.price(number)
        what = {"what": "function", "name": "price"} if number % 3 else {"what": "everything"}
        answers = [client.get("/_cache/data"), press(client, "delete", what)]
        return max(answer.status_code for answer in answers)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(look, range(60))) == {200}


def test_a_server_that_hangs_keeps_the_page_no_longer_than_its_deadline(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_PORT": server.port,
        "CACHE_OPERATION_TIMEOUT": 0.2,
    }
    shop = Shop(config)
    try:
        shop.price(1)
        server.pause()
        data = [shop.client.get("/_cache/data").get_json() for _ in range(2)]
    finally:
        server.kill()

    [health] = data[1]["health"]["servers"]
    assert health["is_left_alone"]
    assert data[1]["totals"]["misses"] == 1
