"""Pages: what a view reads of its visitor counts, however and whenever it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Request, abort, jsonify, request
from paged import Paged


def visitors(paged: Paged, header: str) -> list[str]:
    """What two visitors are answered who differ in a header, each of them thrice."""
    values = ("one", "two") * 3
    return [paged.get(headers={header: value}).text for value in values]


@pytest.mark.parametrize("header", ["User-Agent", "X-Forwarded-For", "X-Own"])
def test_headers_that_are_read_before_the_view_aborts(header: str) -> None:
    paged = Paged(lambda run: abort(404, f"for {request.headers[header]}"))
    paged.app.register_error_handler(404, lambda error: (error.description, 404))
    assert visitors(paged, header) == ["for one", "for two"] * 3
    # Once it is known that they count, each has a page.
    assert paged.runs < 6


UNLESS: dict[str, tuple[str, Callable[[], Any]]] = {
    "agent": ("User-Agent", lambda: request.user_agent.string),
    "languages": ("Accept-Language", lambda: str(request.accept_languages)),
    "route": ("X-Forwarded-For", lambda: request.access_route[0]),
    "control": ("Cache-Control", lambda: str(request.cache_control)),
    "type": ("Content-Type", lambda: request.mimetype),
}


@pytest.mark.parametrize("kind", UNLESS)
def test_headers_that_unless_has_read_before_the_view(kind: str) -> None:
    header, read = UNLESS[kind]
    paged = Paged(lambda run: f"for {read()}", unless=lambda: read() == "nobody")
    assert visitors(paged, header) == ["for one", "for two"] * 3


def test_what_unless_alone_reads_does_not_count() -> None:
    paged = Paged(unless=lambda: request.user_agent.string == "nobody")
    assert visitors(paged, "User-Agent") == ["run 1"] * 6


@pytest.mark.parametrize(
    "show", [jsonify, json.dumps, lambda it: {"cookies": it}], ids=["jsonify", "dumps", "within"]
)
def test_no_cookies_as_json_are_cookies_that_were_read(show: Any) -> None:
    paged = Paged(lambda run: show(request.cookies))
    assert "bob" not in paged.get().text
    assert "bob" in paged.get(headers={"Cookie": "user=bob"}).text


def test_cookies_that_are_not_looked_at_do_not_count() -> None:
    paged = Paged(unless=lambda: "admin" in request.cookies)
    assert paged.is_stored()


def test_cookies_of_a_class_that_is_no_dict() -> None:
    class Cookies:
        """What an application has in the place of Werkzeug's."""

        def __init__(self, pairs: Any) -> None:
            self.pairs = list(pairs)

        def __reduce_ex__(self, protocol: Any) -> Any:
            return type(self), (self.pairs,)

    class Own(Request):
        dict_storage_class = Cookies  # type: ignore[assignment]

    paged = Paged(lambda run: str(type(request.cookies) is not None))
    paged.app.request_class = Own
    assert paged.is_stored()
