"""The documentation's chapters on cached views."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from flask import Flask, abort, make_response, request
from flask.testing import FlaskClient
from flask.views import View
from flask_caching import Cache, CachedResponse
from flask_caching.testing import ManualClock, manual_clock


@pytest.fixture
def app() -> Flask:
    return Flask(__name__)


@pytest.fixture
def cache(app: Flask) -> Cache:
    return Cache(app, config={"CACHE_TYPE": "SimpleCache"})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    with manual_clock() as clock:
        yield clock


@pytest.fixture
def served() -> Iterator[str]:
    """A new word for each call of a view."""
    return (f"answer {number}" for number in count(1))


def test_a_view_is_cached_under_its_path(
    app: Flask, cache: Cache, client: FlaskClient, clock: ManualClock, served: Iterator[str]
) -> None:
    @app.route("/")
    @app.route("/elsewhere")
    @cache.cached(timeout=50)
    def index() -> str:
        return next(served)

    assert client.get("/").text == "answer 1"
    assert client.get("/").text == "answer 1"
    assert client.get("/elsewhere").text == "answer 2"
    with app.app_context():
        assert cache.get("view//") == "answer 1"
    clock.advance(50)
    assert client.get("/").text == "answer 3"


def test_unless_bypasses_the_cache(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    @app.route("/")
    @cache.cached(unless=lambda: "skip" in request.args)
    def index() -> str:
        return next(served)

    assert client.get("/").text == "answer 1"
    assert client.get("/?skip").text == "answer 2"
    assert client.get("/").text == "answer 1"


def test_unless_is_given_the_function_and_its_arguments(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    seen = []

    def unless(f: object, name: str) -> bool:
        seen.append((f, name))
        return name == "fresh"

    @app.route("/<name>")
    @cache.cached(unless=unless)
    def page(name: str) -> str:
        return next(served)

    assert [client.get("/fresh").text for _ in range(2)] == ["answer 1", "answer 2"]
    assert seen == [(page.uncached, "fresh")] * 2


def test_a_view_sets_its_timeout_by_what_it_returns(
    app: Flask, cache: Cache, client: FlaskClient, clock: ManualClock, served: Iterator[str]
) -> None:
    @app.route("/")
    @cache.cached(timeout=1)
    def index() -> CachedResponse:
        return CachedResponse(response=make_response(next(served)), timeout=50)

    assert client.get("/").text == "answer 1"
    clock.advance(49)
    assert client.get("/").text == "answer 1"
    clock.advance(1)
    assert client.get("/").text == "answer 2"


def test_decorators_in_the_wrong_order_register_the_uncached_view(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    @cache.cached(timeout=50)
    @app.route("/")
    def index() -> str:
        return next(served)

    assert [client.get("/").text for _ in range(2)] == ["answer 1", "answer 2"]


def test_a_pluggable_view(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    class MyView(View):
        @cache.cached(timeout=50)
        def dispatch_request(self) -> str:
            return next(served)

    app.add_url_rule("/mine", view_func=MyView.as_view("mine"))
    assert [client.get("/mine").text for _ in range(2)] == ["answer 1"] * 2


def test_a_function_that_is_no_view_is_cached_under_its_prefix(
    app: Flask, cache: Cache, served: Iterator[str]
) -> None:
    @cache.cached(timeout=50, key_prefix="all_comments")
    def get_all_comments() -> list[str]:
        return [next(served)]

    with app.test_request_context("/anywhere"):
        assert get_all_comments() == ["answer 1"]
    with app.test_request_context("/elsewhere"):
        assert get_all_comments() == ["answer 1"]
        assert cache.get("all_comments") == ["answer 1"]


def test_a_post_is_cached_under_a_key_made_of_its_body(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    def make_key() -> str:
        return ",".join(f"{key}={value}" for key, value in request.get_json().items())

    @app.route("/hello", methods=["POST"])
    @cache.cached(timeout=60, make_cache_key=make_key)
    def hello() -> str:
        return next(served)

    assert client.post("/hello", json={"name": "ada"}).text == "answer 1"
    assert client.post("/hello", json={"name": "bob"}).text == "answer 2"
    assert client.post("/hello", json={"name": "ada"}).text == "answer 1"
    with app.app_context():
        assert cache.get("name=ada") == "answer 1"


def test_a_callable_prefix_puts_the_method_into_the_key(
    app: Flask, cache: Cache, client: FlaskClient
) -> None:
    def method_key() -> str:
        return f"view/{request.method}{request.path}"

    @app.route("/foo", methods=["GET", "POST"])
    @cache.cached(timeout=50, key_prefix=method_key)
    def foo() -> str:
        return f"body for {request.method}"

    assert client.get("/foo").text == "body for GET"
    assert client.post("/foo").text == "body for POST"
    with app.app_context():
        assert cache.get("view/GET/foo") == "body for GET"
        assert cache.get("view/POST/foo") == "body for POST"
        cache.delete("view/POST/foo")
    with app.test_request_context("/foo"):
        cache.delete_cached(foo)
    with app.app_context():
        assert not cache.has("view/GET/foo")


def test_the_query_string_counts_in_any_order(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    @app.route("/works")
    @cache.cached(timeout=50, query_string=True)
    def works() -> str:
        return next(served)

    assert client.get("/works?limit=10&offset=20").text == "answer 1"
    assert client.get("/works?offset=20&limit=10").text == "answer 1"
    assert client.get("/works?offset=30&limit=10").text == "answer 2"


@pytest.mark.parametrize(
    "query",
    ["limit=15&mock=true", {"limit": 15, "mock": "true"}, [("mock", "true"), ("limit", 15)]],
)
def test_deleting_a_view_with_its_query(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str], query: object
) -> None:
    @app.route("/works")
    @cache.cached(timeout=50, query_string=True)
    def works() -> str:
        return next(served)

    assert client.get("/works?mock=true&limit=15").text == "answer 1"
    with app.app_context():
        assert cache.has(works.make_cache_key(path="/works", query_args=query))
        cache.delete_cached(works, "/works", query)
    assert client.get("/works?mock=true&limit=15").text == "answer 2"


def test_deleting_a_view_by_path_and_by_the_endpoints_arguments(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    @app.route("/user/<name>")
    @cache.cached(timeout=50)
    def user(name: str) -> str:
        return next(served)

    assert client.get("/user/fred").text == "answer 1"
    with app.app_context():
        cache.delete_cached(user, "/user/fred")
    assert client.get("/user/fred").text == "answer 2"
    with app.test_request_context():
        cache.delete_cached(user, name="fred")
    assert client.get("/user/fred").text == "answer 3"


def test_forced_update_refreshes_and_is_stale_judges_what_is_there(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    judged: list[str] = []

    def is_stale(answer: str) -> bool:
        judged.append(answer)
        return answer == "answer 2"

    @app.route("/")
    @cache.cached(forced_update=lambda: "fresh" in request.args, is_stale=is_stale)
    def index() -> str:
        return next(served)

    assert client.get("/").text == "answer 1"
    assert client.get("/?fresh").text == "answer 2"
    assert judged == []
    assert client.get("/").text == "answer 3"
    assert client.get("/").text == "answer 3"
    assert judged == ["answer 2", "answer 3"]


def test_response_filter_keeps_errors_out_and_abort_is_cached(
    app: Flask, cache: Cache, client: FlaskClient, served: Iterator[str]
) -> None:
    asked: list[int] = []

    def not_server_error(response: object) -> bool:
        return getattr(response, "status_code", 200) < 500

    @app.route("/<int:status>")
    @cache.cached(timeout=50, response_filter=not_server_error)
    def page(status: int) -> str:
        asked.append(status)
        abort(status)

    @app.errorhandler(404)
    def not_found(error: Exception) -> tuple[str, int]:
        return next(served), 404

    assert [client.get("/503").status_code for _ in range(2)] == [503, 503]
    assert [client.get("/404").text for _ in range(2)] == ["answer 1", "answer 2"]
    assert asked == [503, 503, 404]


def test_cache_none_keeps_a_none(app: Flask, cache: Cache) -> None:
    calls: list[str] = []

    @cache.cached(key_prefix="nothing", cache_none=True)
    def nothing() -> None:
        calls.append("cached")

    @cache.cached(key_prefix="never")
    def never() -> None:
        calls.append("not cached")

    with app.test_request_context():
        for _ in range(2):
            assert nothing() is None
            assert never() is None
    assert sorted(calls) == ["cached", "not cached", "not cached"]


def test_the_header_says_that_it_was_a_hit(app: Flask, cache: Cache, client: FlaskClient) -> None:
    @app.route("/")
    @cache.cached(timeout=50, response_hit_indication=True)
    def index() -> str:
        return "ok"

    assert [client.get("/").headers.get("hit_cache") for _ in range(2)] == [None, "True"]


def test_a_decorated_view_carries_its_attributes(
    app: Flask, cache: Cache, clock: ManualClock, client: FlaskClient, served: Iterator[str]
) -> None:
    @app.route("/")
    @cache.cached(timeout=50)
    def index() -> str:
        """The start page."""
        return next(served)

    assert index.uncached.__name__ == index.__name__ == "index"
    assert index.__doc__ == "The start page."
    assert index.cache_timeout == 50
    index.cache_timeout = 5
    assert client.get("/").text == "answer 1"
    clock.advance(5)
    assert client.get("/").text == "answer 2"
