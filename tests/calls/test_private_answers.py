"""What a view made for one visitor is not given to another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import flask
import pytest
from flask import Flask, Response, flash, make_response, render_template_string, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask.views import MethodView
from flask_caching import Cache
from werkzeug.datastructures import Headers
from werkzeug.exceptions import Forbidden, NotFound

Visit = Callable[..., str]


@pytest.fixture
def app() -> Flask:
    app = Flask("tested")
    app.secret_key = "secret"

    @app.route("/login/<name>")
    def login(name: str) -> str:
        session["name"] = name
        return "hello"

    return app


class Visitors:
    """Visitors, who are logged in under their names, or strangers."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def visit(self, name: str | None, path: str = "/") -> str:
        client = self.app.test_client()
        if name:
            client.get(f"/login/{name}")
        return client.get(path).get_data(as_text=True)


def count_runs(app: Flask, cache: Cache, view: Callable[[], Any], **options: Any) -> list[int]:
    runs: list[int] = []

    @app.route("/", endpoint="counted")
    @cache.cached(**options)
    def counted() -> Any:
        runs.append(1)
        return view()

    return runs


def with_cookie() -> Response:
    response = make_response("text")
    response.set_cookie("id", "1")
    return response


def with_headers(**headers: str) -> Response:
    response = make_response("text")
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def refused(response: Response) -> Any:
    raise Forbidden(response=response)


class Own(NotFound):
    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*args, **kwargs), ("Set-Cookie", "id=1")]


def raises_own() -> Any:
    raise Own


SAYING_SO: list[tuple[str, Callable[[], Any]]] = [
    ("sets a cookie", with_cookie),
    ("sets a cookie", lambda: ("text", {"set-cookie": "id=1"})),
    ("sets a cookie", lambda: ("text", 200, [("Set-Cookie", "id=1")])),
    ("sets a cookie", lambda: ("text", 200, Headers({"Set-Cookie": "id=1"}))),
    ("sets a cookie", lambda: ("text", {"Set-Cookie": ["id=1", "other=2"]})),
    ("sets a cookie", lambda: (with_cookie(), 201)),
    ("sets a cookie", lambda: ({"a": 1}, 200, {"Set-Cookie": "id=1"})),
    ("sets a cookie", lambda: refused(with_cookie())),
    ("sets a cookie", raises_own),
    ("Cache-Control says private", lambda: with_headers(Cache_Control="private, max-age=60")),
    ("Cache-Control says private", lambda: with_headers(Cache_Control='max-age=1, Private="x"')),
    ("Cache-Control says no-store", lambda: with_headers(cache_control="NO-STORE")),
    ("Cache-Control says no-store", lambda: ("text", {"Cache-Control": "no-store"})),
    ("says Vary: Cookie itself", lambda: with_headers(Vary="Accept, cookie")),
]

SAYING_NOTHING: list[Callable[[], Any]] = [
    lambda: "text",
    lambda: {"a": 1},
    lambda: ("text", 200),
    lambda: ("text", {"X-Other": "Set-Cookie"}),
    lambda: ("text", 200, [("X-Other", "private")]),
    lambda: with_headers(Cache_Control="public, max-age=60"),
    lambda: with_headers(Cache_Control="no-cache"),
    lambda: with_headers(Vary="Accept-Encoding, X-Cookie"),
]


@pytest.mark.parametrize(("reason", "view"), SAYING_SO)
def test_a_response_that_says_it_is_not_for_others_is_not_stored(
    app: Flask, cache: Cache, caplog: Any, reason: str, view: Callable[[], Any]
) -> None:
    runs = count_runs(app, cache, view)
    visitors = Visitors(app)
    for _ in range(3):
        visitors.visit(None)
    assert len(runs) == 3
    assert len(caplog.records) == 1
    assert reason in caplog.text
    assert "make_cache_key" in caplog.text
    assert "CACHE_STORE_PRIVATE" in caplog.text
    assert cache.stats().refused == 3


@pytest.mark.parametrize("view", SAYING_NOTHING)
def test_any_other_response_is(
    app: Flask, cache: Cache, caplog: Any, view: Callable[[], Any]
) -> None:
    runs = count_runs(app, cache, view)
    visitors = Visitors(app)
    assert visitors.visit(None) == visitors.visit("ann")
    assert len(runs) == 1
    assert not caplog.records


def get_name() -> Any:
    return session.get("name")


USES: dict[str, tuple[str, Callable[[], Any]]] = {
    "get": ("read", get_name),
    "item": ("read", lambda: session["name"]),
    "in": ("read", lambda: "name" in session),
    "iteration": ("read", lambda: list(session)),
    "items": ("read", lambda: list(session.items())),
    "keys": ("read", lambda: list(session.keys())),
    "values": ("read", lambda: list(session.values())),
    "dict": ("read", lambda: dict(session)),
    "unpacked": ("read", lambda: {**session}),
    "len": ("read", lambda: len(session)),
    "truth": ("read", lambda: bool(session)),
    "equality": ("read", lambda: session == {"name": "ann"}),
    "json": ("read", lambda: flask.json.dumps(session._get_current_object())),  # type: ignore[attr-defined]
    "permanent": ("read", lambda: session.permanent),
    "template": ("read", lambda: render_template_string("{{ session.name }}")),
    "flashes": ("read", lambda: render_template_string("{{ get_flashed_messages() }}")),
    "set": ("wrote", lambda: session.__setitem__("a", 1)),
    "deleted": ("wrote", lambda: session.pop("name")),
    "cleared": ("wrote", lambda: session.clear()),
    "updated": ("wrote", lambda: session.update(a=1)),
    "flash": ("wrote", lambda: flash("message")),
    "made permanent": ("wrote", lambda: setattr(session, "permanent", True)),
    "marked": ("wrote", lambda: setattr(session, "modified", True)),
}


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("hook", ["none", "reads", "writes"])
def test_a_view_that_used_a_session(
    app: Flask, cache: Cache, caplog: Any, name: str, hook: str
) -> None:
    verb, use = USES[name]
    if hook != "none":
        app.before_request(_look if hook == "reads" else _note_visit)
    runs = count_runs(app, cache, lambda: f"{use()}")
    visitors = Visitors(app)
    for _ in range(2):
        visitors.visit("ann")
    assert len(runs) == 2
    assert len(caplog.records) == 1
    assert f"the view {verb}" in caplog.text


def _look() -> None:
    session.get("name")


def _note_visit() -> None:
    session["seen"] = True


@pytest.mark.parametrize(
    "use",
    [
        get_name,
        lambda: "name" in session,
        lambda: dict(session),
        lambda: session.pop("name", None),
        lambda: render_template_string("{{ get_flashed_messages() }}{{ session.name }}"),
    ],
)
def test_a_view_that_read_an_empty_session_is_stored(
    app: Flask, cache: Cache, caplog: Any, use: Callable[[], Any]
) -> None:
    runs = count_runs(app, cache, lambda: f"{use()}")
    visitors = Visitors(app)
    assert visitors.visit(None) == visitors.visit(None)
    assert visitors.visit("ann") == visitors.visit(None)
    assert len(runs) == 1
    assert not caplog.records


def test_a_message_that_was_flashed_and_shown_at_once(app: Flask, cache: Cache) -> None:
    def view() -> str:
        flash("for you")
        return render_template_string("{{ get_flashed_messages() }}")

    runs = count_runs(app, cache, view)
    visitors = Visitors(app)
    visitors.visit(None)
    visitors.visit(None)
    assert len(runs) == 2


def test_a_template_that_does_not_look_at_the_session_is_stored(app: Flask, cache: Cache) -> None:
    runs = count_runs(app, cache, lambda: render_template_string("text"))
    visitors = Visitors(app)
    visitors.visit("ann")
    visitors.visit("ben")
    assert len(runs) == 1


@pytest.mark.parametrize("hook", [_look, _note_visit])
def test_what_hooks_do_before_the_view_does_not_count(
    app: Flask, cache: Cache, hook: Callable[[], Any]
) -> None:
    @app.before_request
    def look() -> None:
        hook()

    @app.after_request
    def mark(response: Response) -> Response:
        response.set_cookie("seen", "1")
        response.vary.add("Cookie")
        return response

    runs = count_runs(app, cache, lambda: "text")
    visitors = Visitors(app)
    for name in ("ann", "ben", None):
        visitors.visit(name)
    assert len(runs) == 1


def test_what_a_response_filter_does_does_not_count(app: Flask, cache: Cache) -> None:
    def keep(response: Response) -> bool:
        session["filtered"] = True
        response.headers["Cache-Control"] = "private"
        return True

    runs = count_runs(app, cache, lambda: make_response("text"), response_filter=keep)
    visitors = Visitors(app)
    visitors.visit("ann")
    visitors.visit("ann")
    assert len(runs) == 1


def test_a_response_filter_that_refuses_needs_no_warning(
    app: Flask, cache: Cache, caplog: Any
) -> None:
    asked = []

    def keep(response: Response) -> bool:
        asked.append(response)
        return "Set-Cookie" not in response.headers

    count_runs(app, cache, with_cookie, response_filter=keep)
    Visitors(app).visit(None)
    assert len(asked) == 1
    assert not caplog.records


def test_who_is_logged_in_is_answered_from_what_a_stranger_asked_for(
    app: Flask, cache: Cache
) -> None:
    count_runs(app, cache, lambda: f"{session.get('name')}")
    visitors = Visitors(app)
    assert visitors.visit("ann") == "ann"
    assert visitors.visit(None) == "None"
    assert visitors.visit("ann") == "None"


@pytest.mark.parametrize("option", ["make_cache_key", "key_prefix"])
def test_a_key_that_says_whose_it_is_stores_it(
    app: Flask, cache: Cache, caplog: Any, option: str
) -> None:
    options: dict[str, Any] = {option: lambda *args, **kwargs: session.get("name", "nobody")}
    runs = count_runs(app, cache, lambda: f"{session.get('name')}", **options)
    visitors = Visitors(app)
    for name in ("ann", "ben", "ann", "ben"):
        assert visitors.visit(name) == name
    assert len(runs) == 2
    assert not caplog.records


def test_so_does_one_that_is_put_in_later(app: Flask, cache: Cache) -> None:
    runs = count_runs(app, cache, lambda: f"{session.get('name')}")
    app.view_functions["counted"].make_cache_key = _name_of_session  # type: ignore[attr-defined]
    visitors = Visitors(app)
    for name in ("ann", "ben", "ann"):
        assert visitors.visit(name) == name
    assert len(runs) == 2


def _name_of_session(*args: Any, **kwargs: Any) -> str:
    return f"for {session.get('name')}"


def test_the_setting_brings_the_old_way_back(app: Flask, caplog: Any) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_STORE_PRIVATE": "true"})
    runs = count_runs(app, cache, lambda: (f"{session.get('name')}", {"Set-Cookie": "a=1"}))
    visitors = Visitors(app)
    assert visitors.visit("ann") == visitors.visit("ben") == "ann"
    assert len(runs) == 1
    assert not caplog.records


def test_a_view_with_a_constant_key_is_a_view(app: Flask, cache: Cache) -> None:
    runs = count_runs(app, cache, lambda: f"{session.get('name')}", key_prefix="home")
    visitors = Visitors(app)
    assert visitors.visit("ann") == "ann"
    assert visitors.visit("ben") == "ben"
    assert len(runs) == 2


def test_a_helper_with_a_key_of_its_own_is_none(app: Flask, cache: Cache, caplog: Any) -> None:
    runs = []

    @cache.cached(key_prefix="helper")
    def helper() -> str:
        runs.append(1)
        return f"{session.get('name')}"

    app.add_url_rule("/", "page", lambda: helper())
    visitors = Visitors(app)
    assert visitors.visit("ann") == visitors.visit("ben") == "ann"
    assert len(runs) == 1
    assert not caplog.records


def test_what_an_inner_view_read_the_outer_has_read(app: Flask, cache: Cache) -> None:
    @cache.memoize()
    def inner(number: int) -> str:
        return f"{session.get('name')}"

    @cache.cached(key_prefix="other")
    def other() -> str:
        session.get("name")
        return "other"

    runs = count_runs(app, cache, lambda: inner(1) + other())
    visitors = Visitors(app)
    visitors.visit("ann")
    visitors.visit("ann")
    # What is stored tells nothing any more of who asked for it.
    visitors.visit("ann")
    assert len(runs) == 2


@pytest.mark.parametrize("hook", [_look, _note_visit])
def test_a_page_within_a_page(app: Flask, cache: Cache, hook: Callable[[], None]) -> None:
    app.before_request(hook)
    runs = []

    @app.route("/inner")
    @cache.cached(key_prefix="inner")
    def inner() -> str:
        runs.append("inner")
        return f"{session.get('name')}"

    @app.route("/outer")
    @cache.cached()
    def outer() -> str:
        runs.append("outer")
        quiet()
        return inner()

    @app.route("/quiet")
    @cache.cached(key_prefix="quiet")
    def quiet() -> str:
        runs.append("quiet")
        return "text"

    visitors = Visitors(app)
    for name in ("ann", "ben"):
        assert visitors.visit(name, "/quiet") == "text"
        assert visitors.visit(name, "/inner") == name
        assert visitors.visit(name, "/outer") == name
    assert "quiet" not in runs[1:]


def test_a_generator_reads_while_it_runs(app: Flask, cache: Cache) -> None:
    def view() -> Iterator[str]:
        yield "hello "
        yield f"{session.get('name')}"

    count_runs(app, cache, view)
    visitors = Visitors(app)
    assert visitors.visit("ann") == "hello ann"
    assert visitors.visit("ben") == "hello ben"


def test_below_another_decorator_and_in_a_class(app: Flask, cache: Cache) -> None:
    class Page(MethodView):
        @cache.cached(key_prefix="method")
        def get(self) -> str:
            return f"{session.get('name')}"

    class Decorated(MethodView):
        decorators: ClassVar = [cache.cached(key_prefix="decorated")]

        def get(self) -> str:
            return f"{session.get('name')}"

    def hides(view: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: view(*args, **kwargs)

    @app.route("/hidden", endpoint="hidden")
    @hides
    @cache.cached()
    def hidden() -> str:
        return f"{session.get('name')}"

    app.add_url_rule("/method", view_func=Page.as_view("method"))
    app.add_url_rule("/decorated", view_func=Decorated.as_view("decorated"))
    visitors = Visitors(app)
    for path in ("/method", "/decorated", "/hidden"):
        for name in ("ann", "ben"):
            assert visitors.visit(name, path) == name


def test_coroutine_functions(app: Flask, cache: Cache) -> None:
    answers = []

    @cache.cached()
    async def view() -> str:
        answers.append(session.get("name"))
        return f"{answers[-1]}"

    # Run to its end by the decorated function, as outside a loop.
    app.add_url_rule("/sync", "sync", lambda: view())
    # Awaited in a loop.
    app.add_url_rule("/", "loop", lambda: asyncio.run(_awaited(view)))
    visitors = Visitors(app)
    for path in ("/", "/sync"):
        for name in ("ann", "ben", None):
            assert visitors.visit(name, path) == f"{name}"
        assert visitors.visit("ann", path) == "None"


async def _awaited(view: Callable[[], Any]) -> Any:
    return await view()


def test_other_methods_and_other_ends_are_not_warned_of(
    app: Flask, cache: Cache, caplog: Any
) -> None:
    @app.route("/", methods=["POST"])
    @cache.cached()
    def form() -> str:
        session["name"] = "ann"
        return "text"

    @app.route("/broken")
    @cache.cached()
    def broken() -> str:
        session["name"] = "ann"
        raise ZeroDivisionError

    client = app.test_client()
    assert client.post("/").status_code == 200
    caplog.set_level(logging.WARNING, "flask_caching")
    assert client.get("/broken").status_code == 500
    assert not [record for record in caplog.records if record.name == "flask_caching"]


# Sessions of other kinds.


class PlainSession(dict[str, Any], SessionMixin):
    """Flask's simplest: it says that it was modified, whatever happens."""


class OwnAttributes(SecureCookieSession):
    """One with a say about its attributes."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)


class Unwatchable(PlainSession):
    """One that cannot be watched."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        raise TypeError("final")


class Interface(SecureCookieSessionInterface):
    session_class: Any

    def __init__(self, session_class: Any) -> None:
        self.session_class = session_class


@pytest.mark.parametrize("kind", [PlainSession, OwnAttributes])
def test_sessions_of_other_classes(app: Flask, cache: Cache, kind: Any) -> None:
    app.session_interface = Interface(kind)
    kinds = []

    @app.after_request
    def look(response: Response) -> Response:
        kinds.append(type(session._get_current_object()))  # type: ignore[attr-defined]
        return response

    runs = count_runs(app, cache, lambda: f"{session.get('name')}")
    quiet: list[int] = []

    @app.route("/quiet")
    @cache.cached()
    def quiet_view() -> str:
        quiet.append(1)
        return "text"

    visitors = Visitors(app)
    assert visitors.visit("ann") == "ann"
    assert visitors.visit("ben") == "ben"
    assert visitors.visit(None) == visitors.visit("ann") == "None"
    visitors.visit("ann", "/quiet")
    visitors.visit("ben", "/quiet")
    assert (len(runs), len(quiet)) == (3, 1)
    # It is what it was.
    assert set(kinds) == {kind}


def test_a_session_that_cannot_be_watched_is_taken_as_read(app: Flask, cache: Cache) -> None:
    app.session_interface = Interface(Unwatchable)
    runs = count_runs(app, cache, lambda: "text")
    visitors = Visitors(app)
    for name in ("ann", "ben"):
        visitors.visit(name)
    assert len(runs) == 2
    visitors.visit(None)
    visitors.visit("ann")
    assert len(runs) == 3


def test_an_application_without_sessions(cache: Cache, app: Flask) -> None:
    app.secret_key = None
    runs = count_runs(app, cache, lambda: f"{session.get('name')}")
    visitors = Visitors(app)
    visitors.visit(None)
    visitors.visit(None)
    assert len(runs) == 1


def test_looking_at_a_session_does_not_make_the_page_vary(app: Flask, cache: Cache) -> None:
    count_runs(app, cache, lambda: "text")
    client = app.test_client()
    client.get("/login/ann")
    assert "Cookie" not in client.get("/").headers.get("Vary", "")
    assert "Cookie" not in app.test_client().get("/").headers.get("Vary", "")
