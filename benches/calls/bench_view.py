"""What does a cached view cost: the function alone, and a whole WSGI request?"""

from __future__ import annotations

import functools
from typing import Any

from flask import Flask, Response, jsonify
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


def view_response() -> Statement:
    app, cache = make()

    @app.get("/page")
    @cache.cached(timeout=300)
    def page() -> Response:
        return jsonify(title="A page")

    app.test_request_context("/page").push()
    return Statement("page()", {"page": page})


@functools.cache
def pages() -> Flask:
    """An application with a page that is cached and one that is not.

    One application: where things happen to lie in memory makes more of a difference than the cache.
    """
    app, cache = make()

    @app.get("/cached")
    @cache.cached(timeout=300)
    def cached() -> str:
        return "<h1>A page</h1>"

    @app.get("/trivial")
    def trivial() -> str:
        return "<h1>A page</h1>"

    return app


def request(path: str) -> Statement:
    """One GET as a WSGI server makes it."""
    app = pages()
    environ = EnvironBuilder(path).get_environ()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert status == "200 OK"

    def answer() -> bytes:
        iterable = app(environ.copy(), start_response)
        body = b"".join(iterable)
        iterable.close()  # type: ignore[attr-defined]
        return body

    return Statement("answer()", {"answer": answer})


QUESTIONS = [
    Question("cached view function, plain", view_function, ratio=35, micros=0.30),
    Question(
        "cached view function, query_string",
        lambda: view_function(query_string=True),
        ratio=35,
        micros=0.35,
    ),
    Question("cached view function, a Response", view_response),
    Question("cached view function, unless", lambda: view_function(unless=lambda: False), ratio=15),
    Question(
        "whole WSGI request, cached view",
        lambda: request("/cached"),
        micros=1.0,
        peers={"trivial view": lambda: request("/trivial")},
        baseline="trivial view",
    ),
]
