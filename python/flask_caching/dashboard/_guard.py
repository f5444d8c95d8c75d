"""Who may see the dashboard, who may press its buttons, and what a browser may make of it."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flask import Response, abort, current_app, request
from werkzeug.exceptions import HTTPException

__all__ = ["Authorize", "check_request", "hand_out", "harden", "token"]

logger = logging.getLogger("flask_caching")

#: Says, within a request, whether that may see the dashboard.
Authorize = Callable[[], Any]

#: Holds the half of the token that only browsers of this site send; the other is in a header.
_TOKEN_COOKIE = "flask_caching_dashboard"
TOKEN_HEADER = "X-Cache-Token"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


def check_request(authorize: Authorize | None) -> None:
    """Let a request in, or answer it with 403.

    :raises HTTPException: it may not see the dashboard, or press its buttons.
    """
    if not (_is_local() if authorize is None else _says_yes(authorize)):
        abort(Response("Not allowed to see the cache.\n", 403, mimetype="text/plain"))
    is_button = request.method not in ("GET", "HEAD", "OPTIONS")
    if not (_is_from_the_page() if is_button else _may_be_read()):
        abort(Response("Not from this page: reload it.\n", 403, mimetype="text/plain"))


def _is_local() -> bool:
    """Whether nobody need say yes: in debug mode, under a name that no other site can take.

    A site whose name is made to lead to this machine would be read as this one by a browser.
    """
    if not current_app.debug:
        return False
    host = _split(f"//{request.host}").hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(url: str) -> SplitResult:
    """The parts of a URL; of what is none, there are none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _says_yes(authorize: Authorize) -> bool:
    """What the application says; an exception, and whatever is not True, is no."""
    try:
        answer = current_app.ensure_sync(authorize)()
    except HTTPException:
        # A no that says how: a login, another status.
        raise
    except Exception as error:
        logger.error("The dashboard's authorize failed, which is no: %r", error, exc_info=error)
        return False
    if not isinstance(answer, bool):
        # A redirection to a login would be true, and so would a user who is nobody.
        kind = type(answer).__name__
        logger.error("The dashboard's authorize must return True or False, not a %s: no", kind)
        return False
    return answer


def token() -> str:
    """The token of this browser: what its cookie holds, otherwise a new one."""
    held = request.cookies.get(_TOKEN_COOKIE, "")
    return held if len(held) == 43 and held.isascii() else secrets.token_urlsafe(32)


def hand_out(token: str, answer: Response, path: str) -> None:
    """Give the browser its half of ``token``, for what is under ``path``."""
    answer.set_cookie(
        _TOKEN_COOKIE,
        token,
        path=_cookie_path(path),
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
    )


def _cookie_path(path: str) -> str:
    """What a browser takes for the path of a cookie, and compares with a URL's as it is written:
    the folders of ``path`` before the first with characters that one of them writes otherwise."""
    plain = re.match(r"(/[\w.~@:+-]*)*/", path, re.ASCII)
    return plain[0] if plain else "/"


def _is_from_the_page() -> bool:
    """Whether the dashboard itself sent this request.

    Other sites can send no such header without being asked first, and cannot read the token. Where
    a browser says which site a request comes from, that has to be this one.
    """
    held = request.cookies.get(_TOKEN_COOKIE, "")
    sent = request.headers.get(TOKEN_HEADER, "")
    if not held or not hmac.compare_digest(held.encode(), sent.encode()):
        return False
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site == "same-origin"
    return origin is None or _split(origin).netloc == request.host


def _may_be_read() -> bool:
    """Whether this site, or somebody who follows a link, asks.

    Another site's script could otherwise read what an application gives to every origin.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    return site in ("same-origin", "none") or request.headers.get("Sec-Fetch-Mode") == "navigate"


def harden(response: Response) -> Response:
    """Say to a browser what it may do with an answer of the dashboard: next to nothing."""
    for name, value in _HEADERS.items():
        response.headers[name] = value
    return response
