"""What is said of the requests that a page answers."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .._engine import CallParts, PageRule
from ..calls.context import active_request_context, name_of
from ..calls.policy import CallPolicy, Description, Options
from ..signals import cache_view_hit, cache_view_miss
from .rules import bypassed
from .wrapper import page_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from ..cache import Cache
    from ..calls.state import AppState
    from .options import PageOptions

__all__ = ["IN_FRONT", "PagePolicy"]

#: The application and the WSGI environment of a request that has not entered Flask yet.
IN_FRONT: ContextVar[tuple[Flask, dict[str, Any]] | None] = ContextVar("in_front", default=None)

#: An answer that names more headers in its `Vary` is not stored.
_MOST_HEADERS = 16


class PagePolicy(CallPolicy):
    """A view decorated with ``page``."""

    kind = "page"
    hit_signal = cache_view_hit
    miss_signal = cache_view_miss

    def __init__(self, cache: Cache, f: Callable[..., Any], options: PageOptions) -> None:
        shared = Options(unless=options.unless, single_flight=options.single_flight)
        super().__init__(cache, f, shared)
        self.page = options
        # Every result says itself how long it is stored.
        self.filters = True
        self.rule = PageRule(
            f"{getattr(f, '__module__', '')}.{self.name}",
            None if options.query is None else list(options.query),
            options.host,
            options.scheme,
            [environ_name(name) for name in options.vary],
            list(options.cookies),
        )

    def make_wrapper(self) -> Callable[..., Any]:
        return page_view(self)

    def parts(self) -> CallParts:
        return CallParts.page(self.rule)

    def place(self) -> tuple[AppState, Any] | None:
        in_front = IN_FRONT.get()
        if in_front is None:
            return super().place()
        app = in_front[0]
        return self.cache._states[app], app.extensions["cache"][self.cache]

    def description(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Description | None:
        in_front = IN_FRONT.get()
        if in_front is None:
            request = active_request_context(None).request
            environ, method = request.environ, request.method
        else:
            environ = in_front[1]
            method = environ["REQUEST_METHOD"]
        if bypassed(method, environ) is not None:
            return None
        key, versions = self.rule.key(name_of(state.app()), environ)
        return Description(key, versions, is_read_only=method == "HEAD")

    def make_cache_key(self, *args: Any, **kwargs: Any) -> str:
        """The key of the active request, without the versions in it."""
        state, _ = self.cache._place()
        environ = active_request_context(None).request.environ
        return self.rule.key(name_of(state.app()), environ)[0]

    def judge(self, rv: Any, description: Description | None) -> tuple[Any, Any]:
        """A page and its timeout; what is no such pair was refused before."""
        page, timeout = rv
        return page, timeout

    def learns(self, vary: list[str]) -> str | None:
        """Why an answer with this ``Vary`` is not stored under the key it was asked with.

        :param vary: the names that it has, in lower case.
        """
        known = self.rule.headers
        new = {environ_name(name) for name in vary if name and name != "cookie"}.difference(known)
        if not new:
            return None
        if len(known) + len(new) > _MOST_HEADERS:
            return "vary-too-long"
        self.rule.learn(sorted(new))
        return "vary-learned"


def environ_name(header: str) -> str:
    """The name that a WSGI environment has for a header."""
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
