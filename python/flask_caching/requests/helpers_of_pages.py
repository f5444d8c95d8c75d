"""Functions that are no views, and are cached under the key of a page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flask import current_app, has_request_context, request

if TYPE_CHECKING:
    from ..calls.policy import CallPolicy
    from ..calls.view import ViewPolicy

__all__ = ["answers_for", "layers", "note_helper_of_page"]

#: How deep a decorator may hide what it decorates.
_DEPTH = 6


def layers(f: Any) -> Iterator[Any]:
    """A function, and those that it is decorated over."""
    while f is not None:
        yield f
        f = getattr(f, "__wrapped__", None)


def answers_for(policy: CallPolicy, view: Any) -> bool:
    """Whether a view function of an application is that of ``policy``, decorated or not."""
    if any(one is policy.wrapper for one in layers(view)):
        return True
    view_class = getattr(view, "view_class", None)
    return any(getattr(view_class, name, None) is policy.wrapper for name in dir(view_class))


def note_helper_of_page(policy: ViewPolicy) -> None:
    """Warn of a function that is no view, and is cached under the key of the active page."""
    if not has_request_context():
        return
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or answers_for(policy, view):
        return
    if _may_hide(view, request.endpoint or "") and _hides(view, policy.wrapper, _DEPTH):
        return
    policy.note_once(
        "helper",
        "%s is cached under the key of the page that it was called for, %s, as that may be itself: "
        "give it a key of its own with key_prefix, or cache it by its arguments with memoize.",
        policy.name,
        request.endpoint,
    )


def _may_hide(view: Any, endpoint: str) -> bool:
    """Whether a view may be a decorator's, which does not say what it decorates."""
    view = inspect.unwrap(view)
    code = getattr(view, "__code__", None)
    is_own = code is not None and view.__name__ == endpoint.rpartition(".")[2]
    takes_all = code is not None and code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    # One that has the endpoint's name and arguments calls its helpers itself.
    return not is_own or bool(takes_all)


def _hides(view: Any, wrapped: Any, depth: int) -> bool:
    """Whether a view was made of ``wrapped`` by decorators that do not say so."""
    if view is wrapped:
        return True
    if depth == 0 or not callable(view):
        return False
    view = inspect.unwrap(view) if inspect.isfunction(view) else view
    inner = [getattr(view, "__func__", None), getattr(view, "func", None)]
    for cell in getattr(view, "__closure__", None) or ():
        try:
            inner.append(cell.cell_contents)
        except ValueError:
            # It is not filled yet.
            continue
    if not inspect.isfunction(view):
        inner += getattr(view, "__dict__", {}).values()
    return any(_hides(one, wrapped, depth - 1) for one in inner if one is not None)
