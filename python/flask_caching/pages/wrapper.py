"""The view that an application sees in place of the one it decorated with ``page``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from .._engine import Turn
from ..calls.context import active_context, active_request_context
from ..calls.sessions import SessionUse
from .passage import Passage, passage_of
from .rules import bypassed
from .stored import response_of

if TYPE_CHECKING:
    from .policy import PagePolicy

__all__ = ["page_view"]

#: Where a request carries the turn that was begun for it in front of Flask.
TURN = "flask_caching.turn"


def page_view(policy: PagePolicy) -> Callable[..., Any]:
    """The view function of a page, to which the decorator gives its attributes."""
    road = policy.road

    def decorated_function(*args: Any, **kwargs: Any) -> Any:
        active = active_request_context(None)
        if active is None or passage_of(active) is not None:
            # There is no request to answer, or another page answers it.
            return policy.run(*args, **kwargs)
        request, app = active.request, active_context(None).app
        passage = Passage(policy, active)
        handed = request.environ.pop(TURN, None)
        if policy.is_bypassed(args, kwargs):
            passage.forward("bypass", "unless")
            return policy.run(*args, **kwargs)
        if handed is not None and handed[0] is road:
            answer = handed[1]
        else:
            answer = road.begin(args, kwargs, app.extensions, request.method, request.environ)
        if type(answer) is not Turn:
            passage.hit(answer, response_of(app, answer))
            return passage.response
        if not answer.is_open:
            # A HEAD fills nothing, nor does a request in an outage.
            reason = bypassed(request.method, request.environ)
            if reason is not None:
                passage.forward("method" if reason == "method" else "bypass", reason)
            return policy.run(*args, **kwargs)
        return _compute(passage, answer, args, kwargs)

    return decorated_function


def _compute(passage: Passage, turn: Turn, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the view, and take from its response what may be stored when the request ends."""
    policy, context = passage.policy, passage.context
    app = active_context(None).app
    use = SessionUse()
    # Read anew by whoever asks for it: the session has, before the view.
    context.request.__dict__.pop("cookies", None)
    try:
        try:
            rv = policy.run(*args, **kwargs)
        except HTTPException as error:
            # What answers it is part of the page.
            rv = app.handle_user_exception(error)
        if isinstance(rv, HTTPException):
            # Flask would make a stream of it.
            rv = rv.get_response(context.request.environ)
        response = app.make_response(rv)
    except BaseException:
        policy.road.fail(turn)
        raise
    finally:
        reason = use.end()
    passage.miss(turn, response, uses_session=reason is not None)
    return response
