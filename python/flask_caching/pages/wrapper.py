"""The view that an application sees in place of the one it decorated with ``page``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from .._engine import Turn, page_is_found_by_all
from ..requests.context import active_context, active_request_context
from ..requests.sessions import SessionUse
from .passage import MARK, Passage, page_view_of
from .reads import aside, begin_arguments
from .rules import bypassed
from .sent import twin
from .stored import is_page
from .visitors import TURN

if TYPE_CHECKING:
    from .policy import PagePolicy

__all__ = ["answer_error", "page_view"]


#: Of what views return, that of which a response of its own is made.
_PLAIN = frozenset({str, bytes, dict, list})


def page_view(policy: PagePolicy) -> Callable[..., Any]:
    """The view function of a page, to which the decorator gives its attributes."""
    road, view = policy.road, page_view_of(policy)
    begin, asks_unless, shares_hosts = road.begin, policy.unless is not None, not policy.page.host

    def decorated_function(*args: Any, **kwargs: Any) -> Any:
        active = active_request_context(None)
        if active is None or getattr(active, MARK, None) is not None:
            # There is no request to answer, or another page answers it.
            return policy.run(*args, **kwargs)
        request, app = active.request, active_context(None).app
        environ = request.environ
        if shares_hosts and (app.subdomain_matching or app.url_map.host_matching):
            policy.rule.count_host()
        passage = Passage(view, active, app)
        setattr(active, MARK, passage)
        handed = environ.get(TURN)
        if asks_unless:
            with aside(request):
                is_bypassed = policy.is_bypassed(args, kwargs)
            if is_bypassed:
                environ.pop(TURN, None)
                passage.go_by("bypass", "unless")
                return policy.run(*args, **kwargs)
        if handed is not None and _is_of(handed, road, passage):
            answer = environ.pop(TURN)[1]
        else:
            answer = begin(args, kwargs, app.extensions, request.method, environ, passage.app_name)
        if type(answer) is not Turn:
            if is_page(answer):
                return passage.hit(answer)
            passage.go_by("bypass", "no-page")
            return policy.run(*args, **kwargs)
        if not answer.is_open:
            # A HEAD fills nothing, nor does a request in an outage.
            reason = bypassed(request.method, environ)
            if reason is not None:
                passage.go_by("method" if reason == "method" else "bypass", reason)
                passage.note(reason)
            return policy.run(*args, **kwargs)
        passage.begin_miss(answer)
        call = (args, kwargs)
        try:
            return _respond(passage, active, answer, policy.answer, call, call)
        except HTTPException as error:
            if answer.is_open:
                # What answers it, which Flask asks for then, is part of the page.
                passage.abort(error, answer, call)
            raise
        except BaseException:
            # Nobody waits for it any longer.
            road.fail(answer)
            raise

    return decorated_function


def _is_of(handed: Any, road: Any, passage: Passage) -> bool:
    """Whether the turn that a request carries is for its page: it may have become another request
    on its way."""
    own, turn = handed
    return own is road and page_is_found_by_all(road, turn, passage.app_name, passage.environ)


def answer_error(passage: Passage, context: Any, handle: Callable[[], Any]) -> Response:
    """The answer to the error by which the view of a page has aborted, as ``handle`` has it."""
    turn, call = passage.aborted()
    try:
        return _respond(passage, context, turn, handle, ((), {}), call)
    except BaseException:
        passage.policy.road.fail(turn)
        raise


def _makes_plainly(app: Flask) -> bool:
    """Whether an application makes responses as Flask does."""
    return getattr(app.make_response, "__func__", None) is Flask.make_response


def _respond(
    passage: Passage,
    context: Any,
    turn: Turn,
    run: Callable[..., Any],
    given: tuple[tuple[Any, ...], dict[str, Any]],
    call: Any,
) -> Response:
    """The response that ``run`` makes, which is what a view or the handler of its error does; and
    what may be stored of it when the request ends is taken from it.

    :param context: the context of the request.
    :param given: the arguments of ``run``, and those by name.
    :param call: those of the view.
    """
    policy, app = passage.policy, passage.app
    rejects_errors = turn.rejects_errors
    use = None if passage.begin_view(context) else SessionUse()
    counting, arguments, returned = policy.page.query, None, None
    try:
        if counting is not None:
            arguments = begin_arguments(passage.request, counting)
        rv = run(*given[0], **given[1])
        is_plain = type(rv) in _PLAIN
        if not is_plain and isinstance(rv, HTTPException):
            # Flask would make a stream of it, which is nobody else's either.
            answer = rv.get_response(passage.environ)
            rv = twin(answer) if isinstance(answer, Response) else rv
        returned = (rv,)
        response = passage.respond(rv) if is_plain else app.make_response(rv)
        returned = None
        # An application may have kept what it makes.
        passage.is_made = is_plain and _makes_plainly(app)
    except BaseException as error:
        if given is call and returned is None and isinstance(error, HTTPException):
            raise
        page = policy.road.fail(turn, error)
        if is_page(page):
            return passage.fall_back(page, 500)
        if returned is not None and isinstance(error, Exception):
            # Flask makes the same of it, where no handler of the view's errors hears of that.
            return returned[0]  # type: ignore[no-any-return]
        raise
    finally:
        if arguments is not None and arguments.end():
            passage.uses_query = True
        passage.end_view()
        if use is not None and use.end() is not None:
            passage.uses_session = True
    if rejects_errors:
        passage.go_by("stale", None)
        if response.status_code >= 500:
            page = policy.road.fail(turn, response.status)
            return passage.fall_back(page, response.status_code) if is_page(page) else response
    if arguments is not None and policy.page.in_front:
        # What hooks after the view make of the answer is part of the page.
        passage.arguments = arguments.again()
    passage.miss(context, turn, response, call)
    return response
