"""What is looked at when an application's first request comes: views that are cached above their
route, where no request comes along, and whether it is in debug mode."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import request_started

from ..stats._shared import share_counts
from .helpers_of_pages import answers_for, layers
from .server_timing import add_server_timing

if TYPE_CHECKING:
    from flask import Flask

    from ..cache import Cache

__all__ = ["look_at_first_request"]

logger = logging.getLogger("flask_caching")

#: What decorates the functions that may be views, by their kind.
_DECORATORS = {"view": "cached", "page": "page", "function": "memoize"}

#: Where an application keeps who looks at its views when its first request comes.
_LOOKING = "flask_caching.looking"


def look_at_first_request(app: Flask, cache: Cache) -> None:
    """Warn, when an application's first request comes, of views that are cached above their route;
    and let it say what its cache does for each, in debug mode; and begin to share counts.

    Not before: an application may well decorate a view and then put it in its place.
    """
    looking: dict[Cache, Callable[..., None]] = app.extensions.setdefault(_LOOKING, {})
    if cache in looking:
        return

    def look(sender: Flask, **_: Any) -> None:
        if looking.pop(cache, None) is not None:
            request_started.disconnect(look, sender)
            add_server_timing(sender, cache)
            share_counts(sender, cache)
            _note_views_above_routes(sender, cache)

    looking[cache] = look
    try:
        request_started.connect(look, app)
    except RuntimeError:
        # Flask without blinker knows no signals.
        looking.pop(cache)


def _note_views_above_routes(app: Flask, cache: Cache) -> None:
    views = list(app.view_functions.values())
    known = {id(view) for view in views}
    for policy in list(cache._policies):
        if policy.kind not in _DECORATORS or all(id(f) not in known for f in layers(policy.f)):
            continue
        if not any(answers_for(policy, view) for view in views):
            logger.warning(
                "%s is never answered from the cache: its route calls the function below the "
                "cache's decorator. Put @cache.%s() below @app.route().",
                policy.name,
                _DECORATORS[policy.kind],
            )
