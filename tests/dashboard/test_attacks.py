"""The dashboard with keys, names and servers that are not as they should be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cachelib import SimpleCache
from dashboards import Shop, press
from flask import Blueprint, Flask
from flask_caching import Cache, CacheConfigError, dashboard
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


ORIGINS = ["http://[", "http://[evil", "", "http://localhost@evil.example", "http://evil#localhost"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_that_is_none_presses_no_button(origin: str) -> None:
    shop = Shop()
    shop.cache.set("k", 1)

    answer = press(shop.client, "delete", {"what": "everything"}, Origin=origin)

    assert answer.status_code == 403
    assert shop.cache.get("k") == 1


@pytest.mark.parametrize(
    "host",
    [
        "",
        "1",
        "a b",
        "localhost.",
        "localhost@evil",
        "0x7f.1",
        "127.1",
    ],
)
def test_a_host_that_is_none_does_not_get_in_without_authorize(host: str) -> None:
    app = Flask("debugged")
    app.debug = True
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.register_blueprint(dashboard.blueprint(cache), url_prefix="/_cache")

    answer = app.test_client().get("/_cache/data", headers={"Host": host})

    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["//[", "/\ud800", "/" + "x" * 50_000, "/%zz", "//elsewhere/x"])
def test_any_path_is_deleted_or_refused_with_a_sentence(path: str) -> None:
    answer = press(Shop().client, "delete", {"what": "page", "name": path})

    assert answer.status_code in (200, 400)
    assert any(answer.get_json().values())


class _Failing(SimpleCache):  # type: ignore[misc]
    def get(self, key: str) -> Any:
        raise RuntimeError("4111")

    def clear(self) -> bool:
        raise RuntimeError("4111")


def failing(*_: Any) -> SimpleCache:
    return _Failing()


def test_a_backend_of_the_applications_own_that_fails_is_a_sentence() -> None:
    shop = Shop({"CACHE_TYPE": f"{__name__}.failing"})
    for path, asked in (("look-up", {"key": "k"}), ("delete", {"what": "everything"})):
        answer = press(shop.client, path, asked)
        assert answer.status_code == 502
        assert "RuntimeError" in answer.get_json()["error"]
        assert "4111" not in answer.get_data(as_text=True)


def test_a_cache_that_is_not_set_up_is_a_sentence() -> None:
    app = Flask("elsewhere")
    app.register_blueprint(
        dashboard.blueprint(Cache(), authorize=lambda: True), url_prefix="/_cache"
    )

    answer = app.test_client().get("/_cache/data")

    assert answer.status_code == 502
    assert "init_app" in answer.get_json()["error"]


@pytest.mark.parametrize(
    "prefix",
    ["/<tenant>/_cache", "/<name>/<path:asset_of>", "/_cache/", "/a;b/_cache", '/"b c"', "/\u00e9"],
    ids=ascii,
)
def test_any_prefix_will_do(prefix: str) -> None:
    app = Flask("prefixed")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.register_blueprint(dashboard.blueprint(cache, authorize=lambda: True), url_prefix=prefix)
    base = prefix.replace("<tenant>", "t").replace("<name>/<path:asset_of>", "a/b/c").rstrip("/")
    cache.set("k", 1)

    client = app.test_client()
    token = client.get(f"{base}/data").get_json()["token"]
    answer = client.post(
        f"{base}/delete", json={"what": "everything"}, headers={"X-Cache-Token": token}
    )

    assert answer.status_code == 200
    assert cache.get("k") is None
    assert client.get(f"{base}/assets/page.js").status_code == 200
    assert client.get(f"{base}/").status_code == 200


def test_within_another_blueprint_it_is_guarded_as_well() -> None:
    app = Flask("nested")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    for name, authorize in (("closed", lambda: False), ("open", lambda: True)):
        outer = Blueprint(name, __name__)
        outer.register_blueprint(dashboard.blueprint(cache, authorize=authorize), url_prefix="/c")
        app.register_blueprint(outer, url_prefix=f"/{name}")
    unguarded = Blueprint("unguarded", __name__)
    unguarded.register_blueprint(dashboard.blueprint(cache))
    with pytest.raises(CacheConfigError, match="needs authorize="):
        app.register_blueprint(unguarded)

    assert app.test_client().get("/closed/c/data").status_code == 403
    assert app.test_client().get("/open/c/data").status_code == 200
