"""HTTPExceptions of classes that cannot be made again from what is stored of them."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from json_serializer import JSONSerializer
from werkzeug.exceptions import HTTPException, NotFound, TooManyRequests


class Odd(HTTPException):
    code = 418

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class NoSuchPage(NotFound):
    def __init__(self, name: str, place: str) -> None:
        super().__init__(f"no {name} in {place}")

    def get_headers(self, *args: Any, **kwargs: Any) -> Any:
        return [*super().get_headers(*args, **kwargs), ("X-Own", "yes")]


class Busy(TooManyRequests):
    def __init__(self, *, until: int) -> None:
        super().__init__("busy", retry_after=until)


def get_twice(app: Flask, cache: Cache, error: Any) -> tuple[list[Any], int]:
    """The responses to two requests of a view that raises, and how often it ran."""
    runs = count(1)

    @app.route("/page")
    @cache.cached()
    def page() -> str:
        next(runs)
        raise error()

    client = app.test_client()
    return [client.get("/page") for _ in range(2)], next(runs) - 1


@pytest.mark.parametrize(
    "error", [lambda: Odd("a", "b"), lambda: NoSuchPage("a", "b"), lambda: Busy(until=3)]
)
def test_it_is_stored_as_its_response(
    app: Flask, cache: Cache, error: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (first, second), runs = get_twice(app, cache, error)
    assert runs == 1
    assert first.status_code == error().code
    assert second.status == first.status
    assert second.data == first.data
    assert dict(second.headers) == dict(first.headers)
    assert not caplog.records


def test_a_local_class_as_well(app: Flask, cache: Cache) -> None:
    class Local(NotFound):
        pass

    (first, second), runs = get_twice(app, cache, lambda: Local("here"))
    assert (runs, second.status_code, second.data) == (1, 404, first.data)


@pytest.mark.parametrize("handled", [404, NotFound, HTTPException])
def test_a_handler_of_what_it_derives_from_is_asked_each_time(
    app: Flask, cache: Cache, handled: Any
) -> None:
    handles = count(1)

    @app.errorhandler(handled)
    def handle(error: HTTPException) -> tuple[str, int]:
        return f"{next(handles)}: {error.description}", 404

    responses, runs = get_twice(app, cache, lambda: NoSuchPage("a", "b"))
    assert runs == 1
    assert [response.text for response in responses] == ["1: no a in b", "2: no a in b"]


def test_with_a_handler_of_its_very_class_it_is_not_stored(app: Flask, cache: Cache) -> None:
    @app.errorhandler(Odd)
    def handle(error: Odd) -> tuple[str, int]:
        return "handled", 418

    responses, runs = get_twice(app, cache, lambda: Odd("a", "b"))
    assert runs == 2
    assert [response.text for response in responses] == ["handled", "handled"]


def test_a_serializer_that_knows_no_responses_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask("json")
    app.debug = True
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_SERIALIZER": JSONSerializer})
    (_, second), runs = get_twice(app, cache, lambda: Odd("a", "b"))
    assert (runs, second.status_code) == (2, 418)
    (record,) = (r for r in caplog.records if r.name == "flask_caching")
    assert "served but not cached" in record.getMessage()


# The header that says that a response comes from the cache.


def test_a_helper_that_hit_says_nothing_of_a_page_that_missed(app: Flask, cache: Cache) -> None:
    @cache.cached(key_prefix="helper", response_hit_indication=True)
    def helper() -> str:
        return "help"

    @app.route("/pages/<name>")
    @cache.cached(response_hit_indication=True)
    def page(name: str) -> str:
        return helper()

    @app.route("/plain")
    def plain() -> str:
        return helper()

    client = app.test_client()
    paths = ("/pages/1", "/pages/1", "/pages/2", "/pages/2", "/plain")
    hits = [client.get(path).headers.get("hit_cache") for path in paths]
    assert hits == [None, "True", None, "True", None]


def test_a_page_behind_another_decorator_says_that_it_hit(app: Flask, cache: Cache) -> None:
    def hiding(view: Any) -> Any:
        return lambda: view()

    @app.route("/page", endpoint="page")
    @hiding
    @cache.cached(response_hit_indication=True)
    def page() -> str:
        return "page"

    client = app.test_client()
    assert [client.get("/page").headers.get("hit_cache") for _ in range(2)] == [None, "True"]
