"""Cached views: which requests share an entry, and which answers are stored."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask
import pytest
from flask import (
    Flask,
    Response,
    abort,
    jsonify,
    make_response,
    redirect,
    request,
    send_file,
    stream_with_context,
)
from flask.views import MethodView
from flask_caching import Cache, CachedResponse, CacheKeyError
from flask_caching.testing import ManualClock, manual_clock
from werkzeug.exceptions import Forbidden, HTTPException, NotFound

#: Whether a view may return a list or a generator, as it may since Flask 2.2.
RETURNS_ITERATORS = hasattr(flask, "stream_template_string")
since_flask_2_2 = pytest.mark.skipif(not RETURNS_ITERATORS, reason="Flask 2.2 and later")


class Counter:
    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> int:
        self.runs += 1
        return self.runs


@pytest.fixture
def count() -> Counter:
    return Counter()


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    with manual_clock() as clock:
        yield clock


def _text(app: Flask, path: str, **options: Any) -> str:
    return app.test_client().open(path, **options).text


# Which requests share an entry.


def test_a_request_that_changes_things_is_never_swallowed(
    app: Flask, cache: Cache, count: Counter
) -> None:
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "PURGE"]

    @app.route("/", methods=methods)
    @cache.cached()
    def view() -> str:
        return f"{request.method} {count()}"

    @app.route("/q", methods=methods)
    @cache.cached(query_string=True)
    def by_query() -> str:
        return f"{request.method} {count()}"

    for path in ("/", "/q?a=1"):
        for method in methods[1:]:
            first = _text(app, path, method=method)
            assert first.startswith(method)
            assert _text(app, path, method=method) != first
        got = _text(app, path)
        assert got.startswith("GET")
        assert _text(app, path, method="POST").startswith("POST")
        assert _text(app, path) == got


def test_a_key_of_the_applications_own_holds_for_every_method(
    app: Flask, cache: Cache, count: Counter
) -> None:
    @app.route("/made", methods=["GET", "POST"])
    @cache.cached(make_cache_key=lambda: "made")
    def made() -> str:
        return str(count())

    @app.route("/called", methods=["GET", "POST"])
    @cache.cached(key_prefix=lambda: "called")
    def called() -> str:
        return str(count())

    for path in ("/made", "/called"):
        first = _text(app, path, method="POST")
        assert _text(app, path, method="POST") == _text(app, path) == first


def test_a_called_prefix_with_the_query_holds_for_every_method(
    app: Flask, cache: Cache, count: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    @app.route("/", methods=["GET", "POST"])
    @cache.cached(key_prefix=lambda: "called", query_string=True)
    def view() -> str:
        return str(count())

    first = _text(app, "/?a=1", method="POST")
    assert _text(app, "/?a=1") == first
    assert _text(app, "/?a=2", method="POST") != first
    with app.app_context():
        assert (view(), view()) == ("3", "4")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("key", [["a", "list"], {"a": "dict"}])
def test_a_key_that_cannot_be_hashed_does_not_break_a_view(
    app: Flask, cache: Cache, count: Counter, key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @app.route("/bad")
    @cache.cached(make_cache_key=lambda: key)
    def bad() -> str:
        return str(count())

    @app.route("/good")
    @cache.cached()
    def good() -> str:
        return "good"

    for _ in range(3):
        assert _text(app, "/bad")
        assert _text(app, "/good") == "good"
    assert count.runs == 3
    assert len(caplog.records) == 1
    app.debug = app.testing = True
    with pytest.raises(CacheKeyError, match="hashed"):
        _text(app, "/bad")


def test_a_head_is_answered_by_what_a_get_stored_and_stores_nothing(
    app: Flask, cache: Cache, count: Counter
) -> None:
    @app.route("/")
    @cache.cached()
    def view() -> str:
        return f"{request.method} {count()}"

    client = app.test_client()
    assert client.head("/").status_code == 200
    assert client.get("/").text == "GET 2"
    assert client.head("/").headers["Content-Length"] == "5"
    assert count.runs == 2


def test_an_options_request_is_flasks(app: Flask, cache: Cache) -> None:
    @app.route("/")
    @cache.cached()
    def view() -> str:
        return "body"

    assert _text(app, "/") == "body"
    answer = app.test_client().options("/")
    assert answer.text == ""
    assert "GET" in answer.headers["Allow"]


def test_repeated_query_arguments_keep_their_order(
    app: Flask, cache: Cache, count: Counter
) -> None:
    @app.route("/")
    @cache.cached(query_string=True)
    def view() -> str:
        return request.args["v"] + request.args.get("w", "")

    assert _text(app, "/?v=1&v=2") == "1"
    assert _text(app, "/?v=2&v=1") == "2"
    assert _text(app, "/?v=2&v=1") == "2"
    assert _text(app, "/?w=b&v=3") == _text(app, "/?v=3&w=b") == "3b"
    assert _text(app, "/?v=&w=1") == "1"
    assert _text(app, "/?v=1&w=") == "1"


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_a_path_cannot_spell_the_entry_of_another_view(
    app: Flask, cache: Cache, algorithm: str
) -> None:
    method = getattr(hashlib, algorithm)

    @app.route("/secret")
    @cache.cached(query_string=True, hash_method=method)
    def secret() -> str:
        return "secret"

    @app.route("/<path:any_path>")
    @cache.cached()
    def anything(any_path: str) -> str:
        return any_path

    spelled = "/secret" + method(repr((("a", "1"),)).encode()).hexdigest()
    assert _text(app, "/secret?a=1") == "secret"
    assert _text(app, spelled) == spelled[1:]
    assert _text(app, spelled) == spelled[1:]
    assert _text(app, "/secret?a=1") == "secret"


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("plain", "plain"),
        ("100%", "100%"),
        ("100%d", "100%d"),
        ("%%", "%%"),
        ("", ""),
        ("p/%s/q", "p//path/q"),
        ("100%/%s", "100%//path"),
        ("%s%s", "/path/path"),
        ("%(a)s/%s", "%(a)s//path"),
    ],
)
def test_any_text_is_a_key_prefix(app: Flask, cache: Cache, prefix: str, key: str) -> None:
    @app.route("/path")
    @cache.cached(key_prefix=prefix)
    def view() -> str:
        return "body"

    assert _text(app, "/path") == "body"
    with app.app_context():
        assert cache.get(key) == "body"


def test_a_path_with_a_placeholder_is_a_path(app: Flask, cache: Cache, count: Counter) -> None:
    @app.route("/<name>")
    @cache.cached()
    def view(name: str) -> str:
        return f"{name} {count()}"

    assert _text(app, "/%25s") == _text(app, "/%25s") == "%s 1"
    assert _text(app, "/%25d") == "%d 2"
    assert _text(app, "/a%0Ab%00") == _text(app, "/a%0Ab%00")
    assert _text(app, "/ä") == _text(app, "/%C3%A4") == "ä 4"


def test_views_of_one_path_under_other_options_are_told_apart(
    app: Flask, cache: Cache, count: Counter
) -> None:
    @app.route("/a")
    @cache.cached(source_check=True)
    def checked() -> str:
        return f"checked {count()}"

    @app.route("/b")
    @cache.cached()
    def plain() -> str:
        return f"plain {count()}"

    assert _text(app, "/a") == _text(app, "/a") == "checked 1"
    assert _text(app, "/b") == _text(app, "/b") == "plain 2"


def test_route_variables_may_have_the_names_of_our_own_arguments(app: Flask, cache: Cache) -> None:
    names = ["f", "self", "args", "kwargs", "unless", "rv", "path", "key", "use_request", "cache"]
    for name in names:
        namespace: dict[str, Any] = {}
        exec(f"def view({name}): return {name}", namespace)
        view = cache.cached(
            unless=lambda *a, **k: False,
            forced_update=lambda *a, **k: False,
            is_stale=lambda value, *a, **k: False,
        )(namespace["view"])
        app.add_url_rule(f"/{name}/<{name}>", name, view)
    for name in names:
        for value in ("1", "2", "1"):
            assert _text(app, f"/{name}/{value}") == value


def test_a_method_view_is_cached(app: Flask, cache: Cache, count: Counter) -> None:
    class Item(MethodView):
        @cache.cached()
        def get(self, number: int) -> str:
            return f"get {number} {count()}"

        def post(self, number: int) -> str:
            return f"post {count()}"

    app.add_url_rule("/item/<int:number>", view_func=Item.as_view("item"))
    assert _text(app, "/item/1") == _text(app, "/item/1") == "get 1 1"
    assert _text(app, "/item/2") == "get 2 2"
    assert _text(app, "/item/1", method="POST") == "post 3"


def test_outside_a_request_a_plain_key_works_and_a_path_says_why_not(
    app: Flask, cache: Cache, count: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    plain = cache.cached(key_prefix="plain")(count)
    by_path = cache.cached()(count)
    with app.app_context():
        assert plain() == plain() == 1
        assert (by_path(), by_path()) == (2, 3)
    assert len(caplog.records) == 1
    assert "request" in caplog.text


# Which answers are stored.


def test_answers_to_one_client_alone_are_never_stored(
    app: Flask, cache: Cache, tmp_path: Path, count: Counter
) -> None:
    @app.route("/<int:status>")
    @cache.cached()
    def by_status(status: int) -> Any:
        return str(count()) if status == 200 else (str(count()), status)

    @app.route("/conditional")
    @cache.cached()
    def conditional() -> Response:
        response = make_response(f"body {count()}")
        response.set_etag("tag")
        return response.make_conditional(request)

    @app.route("/raised/<int:status>")
    @cache.cached()
    def raised(status: int) -> Any:
        abort(Response(str(count()), status))

    @app.route("/text")
    @cache.cached()
    def text() -> Any:
        return str(count()), "206 PARTIAL CONTENT"

    @app.route("/header")
    @cache.cached()
    def header() -> Any:
        return Response("part"), 206, {"Content-Range": f"bytes 0-3/{count()}"}

    for path in ("/304", "/206", "/raised/304", "/raised/206", "/text", "/header"):
        runs = count.runs
        _text(app, path)
        _text(app, path)
        assert count.runs == runs + 2, path
    for path in ("/201", "/404", "/503", "/raised/404"):
        runs = count.runs
        _text(app, path)
        _text(app, path)
        assert count.runs == runs + 1, path

    client = app.test_client()
    assert client.get("/conditional", headers={"If-None-Match": '"tag"'}).status_code == 304
    body = client.get("/conditional").text
    assert body.startswith("body")
    assert client.get("/conditional").text == body


def test_answers_that_cannot_be_stored_are_served_and_logged_once(
    app: Flask, cache: Cache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file.txt"
    file.write_text("content")
    closed = []

    def streamed() -> Response:
        return Response(iter(["con", "tent"]))

    def streamed_in_a_tuple() -> Any:
        return (piece for piece in ("con", "tent")), 201

    def with_context() -> Response:
        return Response(stream_with_context(piece for piece in ("con", "tent")))

    def file_sent() -> Response:
        return send_file(file, conditional=False)

    def buffer_sent() -> Response:
        return send_file(io.BytesIO(b"content"), mimetype="text/plain")

    def with_on_close() -> Response:
        response = Response("content")
        response.call_on_close(lambda: closed.append(1))
        return response

    def unpicklable() -> Response:
        response = Response("content")
        response.callback = lambda: None  # type: ignore[attr-defined]
        return response

    views: list[Callable[[], Any]] = [
        streamed,
        *([streamed_in_a_tuple] if RETURNS_ITERATORS else []),
        with_context,
        file_sent,
        buffer_sent,
        with_on_close,
        unpicklable,
    ]
    for view in views:
        app.add_url_rule(f"/{view.__name__}", view_func=cache.cached()(view))
    for view in views:
        caplog.clear()
        for _ in range(3):
            with app.test_client().get(f"/{view.__name__}") as answer:
                assert answer.text == "content"
        assert [record.levelname for record in caplog.records] == ["WARNING"], view
        assert view.__name__ in caplog.text
        assert caplog.records[0].exc_info is None
    assert len(closed) == 3


@pytest.mark.parametrize("debug", [False, True])
def test_what_cannot_be_stored_does_not_break_a_view_in_debug_mode_either(
    app: Flask, cache: Cache, debug: bool
) -> None:
    app.debug = debug

    @app.route("/")
    @cache.cached()
    def view() -> Response:
        response = Response("content")
        response.callback = lambda: None  # type: ignore[attr-defined]
        return response

    assert _text(app, "/") == "content"


@since_flask_2_2
@pytest.mark.parametrize("method", ["POST", "HEAD"])
def test_a_stream_that_is_not_stored_is_not_read_ahead(
    app: Flask, cache: Cache, method: str
) -> None:
    read = []

    def pieces() -> Iterator[str]:
        for piece in ("a", "b"):
            read.append(piece)
            yield piece

    @app.route("/", methods=["GET", "POST"])
    @cache.cached()
    def view() -> Any:
        return pieces()

    with app.test_request_context("/", method=method):
        answer = app.full_dispatch_request()
        assert read == []
        answer.close()


@pytest.mark.parametrize(
    ("returned", "body", "status"),
    [
        (lambda: "text", b"text", 200),
        (lambda: b"bytes", b"bytes", 200),
        (lambda: {"a": [1]}, b'{"a":[1]}\n', 200),
        pytest.param(lambda: [1, 2], b"[1,2]\n", 200, marks=since_flask_2_2),
        (lambda: ("text", 201), b"text", 201),
        (lambda: ("text", {"X-A": "1"}), b"text", 200),
        (lambda: ("text", 202, {"X-A": "1"}), b"text", 202),
        (lambda: ({"a": 1}, 203), b'{"a":1}\n', 203),
        (lambda: jsonify(a=1), b'{"a":1}\n', 200),
        (lambda: redirect("/elsewhere"), None, 302),
        pytest.param(lambda: (c for c in "ab"), b"ab", 200, marks=since_flask_2_2),
        pytest.param(
            lambda: flask.stream_template_string("a{{ 1 }}b"), b"a1b", 200, marks=since_flask_2_2
        ),
        pytest.param(lambda: iter(["a", "b"]), b"ab", 200, marks=since_flask_2_2),
        (lambda: abort(404), None, 404),
        (lambda: abort(Response("own", 418)), b"own", 418),
        (lambda: Forbidden("no"), None, 403),
    ],
)
@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_every_answer_is_the_same_from_the_cache(
    app: Flask, returned: Callable[[], Any], body: bytes | None, status: int, serializer: str
) -> None:
    from json_serializer import JSONSerializer

    config: dict[str, Any] = {"CACHE_TYPE": "SimpleCache"}
    if serializer == "json":
        config["CACHE_SERIALIZER"] = JSONSerializer
    cache = Cache(app, config=config)

    @app.route("/")
    @cache.cached()
    def view() -> Any:
        return returned()

    answers = []
    for _ in range(3):
        with app.test_client().get("/") as answer:
            answers.append((answer.status_code, answer.data, answer.mimetype))
            assert answer.status_code == status
            assert body is None or answer.data == body
            assert answer.headers.get("X-A", "1") == "1"
    assert len(set(answers)) == 1


def test_http_exceptions_are_raised_again_and_handled_again(
    app: Flask, cache: Cache, count: Counter
) -> None:
    handled = []

    @app.errorhandler(NotFound)
    def not_found(error: HTTPException) -> Any:
        handled.append(error.description)
        return f"handled {error.description}", 404

    @app.route("/")
    @cache.cached()
    def view() -> str:
        count()
        raise NotFound("nothing here")

    assert _text(app, "/") == _text(app, "/") == "handled nothing here"
    assert (count.runs, len(handled)) == (1, 2)


def test_a_response_filter_sees_the_response_of_an_exception(
    app: Flask, cache: Cache, count: Counter
) -> None:
    def is_good(response: Any) -> bool:
        return int(response.status_code) < 500

    @app.route("/<int:status>")
    @cache.cached(response_filter=is_good)
    def view(status: int) -> str:
        count()
        abort(status)

    for path, runs in (("/404", 1), ("/503", 2)):
        count.runs = 0
        app.test_client().get(path)
        app.test_client().get(path)
        assert count.runs == runs


def test_other_exceptions_are_not_stored(app: Flask, cache: Cache, count: Counter) -> None:
    @app.route("/")
    @cache.cached()
    def view() -> str:
        if count() < 3:
            raise LookupError
        return "body"

    client = app.test_client()
    assert [client.get("/").status_code for _ in range(4)] == [500, 500, 200, 200]
    assert count.runs == 3


@pytest.mark.parametrize(
    ("timeout", "after_a_minute", "after_an_hour"),
    [
        (0, True, True),
        (None, False, False),
        (90, True, False),
        (timedelta(seconds=90), True, False),
        (1.5, False, False),
        (-1, False, False),
    ],
)
def test_a_response_says_how_long_it_is_cached(
    app: Flask,
    cache: Cache,
    count: Counter,
    clock: ManualClock,
    timeout: Any,
    after_a_minute: bool,
    after_an_hour: bool,
) -> None:
    @app.route("/")
    @cache.cached(timeout=30)
    def view() -> CachedResponse:
        return CachedResponse(make_response(str(count())), timeout)

    first = _text(app, "/")
    clock.advance(60)
    assert (_text(app, "/") == first) is after_a_minute
    if after_a_minute:
        clock.advance(3600)
        assert (_text(app, "/") == first) is after_an_hour


# What a hit is told by.


def test_a_hit_is_indicated_on_the_view_that_was_hit_alone(
    app: Flask, cache: Cache, count: Counter
) -> None:
    @app.route("/shown/<name>")
    @cache.cached(response_hit_indication=True)
    def shown(name: str) -> Any:
        if name == "missing":
            abort(404)
        return str(count()) if name == "text" else {"a": 1}

    @app.route("/silent")
    @cache.cached()
    def silent() -> str:
        return "silent"

    @app.route("/uncached")
    def uncached() -> str:
        return "uncached"

    client = app.test_client()
    for path in ("/shown/text", "/shown/data", "/shown/missing"):
        assert "hit_cache" not in client.get(path).headers
        for _ in range(2):
            assert client.get(path).headers["hit_cache"] == "True"
            for other in ("/silent", "/uncached"):
                assert "hit_cache" not in client.get(other).headers
        assert client.get(path).headers.getlist("hit_cache") == ["True"]


def test_options_of_a_view_decide_by_truth(app: Flask, cache: Cache, count: Counter) -> None:
    decisions: dict[str, list[Any]] = {"unless": [], "forced_update": [], "is_stale": []}
    for option, decision in decisions.items():
        view = cache.cached(**{option: lambda *a, decision=decision, **k: decision})(  # type: ignore[arg-type,misc]
            lambda: str(count())
        )
        app.add_url_rule(f"/{option}", option, view)
    for option, decision in decisions.items():
        first = _text(app, f"/{option}")
        assert _text(app, f"/{option}") == first
        decision.append(0)
        assert _text(app, f"/{option}") != first


@pytest.mark.parametrize(
    "option",
    ["unless", "forced_update", "is_stale", "key_prefix", "make_cache_key", "response_filter"],
)
def test_exceptions_of_callables_are_the_applications(
    app: Flask, cache: Cache, option: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Mistake(Exception):
        pass

    def mistaken(*args: Any, **kwargs: Any) -> Any:
        raise Mistake

    app.debug = app.testing = True
    good = cache.cached()(lambda: "body")
    view = cache.cached(**{option: mistaken})(lambda: "body")  # type: ignore[arg-type]
    with app.test_request_context("/"):
        if option == "is_stale":
            good()
        with pytest.raises(Mistake):
            view()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_the_timeout_attribute_is_honoured(
    app: Flask, cache: Cache, count: Counter, clock: ManualClock
) -> None:
    @cache.cached(timeout=10)
    def view() -> str:
        return str(count())

    app.add_url_rule("/", view_func=view)
    view.cache_timeout = timedelta(hours=1)
    first = _text(app, "/")
    clock.advance(3000)
    assert _text(app, "/") == first


def test_another_key_can_be_put_in_place(app: Flask, cache: Cache, count: Counter) -> None:
    @app.route("/<name>")
    @cache.cached()
    def view(name: str) -> str:
        return str(count())

    view.make_cache_key = lambda *args, **kwargs: "one for all"
    assert _text(app, "/a") == _text(app, "/b") == "1"


def test_the_key_of_a_request_is_made_of_the_arguments_or_of_the_request(
    app: Flask, cache: Cache
) -> None:
    @app.route("/a/<name>")
    @cache.cached()
    def view(name: str) -> str:
        return name

    @app.route("/b/<use_request>")
    @cache.cached()
    def odd(use_request: str) -> str:
        return use_request

    @app.route("/q")
    @cache.cached(query_string=True)
    def by_query() -> str:
        return "q"

    make: Any = view.make_cache_key
    with app.test_request_context("/elsewhere?x=1"):
        assert make("1") == make(name="1") == "view//a/1"
        assert make(use_request=True) == make(use_request=True, name="1") == "view//elsewhere"
        assert make(use_request=False, name="1") == "view//a/1"
        assert make(path="/a/2") == "view//a/2"
        assert odd.make_cache_key(use_request="1") == "view//b/1"
        assert by_query.make_cache_key(path="/q", query_args={"x": 1}) == (
            "view//q" + hashlib.sha256(b"(('x', '1'),)").hexdigest()
        )


def test_an_answer_is_the_callers_own(app: Flask, cache: Cache) -> None:
    @app.route("/")
    @cache.cached()
    def view() -> Response:
        return make_response("body")

    @app.after_request
    def add(response: Response) -> Response:
        response.headers.add("X-Seen", "once")
        return response

    for _ in range(3):
        assert app.test_client().get("/").headers.getlist("X-Seen") == ["once"]
