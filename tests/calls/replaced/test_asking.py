"""``unless`` and ``forced_update``: asked once a call, before anything is looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache


class OwnGet(Cache):
    """A cache whose ``get`` is the application's own."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return super().get(*args, **kwargs)


@pytest.mark.parametrize("signals", [False, True])
@pytest.mark.parametrize("kind", [Cache, OwnGet])
@pytest.mark.parametrize("backend", ["SimpleCache", "FileSystemCache"])
@pytest.mark.parametrize("decorator", ["memoize", "cached", "keyed"])
def test_each_is_asked_once_a_call_and_in_this_order(
    app: Flask, tmp_path: Path, signals: bool, kind: type[Cache], backend: str, decorator: str
) -> None:
    config = {"CACHE_TYPE": backend, "CACHE_DIR": str(tmp_path), "CACHE_ENABLE_SIGNALS": signals}
    cache = kind(app, config=config)
    events: list[str] = []
    decision = ""

    def ask(what: str) -> Any:
        def asked(*_args: Any, **_kwargs: Any) -> bool:
            events.append(what)
            return what == decision

        return asked

    options = {"unless": ask("unless"), "forced_update": ask("forced_update")}
    decorate = {
        "memoize": cache.memoize(**options),
        "cached": cache.cached(key_prefix="key", **options),
        "keyed": cache.cached(make_cache_key=lambda *_args: "key", **options),
    }[decorator]
    runs = 0

    @decorate
    def function(_number: int) -> int:
        nonlocal runs
        runs += 1
        events.append("run")
        return runs

    with app.app_context():
        for decision, expected, result in [  # noqa: B007 - `ask` reads it
            ("", ["unless", "forced_update", "run"], 1),
            ("", ["unless", "forced_update"], 1),
            ("unless", ["unless", "run"], 2),
            ("", ["unless", "forced_update"], 1),
            ("forced_update", ["unless", "forced_update", "run"], 3),
            ("", ["unless", "forced_update"], 3),
        ]:
            events.clear()
            assert function(1) == result
            assert events == expected


def test_a_hit_needs_no_description(cache: Cache, in_app: None) -> None:
    functions = [
        cache.memoize(unless=lambda: False)(lambda x: [x]),
        cache.memoize(forced_update=lambda: False)(lambda x: [x]),
        cache.memoize(unless=lambda f, x: False, forced_update=lambda x: False)(lambda x: [x]),
    ]
    for f in functions:
        assert f(1) == f(1) == [1]
    described = cache.stats().described
    for f in functions:
        assert f(1) == [1]
    assert cache.stats().described == described


def test_what_they_raise_reaches_the_caller_and_nothing_is_stored(
    app: Flask, cache: Cache, in_app: None
) -> None:
    app.debug = True

    def refuse(*_args: Any) -> bool:
        raise ValueError("cannot say")

    for option in ("unless", "forced_update"):
        f = cache.memoize(**{option: refuse})(lambda x: [x])
        for _ in range(2):
            with pytest.raises(ValueError, match="cannot say"):
                f(1)
    assert not cache.cache._cache
