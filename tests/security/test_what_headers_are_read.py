"""Whatever way a view, or who runs beside it, looks at a request's headers: it counts, and never
fails."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, request
from flask_caching import Cache
from werkzeug.datastructures import EnvironHeaders

DE, FR = ({"X-Lang": "de"}, "1.1.1.1"), ({"X-Lang": "fr"}, "2.2.2.2")


def answers(view: Callable[[], Any], prepare: Callable[[Flask], Any] = lambda app: None) -> Any:
    """What two visitors are answered, the first of them twice."""
    app = Flask("headers")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    prepare(app)
    app.add_url_rule("/", view_func=cache.page(60)(view))
    client = app.test_client()
    return [
        client.get("/", headers=headers, environ_base={"REMOTE_ADDR": address}).text
        for headers, address in (DE, DE, FR, FR)
    ]


def look_in_the_environ() -> str:
    environ: Any = request.headers.environ
    return f"{'HTTP_X_LANG' in environ} {environ['HTTP_X_LANG']}"


def look_at_all_of_it() -> str:
    environ: Any = request.headers.environ
    return f"{len(environ) > 1} {[environ[name] for name in environ if name == 'HTTP_X_LANG']}"


def replace_and_look() -> str:
    request.headers = EnvironHeaders(request.environ)
    return request.headers["X-Lang"]


@pytest.mark.parametrize(
    ("view", "wanted"),
    [
        (lambda: request.headers["X-Lang"], ["de", "fr"]),
        (look_in_the_environ, ["True de", "True fr"]),
        (look_at_all_of_it, ["True ['de']", "True ['fr']"]),
        (replace_and_look, ["de", "fr"]),
        (lambda: str(request.remote_addr), ["1.1.1.1", "2.2.2.2"]),
        (lambda: str(copy.copy(request._get_current_object()).remote_addr), ["1.1.1.1", "2.2.2.2"]),  # type: ignore[attr-defined]
        (lambda: pickle.loads(pickle.dumps(dict(request.headers)))["X-Lang"], ["de", "fr"]),
    ],
    ids=["usual", "environ", "all", "replaced", "address", "copy", "pickle"],
)
def test_two_visitors_get_what_is_theirs(view: Callable[[], Any], wanted: list[str]) -> None:
    assert answers(view) == [wanted[0], wanted[0], wanted[1], wanted[1]]


@pytest.mark.parametrize("reads", ["headers", "address"])
def test_a_hook_has_replaced_the_headers(reads: str) -> None:
    def replace(app: Flask) -> None:
        def hook() -> None:
            request.headers = EnvironHeaders(request.environ)

        app.before_request(hook)

    if reads == "headers":
        assert answers(lambda: request.headers["X-Lang"], replace) == ["de", "de", "fr", "fr"]
    else:
        given = answers(lambda: str(request.remote_addr), replace)
        assert given == ["1.1.1.1", "1.1.1.1", "2.2.2.2", "2.2.2.2"]


def test_a_hook_answers_with_headers_that_are_a_dict() -> None:
    def replace(app: Flask) -> None:
        def hook(response: Response) -> Response:
            response.headers = {"X-Own": "yes"}  # type: ignore[assignment]
            return response

        app.after_request(hook)

    assert answers(lambda: "text", replace) == ["text"] * 4


def test_a_finalizer_reads_headers_while_they_are_read() -> None:
    """A garbage collection may come wherever something is made."""
    seen: list[str] = []

    class Logs:
        def __del__(self) -> None:
            seen.append(request.headers["X-Lang"])

    def view() -> str:
        names = []
        for _ in range(200):
            garbage = [Logs()]
            garbage.append(garbage)  # type: ignore[arg-type]
            del garbage
            names.append(request.headers["X-Lang"])
            request.headers.get("X-Other")
            list(request.headers)
        return names[-1]

    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        assert answers(view) == ["de", "de", "fr", "fr"]
    finally:
        gc.set_threshold(*before)
    assert set(seen) == {"de", "fr"}


def test_a_constant_text_stays_as_large_as_it_is() -> None:
    text = "\u20ac" * 10_000
    before = text.__sizeof__()
    assert answers(lambda: text) == [text] * 4
    assert text.__sizeof__() == before


class Raises:
    """A session that cannot be asked."""

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no session")


def test_a_session_that_raises_leaves_no_computation_open() -> None:
    from flask.sessions import SessionInterface
    from flask_caching._engine import flights_under_way

    class Interface(SessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            return Raises()

        def save_session(self, app: Any, session: Any, response: Any) -> None:
            return None

    def prepare(app: Flask) -> None:
        app.session_interface = Interface()

    before = flights_under_way()
    answers(lambda: "text", prepare)
    assert flights_under_way() == before
