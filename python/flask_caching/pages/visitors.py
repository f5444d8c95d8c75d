"""Requests without Flask: those that have not entered it yet, and those that nobody has made."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["IN_FRONT", "TURN", "answer_whole", "stranger", "visiting"]

#: The application and the WSGI environment of a request that has not entered Flask.
IN_FRONT: ContextVar[tuple[Flask, dict[str, Any]] | None] = ContextVar("in_front", default=None)

#: Where a request carries the turn that was begun for it outside Flask.
TURN = "flask_caching.turn"

#: What a stranger's request has of another one beside the headers that are part of the page.
_WHERE = (
    "HTTP_HOST",
    "PATH_INFO",
    "QUERY_STRING",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "wsgi.url_scheme",
)


def stranger(
    environ: dict[str, Any], headers: Iterable[str], cookies: tuple[str, ...]
) -> dict[str, Any]:
    """The environment of a GET of the same page, by nobody in particular.

    :param headers: those that are part of the page, as an environment names them.
    :param cookies: the names of the cookies that are.
    """
    made = {name: environ[name] for name in (*_WHERE, *headers) if name in environ}
    kept = [
        pair.strip()
        for pair in environ.get("HTTP_COOKIE", "").split(";")
        if pair.partition("=")[0].strip() in cookies
    ]
    if kept:
        made["HTTP_COOKIE"] = "; ".join(kept)
    made.update(
        {
            "REQUEST_METHOD": "GET",
            "wsgi.version": (1, 0),
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
    )
    return made


@contextmanager
def visiting(app: Flask, environ: dict[str, Any]) -> Iterator[None]:
    """Calls meanwhile are those of a request that has not entered Flask."""
    token = IN_FRONT.set((app, environ))
    try:
        yield
    finally:
        IN_FRONT.reset(token)


def answer_whole(app: Flask, environ: dict[str, Any]) -> None:
    """Have a request answered by an application and all that is around it, as a server does."""
    token = IN_FRONT.set(None)
    try:
        answer: Any = app.wsgi_app(environ, _start_response)
        try:
            for _ in answer:
                pass
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
    finally:
        IN_FRONT.reset(token)


def _start_response(status: str, headers: Any, error: Any = None, /) -> Callable[[bytes], object]:
    return lambda data: None
