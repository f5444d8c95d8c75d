"""Options that are switches take whatever is true or false."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

SWITCHES = [(1, True), ("yes", True), (None, False), ([], False)]


def make_cache() -> tuple[Flask, Cache]:
    app = Flask(__name__)
    return app, Cache(app, config={"CACHE_TYPE": "SimpleCache"})


@pytest.mark.parametrize(("value", "is_on"), SWITCHES)
@pytest.mark.parametrize("kind", ["memoize", "cached"])
def test_cache_none(kind: str, value: Any, is_on: bool) -> None:
    app, cache = make_cache()
    calls = itertools.count(1)
    decorate = (
        cache.memoize(cache_none=value)
        if kind == "memoize"
        else cache.cached(key_prefix="none", cache_none=value)
    )

    @decorate
    def nothing() -> None:
        next(calls)

    with app.app_context():
        nothing()
        nothing()
    assert next(calls) == (2 if is_on else 3)


@pytest.mark.parametrize(("value", "is_on"), SWITCHES)
def test_switches_of_views(value: Any, is_on: bool) -> None:
    app, cache = make_cache()
    calls = itertools.count(1)

    @app.get("/")
    @cache.cached(query_string=value, response_hit_indication=value, source_check=value)
    def number() -> str:
        return str(next(calls))

    client = app.test_client()
    answers = [client.get(url) for url in ("/?a=1", "/?a=2", "/?a=2")]
    assert [answer.text for answer in answers] == (["1", "2", "2"] if is_on else ["1"] * 3)
    assert ("hit_cache" in answers[-1].headers) is is_on
