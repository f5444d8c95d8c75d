"""The dashboard's blueprint."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request

from ..errors import CacheConfigError, CacheError
from ..mistakes import check_cache
from . import _guard
from ._actions import delete, look_up
from ._shown import shown

if TYPE_CHECKING:
    from flask.blueprints import BlueprintSetupState

    from ..cache import Cache

__all__ = ["blueprint"]

logger = logging.getLogger("flask_caching")

_STATIC = Path(__file__).parent / "static"
_ASSETS = {
    "base.css": "text/css",
    "base.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "plots.js": "text/javascript",
    "uplot.css": "text/css",
    "uplot.js": "text/javascript",
}
#: The longest a request of the page may be, in bytes; keys can be long.
_MOST_BYTES = 64 * 1024


def blueprint(
    cache: Cache,
    authorize: _guard.Authorize | None = None,
    *,
    show_values: bool = False,
    name: str = "flask_caching_dashboard",
) -> Blueprint:
    """Make the dashboard of a cache, to be registered with an application.

    ::

        app.register_blueprint(
            dashboard.blueprint(cache, authorize=lambda: current_user.is_admin),
            url_prefix="/_cache",
        )

    :param cache: the cache to show; it is set up for the application that is asked.
    :param authorize: called without arguments within each request of the dashboard, those of its
        files included; may be a coroutine function. Only True lets a request in: whatever else it
        returns, and an exception, is no. An ``HTTPException`` that it raises is the answer. Without
        it, the dashboard can be registered in debug mode only, and answers requests to localhost
        or to an IP address.
    :param show_values: whether the look-up of a key shows its value, too.
    :param name: the blueprint's name, where an application has two of them.
    :return: the blueprint; register it with a ``url_prefix``.
    :raises CacheConfigError: ``authorize`` cannot be called, or ``cache`` is no Cache. The
        blueprint raises it when it is registered without ``authorize`` outside debug mode.
    """
    check_cache(cache, "dashboard.blueprint(cache, authorize=…)")
    if authorize is not None and not callable(authorize):
        raise CacheConfigError(
            f"authorize must be a function that says whether a request may, not {authorize!r}"
        )
    made = Blueprint(name, __name__)

    @made.record
    def check_registration(state: BlueprintSetupState) -> None:
        if authorize is None and not state.app.debug:
            raise CacheConfigError(
                "The dashboard shows and deletes what the cache has: outside debug mode it needs "
                "authorize=, a function that returns True where the request may, for example "
                "dashboard.blueprint(cache, authorize=lambda: current_user.is_admin)"
            )

    made.before_request(lambda: _guard.check_request(authorize))
    made.after_request(_guard.harden)

    # The prefix that it is registered under may have variables.
    @made.get("/")
    def page(**_: Any) -> Response:
        return Response((_STATIC / "page.html").read_bytes(), mimetype="text/html")

    @made.get("/assets/<asset>")
    def asset(asset: str, **_: Any) -> Response:
        if asset not in _ASSETS:
            abort(404)
        return Response((_STATIC / asset).read_bytes(), mimetype=_ASSETS[asset])

    @made.get("/data")
    def data(**_: Any) -> Response:
        """What the page shows; and its token, which no other site can read here."""
        token = _guard.token()
        answer = _answer(lambda: {**shown(cache), "shows_values": show_values, "token": token})
        _guard.hand_out(token, answer, (request.script_root + request.path).removesuffix("data"))
        return answer

    @made.post("/look-up")
    def look_up_key(**_: Any) -> Response:
        asked = _asked()
        return _answer(lambda: look_up(cache, asked.get("key"), show_values))

    @made.post("/delete")
    def delete_some(**_: Any) -> Response:
        asked = _asked()
        return _answer(lambda: delete(cache, asked.get("what"), asked.get("name")))

    return made


def _asked() -> dict[str, Any]:
    """The JSON object of the request."""
    if request.mimetype != "application/json":
        abort(400)
    sent = request.stream.read(_MOST_BYTES + 1)
    try:
        asked = json.loads(sent) if len(sent) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        abort(400)
    return asked if isinstance(asked, dict) else {}


def _answer(act: Callable[[], dict[str, Any]]) -> Response:
    """What an action returns; or the sentence that says why it could not be done."""
    try:
        return _json(act())
    except CacheError as error:
        return _json({"error": str(error)}, 502)
    except ValueError as error:
        return _json({"error": str(error)}, 400)
    except Exception as error:
        # Of a backend of the application's own.
        logger.error("The dashboard could not ask the cache: %r", error, exc_info=error)
        return _json({"error": f"The cache failed: {type(error).__name__}, see the log."}, 502)


def _json(content: Any, status: int = 200) -> Response:
    # Not by the application's own provider, which may do with it what it likes.
    return Response(json.dumps(content), status, mimetype="application/json")
