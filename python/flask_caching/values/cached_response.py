"""A response that brings its own timeout."""

# Without postponed annotations: inspect.signature() gives types here, not their names.

from datetime import timedelta

from flask import Response

from ..utils import normalize_timeout

__all__ = ["CachedResponse"]


class CachedResponse(Response):
    """A response that says how long it is cached.

    :param response: the response, usually from :func:`flask.make_response`.
    :param timeout: seconds, or a ``timedelta``; 0: never expires; None: the decorator's timeout.
    """

    # What names the class in stored entries, which other processes run with Flask-Caching read.
    __module__ = "flask_caching"

    timeout: int | None = None

    def __init__(self, response: Response, timeout: int | timedelta | None) -> None:
        self.__dict__ = response.__dict__
        self.timeout = normalize_timeout(timeout)
