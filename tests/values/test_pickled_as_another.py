"""Values that choose to be pickled as something else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cachelib.serializers import JSONSerializer
from flask import Flask
from flask_caching import Cache


class Lazy:
    """As the texts of a translation, which are looked up when they are shown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __reduce__(self) -> Any:
        return str, (self.text,)


class Listed(list[int]):
    def __reduce_ex__(self, protocol: Any) -> Any:
        return tuple, ([*self],)


class Changed:
    def __reduce__(self) -> Any:
        return Changed, ()

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def any_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)})
    with app.app_context():
        yield cache


VALUES = [
    (Lazy("hello"), "hello"),
    ([Lazy("hello")], ["hello"]),
    (Listed([1, 2]), (1, 2)),
]


@pytest.mark.parametrize(("value", "stored"), VALUES)
def test_what_its_pickle_holds_is_stored(any_cache: Cache, value: Any, stored: Any) -> None:
    assert any_cache.set("key", value)
    assert any_cache.get("key") == stored
    assert type(any_cache.get("key")) is type(stored)
    assert any_cache.set_many({"other": value}) == ["other"]
    assert any_cache.get_dict("other") == {"other": stored}


@pytest.mark.parametrize(("value", "stored"), VALUES)
def test_a_function_that_returns_it_is_cached(any_cache: Cache, value: Any, stored: Any) -> None:
    runs: list[int] = []

    @any_cache.memoize()
    def function() -> Any:
        runs.append(1)
        return value

    assert function() is value
    assert function() == function() == stored
    assert runs == [1]


def test_another_format_must_give_back_what_it_was_given(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_SERIALIZER": JSONSerializer()})
    with app.app_context():
        assert cache.set("key", {"a": [1]})
        assert not cache.set("key", {"a": (1,)})
        assert cache.get("key") is None
