"""The policy of a view that is decorated with ``page``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._engine import CallParts, PageForm, PageRule, Turn
from ..calls.policy import CallPolicy, Description
from ..requests.context import active_request_context
from ..signals import cache_view_hit, cache_view_miss
from .rules import bypassed, is_authorized
from .visitors import IN_FRONT, TURN, answer_whole, stranger, visiting
from .wrapper import page_view

if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from contextlib import AbstractContextManager

    from flask import Flask

    from ..cache import Cache
    from ..extension.state import AppState
    from .options import PageOptions

__all__ = ["PagePolicy"]

#: An answer that names more headers in its `Vary` is not stored.
_MOST_HEADERS = 16

_NO_RULES = (0.0, 0.0, 0.0)


class PagePolicy(CallPolicy):
    """A view decorated with ``page``."""

    kind = "page"
    is_page = True
    signals = CallPolicy.signals | {"hits": cache_view_hit, "misses": cache_view_miss}

    def __init__(self, cache: Cache, f: Callable[..., Any], options: PageOptions) -> None:
        super().__init__(cache, f, options)
        self.page = options
        #: Runs the view.
        self.answer = self.run if self.is_async else f
        #: Whether tags depend on the answer.
        self.asks_tags = callable(options.tags)
        self.rule = PageRule(
            f"{self.module}.{self.name}",
            None if options.query is None else list(options.query),
            options.host,
            options.scheme,
            [environ_name(name) for name in options.vary],
            # In an order that all processes have, also of a set.
            sorted(options.cookies),
        )
        #: Whether an answer says more in `Vary` than the application does.
        self.varies = bool(options.vary or options.cookies or options.compress)
        cookie = ["Cookie"] if options.cookies else []
        self.form = PageForm(
            [*options.vary, *cookie],
            options.etag,
            list(options.compress),
            list(options.statuses),
        )

    def make_wrapper(self) -> Callable[..., Any]:
        return page_view(self)

    def parts(self) -> CallParts:
        return CallParts.page(self.rule, self.form)

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
        key, versions = self.rule.key(state.app_name, environ)
        return Description(key, versions, is_read_only=method == "HEAD")

    def make_cache_key(self, *args: Any, **kwargs: Any) -> str:
        """The key of the active request, without the versions in it."""
        state, _ = self.cache._place()
        environ = active_request_context(None).request.environ
        return self.rule.key(state.app_name, environ)[0]

    def makes_plain_keys(self) -> bool:
        place = self.place()
        return place is not None and not (self.has_conditions or place[0].has_conditions)

    def rules(self, state: AppState) -> tuple[float, float, float]:
        # How long it is fresh, a page says itself.
        return (*super().rules(state)[:2], 0.0)

    def given_rules(self, state: AppState) -> tuple[float, float, float]:
        """As :meth:`rules`, where the page does not say; with the jitter."""
        if not self.has_conditions and not state.has_conditions:
            return _NO_RULES
        return super().rules(state)

    # Refreshes in the background.

    def refreshes_elsewhere(self, key: Any) -> bool:
        # Who proves who they are has pages that nobody else gets.
        return not is_authorized(_active_environ()) and super().refreshes_elsewhere(key)

    def refresh_context(self, app: Flask) -> AbstractContextManager[Any]:
        return visiting(app, stranger(_active_environ(), self.rule.headers, self.page.cookies))

    def refresh_call(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        in_front = IN_FRONT.get()
        assert in_front is not None
        app, environ = in_front
        turn = self.road.refresh((), {}, key=key)
        if type(turn) is not Turn or not turn.is_open:
            return
        environ[TURN] = (self.road, turn)
        try:
            answer_whole(app, environ)
        except BaseException:
            self.road.fail(turn)
            raise
        if environ.pop(TURN, None) is not None:
            # Who is nobody in particular does not get as far as the view: a caller refreshes it.
            self.vain.note(key)
            self.road.fail(turn)

    def learns(self, vary: tuple[str, ...], read: Set[str]) -> str | None:
        """Why an answer is not stored under the key that it was looked for by.

        :param vary: the names in its ``Vary``, in lower case.
        :param read: those of the headers that were read for it, as an environment has them.
        """
        known = self.rule.headers
        new = {environ_name(name) for name in vary if name and name != "cookie"}.difference(known)
        unsaid = set(read).difference(known, new)
        new |= unsaid
        if not new:
            return None
        if len(known) + len(new) > _MOST_HEADERS:
            return "vary-too-long"
        if unsaid:
            self.note_once(
                "vary-learned",
                "The answer of %s depends on headers that neither vary nor its Vary names: %s. "
                "They are part of its pages from now on. Name them, or read them from environ "
                "where they change nothing.",
                self.name,
                ", ".join(sorted(map(header_name, unsaid))),
            )
        self.rule.learn(sorted(new))
        return "vary-learned"


def environ_name(header: str) -> str:
    """The name that a WSGI environment has for a header."""
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def header_name(name: str) -> str:
    """The header that a WSGI environment has under a name."""
    return name.removeprefix("HTTP_").replace("_", "-").title()


def _active_environ() -> dict[str, Any]:
    """The WSGI environment of the active request, in front of Flask or in it."""
    in_front = IN_FRONT.get()
    if in_front is not None:
        return in_front[1]
    environ: dict[str, Any] = active_request_context(None).request.environ
    return environ
