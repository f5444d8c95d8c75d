"""What does a whole answer cost: in front of Flask, in the view's place, and of a cached view?"""

from __future__ import annotations

import functools
import itertools
from typing import Any

from flask import Flask
from flask_caching import Cache
from question import Question, Statement
from werkzeug.test import EnvironBuilder

BODY = "x" * 10_000


@functools.cache
def pages() -> Flask:
    """One application with the same answer in each way."""
    app = Flask("pages")
    config: dict[str, Any] = {"CACHE_TYPE": "SimpleCache", "CACHE_PAGES_IN_FRONT": True}
    cache = Cache(app, config=config)
    app.add_url_rule("/cached", "cached", cache.cached(300)(lambda: BODY))
    if hasattr(cache, "page"):
        app.add_url_rule("/front", "front", cache.page(300, in_front=True)(lambda: BODY))
        app.add_url_rule("/place", "place", cache.page(300)(lambda: BODY))
    app.add_url_rule("/trivial", "trivial", lambda: BODY)
    return app


@functools.cache
def no_pages(is_wrapped: bool) -> Flask:
    """An application without a page."""
    app = Flask("no_pages")
    Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_PAGES_IN_FRONT": is_wrapped})
    app.add_url_rule("/trivial", "trivial", lambda: BODY)
    return app


def trivial(is_wrapped: bool) -> Statement:
    """One GET of a view that is not cached."""
    environ = EnvironBuilder("/trivial").get_environ()
    names = {
        "answer": no_pages(is_wrapped).wsgi_app,
        "environ": environ,
        "start_response": lambda status, headers, exc_info=None: None,
    }
    return Statement("answer(environ, start_response)", names)


def miss(path: str) -> Statement:
    """One GET of a URL that nobody has asked for; Flask-Caching has a cached view for it."""
    app = pages()
    if path not in {str(rule) for rule in app.url_map.iter_rules()}:
        path = "/cached"
    names = {
        "answer": app.wsgi_app,
        "environ": EnvironBuilder(path).get_environ(),
        "start_response": lambda status, headers, exc_info=None: None,
        "number": itertools.count().__next__,
    }
    code = "answer({**environ, 'QUERY_STRING': f'q={number()}'}, start_response)"
    return Statement(code, names)


def request(path: str, is_known: bool = False) -> Statement:
    """One GET as a WSGI server makes it; the client may have the answer. Flask-Caching has a cached
    view for it."""
    app = pages()
    if path not in {str(rule) for rule in app.url_map.iter_rules()}:
        path, is_known = "/cached", False
    environ = EnvironBuilder(path).get_environ()
    answered: dict[str, str] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        answered.update(headers)

    app.wsgi_app(environ, start_response)
    if is_known:
        environ["HTTP_IF_NONE_MATCH"] = answered["ETag"]
    app.wsgi_app(environ, start_response)
    names = {"answer": app.wsgi_app, "environ": environ, "start_response": start_response}
    return Statement("answer(environ, start_response)", names)


QUESTIONS = [
    Question("whole WSGI request, page in front", lambda: request("/front"), ratio=50, micros=1.5),
    Question(
        "whole WSGI request, page in front, 304",
        lambda: request("/front", is_known=True),
        ratio=50,
        micros=1.5,
    ),
    Question(
        "whole WSGI request, page in the view's place",
        lambda: request("/place"),
        peers={"cached": lambda: request("/cached")},
        baseline="cached",
        micros=1.0,
    ),
    Question(
        "whole WSGI request, page that was not asked for yet",
        lambda: miss("/place"),
        peers={"no cache": lambda: miss("/trivial")},
        baseline="no cache",
        micros=15.0,
    ),
    Question(
        "whole WSGI request, pages allowed in front and none there",
        lambda: trivial(is_wrapped=True),
        peers={"not allowed": lambda: trivial(is_wrapped=False)},
        baseline="not allowed",
        micros=0.3,
    ),
]
