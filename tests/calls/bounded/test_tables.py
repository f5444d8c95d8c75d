"""What is remembered of functions and applications is forgotten before it takes too much."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.extension import state as _state
from flask_caching.stats import _shared


def test_names_of_functions_that_are_not_cached_are_bounded(
    app: Flask, cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_state, "_MOST_NAMES", 10)

    def function() -> int:
        return 1

    with app.app_context(), caplog.at_level(logging.ERROR):
        for number in range(25):
            function.__qualname__ = f"function{number}"
            decorated = cache.cached(make_cache_key=list)(function)
            assert decorated() == decorated() == 1
    assert len(cache._states[app]._refused) == 5
    # Each is said once.
    assert caplog.text.count("is not cached") == 25


def test_what_applications_shared_goes_with_them(tmp_path: Path) -> None:
    cache = Cache()
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}

    def used(number: int) -> Flask:
        app = Flask(f"thrown away {number}")
        cache.init_app(app, config)
        app.test_client().get("/")
        return app

    # Several at a time, as what follows another one at its address would take its place.
    for _ in range(3):
        applications = [used(number) for number in range(10)]
        # And the last one before, which the cache still had for its own.
        assert len(_shared._shares[cache]) <= len(applications) + 1
        applications.clear()
        gc.collect()
