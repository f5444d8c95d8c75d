"""The line that debug mode logs where a view is answered from the cache."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "view//page"),
        ({"key_prefix": "front"}, "front"),
        ({"key_prefix": lambda: "made"}, "made"),
        ({"make_cache_key": lambda: "own"}, "own"),
    ],
)
def test_it_names_the_key(
    app: Flask, cache: Cache, caplog: pytest.LogCaptureFixture, options: Any, key: str
) -> None:
    caplog.set_level(logging.INFO, "flask_caching")
    view = cache.cached(**options)(lambda: "page")
    app.add_url_rule("/page", "page", view)
    # As `app.run(debug=True)` does, after everything was set up.
    app.debug = True
    client = app.test_client()
    for _ in range(3):
        assert client.get("/page").text == "page"
    lines = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "flask_caching"]
    assert lines == [("INFO", f"Cache used for key: {key}")] * 2


@pytest.mark.parametrize(("debug", "level"), [(False, logging.DEBUG), (True, logging.WARNING)])
def test_elsewhere_there_is_none_and_calls_go_the_quick_way(
    app: Flask, cache: Cache, caplog: pytest.LogCaptureFixture, debug: bool, level: int
) -> None:
    caplog.set_level(level, "flask_caching")
    app.debug = debug
    app.add_url_rule("/page", "page", cache.cached()(lambda: "page"))
    client = app.test_client()
    for _ in range(2):
        client.get("/page")
    described = cache.stats().described
    client.get("/page")
    assert cache.stats().described == described
    assert not caplog.records
