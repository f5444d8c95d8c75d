"""``CACHE_REDIS_URL`` beside other settings: what it does not say is taken from them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

PASSWORD = "s3 cret@/"
QUOTED = "s3%20cret%40%2F"


@pytest.mark.parametrize(
    ("url", "settings", "database"),
    [
        ("redis://{host}", {"CACHE_REDIS_PASSWORD": PASSWORD}, 0),
        ("redis://{host}", {"CACHE_REDIS_PASSWORD": PASSWORD, "CACHE_REDIS_DB": "3"}, 3),
        ("redis://{host}/2", {"CACHE_REDIS_PASSWORD": PASSWORD, "CACHE_REDIS_DB": 3}, 2),
        ("redis://{host}?db=2", {"CACHE_REDIS_PASSWORD": PASSWORD, "CACHE_REDIS_DB": 3}, 2),
        ("redis://{host}", {"CACHE_OPTIONS": {"password": PASSWORD, "db": 4}}, 0),
        (f"redis://:{QUOTED}@{{host}}", {"CACHE_REDIS_PASSWORD": "another"}, 0),
        ("redis://app@{host}", {"CACHE_REDIS_PASSWORD": "app:pw"}, 0),
        (f"redis://:{QUOTED}@127.0.0.1", {"CACHE_REDIS_PORT": "{port}"}, 0),
        (f"redis://:{QUOTED}@", {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": "{port}"}, 0),
    ],
)
def test_what_the_url_does_not_say(
    redis_password: Any, url: str, settings: dict[str, Any], database: int
) -> None:
    port = str(redis_password.port)
    settings = {
        name: value.replace("{port}", port) if isinstance(value, str) else value
        for name, value in settings.items()
    }
    cache = Cache(
        Flask("x"),
        config={
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_URL": url.replace("{host}", f"127.0.0.1:{port}"),
            "CACHE_KEY_PREFIX": "beside_",
            **settings,
        },
    )
    assert cache.set("key", "value")
    client = cache.cache._write_client  # type: ignore[attr-defined]
    assert client.get("beside_key")
    assert client.connection_pool.connection_kwargs["db"] == database
    assert cache.clear()
