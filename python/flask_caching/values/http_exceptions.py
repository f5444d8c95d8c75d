"""What is stored of an HTTPException that cannot be made again from what is stored of it."""

from __future__ import annotations

from typing import Any

from flask import current_app, has_request_context, request
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException

__all__ = ["stand_in_for"]


def stand_in_for(error: HTTPException) -> HTTPException | None:
    """An exception of Werkzeug's own with the response of ``error``.

    Its class is the nearest one that is Werkzeug's, so that the application handles it alike.

    :param error: an exception of a class of the application's.
    :return: None where the application has a handler for that very class.
    """
    classes = type(error).__mro__
    at = next(at for at, cls in enumerate(classes) if cls.__module__ == exceptions.__name__)
    own: tuple[type, ...] = classes[:at]
    base: Any = classes[at]
    if any(cls in _handled() for cls in own):
        return None
    environ = request.environ if has_request_context() else None
    # Not its own constructor, which may want other arguments.
    stand_in: HTTPException = base.__new__(base)
    HTTPException.__init__(stand_in, error.description, error.get_response(environ))
    stand_in.code = error.code
    return stand_in


def _handled() -> set[type[Exception]]:
    """The exceptions that the active application has handlers for."""
    if not current_app:
        return set()
    scopes = current_app.error_handler_spec.values()
    return {cls for codes in scopes for handlers in codes.values() for cls in handlers}
