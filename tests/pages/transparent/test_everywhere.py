"""Pages in every kind of application: answers are those of the application without the cache."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    g,
    make_response,
    request,
    send_file,
    url_for,
)
from flask.views import MethodView, View
from flask_caching import Cache
from paged import Paged
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
from werkzeug.wrappers import Response as WerkzeugResponse


@pytest.fixture(params=[True, False], ids=["in_front", "in_place"])
def in_front(request: pytest.FixtureRequest) -> bool:
    flag: bool = request.param
    return flag


def make(in_front: bool, name: str = "everywhere", **config: Any) -> tuple[Flask, Cache, Any]:
    """An application, its cache, and the decorator of its pages."""
    app = Flask(name)
    app.config.update(CACHE_TYPE="SimpleCache", CACHE_PAGES_IN_FRONT=True, **config)
    cache = Cache(app)
    return app, cache, cache.page(timeout=60, in_front=in_front)


def is_hit(answer: Any) -> bool:
    return str(answer.headers["Cache-Status"]).startswith("flask-caching; hit")


def test_every_store(store: dict[str, Any], in_front: bool) -> None:
    paged = Paged(None, store, in_front=in_front)
    for query in ("", "?a=1", "", "?a=1"):
        paged.get("/page" + query)
    assert paged.runs == 2
    assert is_hit(paged.get())
    etag = paged.get().headers["ETag"]
    assert paged.get(headers={"If-None-Match": etag}).status_code == 304
    assert paged.client.head("/page").headers["Content-Length"] == "5"
    paged.cache.delete_page("/page", query="a=1")
    assert is_hit(paged.get())
    assert paged.get("/page?a=1").data == b"run 3"
    paged.client.post("/page")
    assert is_hit(paged.get())
    paged.cache.clear()
    assert paged.get().data == b"run 4"


def test_a_blueprint_with_a_prefix_registered_twice(in_front: bool) -> None:
    app, cache, page = make(in_front)
    blueprint = Blueprint("shop", __name__)

    @blueprint.get("/item/<int:number>")
    @page
    def item(number: int) -> str:
        return f"{request.endpoint} {url_for('.item', number=number)}"

    app.register_blueprint(blueprint, url_prefix="/a")
    app.register_blueprint(blueprint, url_prefix="/b", name="other")
    client = app.test_client()
    for _ in range(2):
        assert client.get("/a/item/1").data == b"shop.item /a/item/1"
        assert client.get("/b/item/1").data == b"other.item /b/item/1"
        assert client.get("/a/item/2").data == b"shop.item /a/item/2"
    with app.test_request_context():
        cache.delete_page(url_for("shop.item", number=1))
    assert not is_hit(client.get("/a/item/1"))
    assert is_hit(client.get("/b/item/1"))


def test_view_classes(in_front: bool) -> None:
    app, _, page = make(in_front)

    class Items(MethodView):
        decorators = (page,)

        def get(self) -> str:
            return "got"

        def post(self) -> str:
            return "posted"

    class Hello(View):
        @page
        def dispatch_request(self, name: str) -> str:
            return f"hello {name}"

    app.add_url_rule("/items", view_func=Items.as_view("items"))
    app.add_url_rule("/hello/<name>", view_func=Hello.as_view("hello"))
    client = app.test_client()
    client.get("/items")
    assert is_hit(client.get("/items"))
    assert client.post("/items").data == b"posted"
    assert not is_hit(client.get("/items"))
    for _ in range(2):
        answers = [client.get(f"/hello/{name}") for name in ("ann", "bob")]
        assert [answer.data for answer in answers] == [b"hello ann", b"hello bob"]
    assert all(map(is_hit, answers))


def test_an_application_that_is_mounted_twice_and_one_beside_it(in_front: bool) -> None:
    app, cache, page = make(in_front)
    app.add_url_rule("/x", "x", page(lambda: request.script_root))
    other, _, other_page = make(in_front, "other")
    other.add_url_rule("/x", "x", other_page(lambda: "other"))
    mounted = DispatcherMiddleware(other, {"/one": app, "/two": app})
    client = Client(mounted, WerkzeugResponse)
    for _ in range(2):
        answers = [client.get(f"{root}/x") for root in ("/one", "/two", "")]
        assert [answer.text for answer in answers] == ["/one", "/two", "other"]
    assert all(map(is_hit, answers))
    with app.app_context():
        cache.delete_page("/one/x")
    assert [is_hit(client.get(f"{root}/x")) for root in ("/one", "/two", "")] == [False, True, True]


def test_subdomains(in_front: bool) -> None:
    app = Flask("subdomains", subdomain_matching=True)
    app.config.update(
        CACHE_TYPE="SimpleCache", CACHE_PAGES_IN_FRONT=True, SERVER_NAME="shop.example"
    )
    cache = Cache(app)
    page = cache.page(timeout=60, in_front=in_front)
    app.add_url_rule("/x", "of", page(lambda who: f"of {who}"), subdomain="<who>")
    app.add_url_rule("/x", "main", page(lambda: "main"))
    client = app.test_client()
    for _ in range(2):
        for host, text in (("ann.", "of ann"), ("bob.", "of bob"), ("", "main")):
            answer = client.get("/x", base_url=f"http://{host}shop.example")
            assert answer.text == text
    assert is_hit(answer)


def test_applications_that_share_a_cache_and_a_store(store: dict[str, Any], in_front: bool) -> None:
    cache = Cache()
    clients = []
    for name in ("first", "second"):
        app = Flask(name)
        app.config.update(store)
        cache.init_app(app)

        def view(name: str = name) -> str:
            return name

        view.__qualname__ = "view"
        app.add_url_rule("/x", "x", cache.page(timeout=60, in_front=in_front)(view))
        clients.append(app.test_client())
    for _ in range(2):
        assert [client.get("/x").text for client in clients] == ["first", "second"]
    assert all(is_hit(client.get("/x")) for client in clients)


def test_teardown_runs_for_hits_in_the_views_place_only(in_front: bool) -> None:
    app, _, page = make(in_front)
    ended: list[str] = []
    app.add_url_rule("/x", "x", page(lambda: "x"))
    app.teardown_request(lambda error: ended.append("request"))
    app.teardown_appcontext(lambda error: ended.append("app"))
    client = app.test_client()
    client.get("/x")
    client.get("/x")
    assert ended == ["request", "app"] * (1 if in_front else 2)


def test_debug_mode(in_front: bool) -> None:
    app, cache, page = make(in_front)
    app.debug = True
    runs: list[int] = []
    app.add_url_rule("/x", "x", page(lambda: runs.append(1) or f"run {len(runs)}"))
    client = app.test_client()
    assert [client.get("/x").text for _ in range(3)] == ["run 1"] * 3
    backend: Any = cache.cache

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no store")

    backend.clear()
    backend.get = backend.set = backend.get_many = backend.add = backend.set_many = broken
    app.testing = True
    with pytest.raises(OSError, match="no store"):
        client.get("/x")
    app.debug = False
    assert client.get("/x").status_code == 200


def test_a_hook_that_answers_before_the_view(in_front: bool) -> None:
    app, _, page = make(in_front)
    app.add_url_rule("/x", "x", page(lambda: "view"))
    is_late: list[int] = [1]

    @app.before_request
    def maintenance() -> Any:
        return ("later", 503) if is_late else None

    client = app.test_client()
    assert client.get("/x").status_code == 503
    is_late.clear()
    assert client.get("/x").text == "view"
    is_late.append(1)
    assert client.get("/x").status_code == (200 if in_front else 503)


def test_error_handlers_of_the_application_and_of_a_blueprint(in_front: bool) -> None:
    app, _, page = make(in_front)
    blueprint = Blueprint("b", __name__)
    blueprint.register_error_handler(404, lambda error: ("b has it not", 404))
    app.register_error_handler(404, lambda error: ("nobody has it", 404))
    blueprint.add_url_rule("/b", "x", page(lambda: abort(404)))
    app.add_url_rule("/a", "x", page(lambda: abort(404)))
    app.register_blueprint(blueprint)
    client = app.test_client()
    for _ in range(2):
        assert client.get("/a").text == "nobody has it"
        assert client.get("/b").text == "b has it not"
    assert is_hit(client.get("/a"))
    assert client.get("/nowhere").text == "nobody has it"
    assert "Cache-Status" not in client.get("/nowhere").headers


def test_a_hook_that_fails(in_front: bool) -> None:
    app, _, page = make(in_front)
    app.add_url_rule("/x", "x", page(lambda: "view"))
    fails = [True]

    @app.after_request
    def after(response: Response) -> Response:
        if fails and response.status_code == 200:
            raise ValueError("hook")
        return response

    client = app.test_client()
    assert client.get("/x").status_code == 500
    fails.clear()
    assert not is_hit(client.get("/x"))
    assert is_hit(client.get("/x"))


def closed(log: list[str]) -> Response:
    response = make_response("closed")
    response.call_on_close(lambda: log.append("closed"))
    return response


def passed_through(log: list[str]) -> Response:
    response = Response(io.BytesIO(b"passed through"))
    response.direct_passthrough = True
    return response


def generated(log: list[str]) -> Response:
    def parts() -> Any:
        log.append("begun")
        yield "genera"
        yield "ted"

    return Response(parts())


def elsewhere(log: list[str]) -> Any:
    response = make_response("", 301)
    response.headers["Location"] = "/caf\u00e9?q=\u00e9"
    return response


def sent(log: list[str]) -> Response:
    return send_file(io.BytesIO(b"sent"), mimetype="text/plain", download_name="x.txt")


def listed(log: list[str]) -> Response:
    return Response(["lis", "ted"])


def empty(log: list[str]) -> Any:
    return "", 204


@pytest.mark.parametrize(
    "view", [closed, passed_through, generated, sent, listed, empty, elsewhere]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_bodies_of_every_kind(
    view: Callable[[list[str]], Any], method: str, in_front: bool
) -> None:
    logs: list[list[str]] = [[], []]
    answers: list[list[Any]] = [[], []]
    for number, is_cached in enumerate((True, False)):
        app, _, page = make(in_front)

        def of_log(number: int = number) -> Any:
            return view(logs[number])

        app.add_url_rule("/x", "x", page(of_log) if is_cached else of_log)
        client = app.test_client()
        for _ in range(3):
            client.get("/x")
            answer = client.open("/x", method=method)
            headers = [
                pair
                for pair in answer.headers
                if pair[0] not in ("Age", "Cache-Status", "ETag", "Date")
            ]
            answers[number].append((answer.status, sorted(headers), answer.data))
    assert answers[0] == answers[1]
    assert logs[0] == logs[1]


def test_what_hooks_keep_for_the_request(in_front: bool) -> None:
    app, _, page = make(in_front)
    app.before_request(lambda: setattr(g, "user", request.args.get("user", "-")))
    app.add_url_rule("/x", "x", page(lambda: f"hello {g.user}"))
    client = app.test_client()
    for user in ("ann", "bob", "ann"):
        assert client.get(f"/x?user={user}").text == f"hello {user}"


def test_an_asynchronous_view(in_front: bool) -> None:
    app, _, page = make(in_front)
    runs: list[int] = []

    @app.get("/x")
    @page
    async def view() -> str:
        runs.append(1)
        return f"run {len(runs)}"

    client = app.test_client()
    assert [client.get("/x").text for _ in range(3)] == ["run 1"] * 3
    assert is_hit(client.get("/x"))


def test_a_page_that_calls_another_is_one_page(in_front: bool) -> None:
    app, _, page = make(in_front)
    inner = page(lambda: f"inner {request.path}")
    app.add_url_rule("/inner", "inner", inner)
    app.add_url_rule("/outer", "outer", page(lambda: f"outer {inner()}"))
    client = app.test_client()
    for _ in range(2):
        assert client.get("/outer").text == "outer inner /outer"
        assert client.get("/inner").text == "inner /inner"


class Signed(Response):
    """A response that has a say about what is sent."""

    def get_wsgi_headers(self, environ: Any) -> Any:
        headers = super().get_wsgi_headers(environ)
        headers.add("X-Signed", "yes")
        return headers


@pytest.mark.parametrize("is_everywhere", [False, True], ids=["of one view", "of all"])
@pytest.mark.parametrize("in_front", [False, True], ids=["in place", "in front"])
def test_a_response_that_completes_itself(in_front: bool, is_everywhere: bool) -> None:
    paged = Paged(
        lambda run: Signed(f"run {run}"), {"CACHE_PAGES_IN_FRONT": True}, in_front=in_front
    )
    if is_everywhere:
        paged.app.response_class = Signed
    for _ in range(3):
        answer = paged.get()
        assert (answer.text, answer.headers.getlist("X-Signed")) == ("run 1", ["yes"])
    assert answer.headers["Cache-Status"].startswith("flask-caching; hit")


@pytest.mark.parametrize("in_front", [False, True], ids=["in place", "in front"])
def test_an_answer_is_copied_and_pickled_as_what_it_is(in_front: bool) -> None:
    paged = Paged(None, {"CACHE_PAGES_IN_FRONT": True}, in_front=in_front)
    process = paged.app.process_response
    seen = []

    def process_response(*args: Any) -> Any:
        response = process(*args)
        seen.append(response)
        assert isinstance(response, Response)
        for again in (copy.copy(response), pickle.loads(pickle.dumps(response))):
            assert type(again) is Response
            assert again.get_data() == response.get_data()
            assert list(again.headers) == list(response.headers)
        return response

    paged.app.process_response = process_response  # type: ignore[method-assign]
    for _ in range(2):
        assert paged.get().data == b"run 1"
    # Hits in front are no response of Flask's.
    assert len(seen) == 2 - in_front
