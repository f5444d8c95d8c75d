"""What does a cached view cost: the function alone, and a whole WSGI request?"""

from __future__ import annotations

from typing import Any

from flask import Flask
from question import Question, Statement, make
from werkzeug.test import EnvironBuilder


def view_function(**options: Any) -> Statement:
    app, cache = make()

    @app.get("/page")
    @cache.cached(timeout=300, **options)
    def page() -> str:
        return "<h1>A page</h1>"

    app.test_request_context("/page?b=2&a=1").push()
    return Statement("page()", {"page": page})


def request(app: Flask) -> Statement:
    """One GET of ``/page`` as a WSGI server makes it."""
    environ = EnvironBuilder("/page").get_environ()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert status == "200 OK"

    def answer() -> bytes:
        iterable = app(environ.copy(), start_response)
        body = b"".join(iterable)
        iterable.close()  # type: ignore[attr-defined]
        return body

    return Statement("answer()", {"answer": answer})


def cached_request() -> Statement:
    app, cache = make()

    @app.get("/page")
    @cache.cached(timeout=300)
    def page() -> str:
        return "<h1>A page</h1>"

    return request(app)


def trivial_request() -> Statement:
    app, _ = make()

    @app.get("/page")
    def page() -> str:
        return "<h1>A page</h1>"

    return request(app)


QUESTIONS = [
    Question("cached view function, plain", view_function, ratio=35, micros=0.30),
    Question(
        "cached view function, query_string",
        lambda: view_function(query_string=True),
        ratio=35,
        micros=0.35,
    ),
    Question(
        "whole WSGI request, cached view",
        cached_request,
        micros=1.0,
        peers={"trivial view": trivial_request},
        baseline="trivial view",
    ),
]
