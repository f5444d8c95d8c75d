"""The way of one request from a page's view to the answer that leaves the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._engine import (
    PageHeaders,
    lifetime_seconds,
    page_answer,
    page_rendition,
    page_standing,
    page_unchanged,
)
from ..calls.context import session_of
from ..utils import normalize_timeout
from .cookies import reads_others
from .rules import why_not_kept, why_not_shared
from .stored import RENDITIONS, Taken, is_as_it_was, response_of, take

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers
    from werkzeug.wrappers import Response

    from .._engine import PageFront, Turn
    from ..calls.state import AppState
    from .policy import PagePolicy
    from .stored import Page

__all__ = ["Answered", "Passage", "passage_of"]

_MARK = "_flask_caching_page"

#: Which headers are about a body, and not sent without one.
_OF_THE_BODY = (
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
)

#: What is no reason to say anything in the log.
_USUAL = frozenset({"status", "vary-learned"})


def passage_of(context: Any) -> Passage | None:
    """The page that answers the request of a context, if one does."""
    return getattr(context, _MARK, None)


class Answered:
    """What a page's view has come to, as the road is told.

    :param page: the page.
    :param lifetime: seconds for which it is fresh; 0: for ever.
    :param response: the answer, for who says its tags.
    :param call: the arguments of the view.
    """

    __slots__ = ("call", "has_tags", "lifetime", "page", "response")

    def __init__(self, page: Page, lifetime: float, response: Response, call: Any) -> None:
        self.page, self.lifetime = page, lifetime
        self.response, self.call = response, call
        #: Whether its tags could be had.
        self.has_tags = True


class Passage:
    """One request on its way.

    :param policy: what is said of its page.
    :param context: the context of the request.
    """

    response: Any = None
    _turn: Turn | None = None
    _page: Page | None = None
    _taken: Taken | None = None
    _call: Any = ((), {})
    _place: tuple[AppState, Any] | None = None
    _forward = "uri-miss"
    _detail: str | None = None
    #: The status that the view answered with where an old page is answered in its place.
    _failed_with: int | None = None

    def __init__(self, policy: PagePolicy, context: Any) -> None:
        self.policy = policy
        self.context = context
        setattr(context, _MARK, self)
        self._hooks = len(getattr(context, "_after_request_functions", ()))

    # What became of it in the view's place.

    def forward(self, why: str, detail: str | None) -> None:
        """The view answers; where there is a ``detail``, its answer is not stored."""
        self._forward, self._detail = why, detail

    def hit(self, page: Page) -> Response:
        """It was answered from the cache."""
        self._page = page
        response = self.response = response_of(self.context.app, page)
        return response

    def fall_back(self, page: Page, status: int) -> Response:
        """The view has failed, and an old page is the answer."""
        self._failed_with = status
        return self.hit(page)

    def miss(self, turn: Turn, response: Response, uses_session: bool, call: Any) -> None:
        """The view has answered."""
        self._turn, self.response, self._call = turn, response, call
        cookies = self.policy.page.cookies
        if uses_session and self._session_cookie() not in cookies:
            self._detail = "session"
        elif reads_others(self.context.request, cookies):
            self._detail = "cookies-read"
        elif len(getattr(self.context, "_after_request_functions", ())) > self._hooks:
            self._detail = "after-this-request"
        else:
            headers = PageHeaders(response.headers._list)
            self._detail = self._why_not_shared(response, headers) or self._why_not_kept(response)
            if self._detail is None:
                self._taken = take(response, headers)

    def _session_cookie(self) -> str:
        name: str = self.context.app.config.get("SESSION_COOKIE_NAME", "session")
        return name

    def _state(self) -> AppState | None:
        if self._place is None:
            self._place = self.policy.place()
        return None if self._place is None else self._place[0]

    def _why_not_shared(self, response: Response, headers: PageHeaders) -> str | None:
        is_authorized = "HTTP_AUTHORIZATION" in self._environ()
        return why_not_shared(response.status_code, headers, self.policy.page, is_authorized)

    def _why_not_kept(self, response: Response) -> str | None:
        state = self._state()
        return why_not_kept(response, state.pages.most_bytes if state else 0)

    # What becomes of it when the application has processed the response.

    def fail(self) -> None:
        """The response could not be processed."""
        if self._turn is not None:
            self.policy.road.fail(self._turn)
            self._turn = None

    def conclude(self, processed: Any, final: Response) -> Response:
        """The answer, after hooks and session; what may be stored of it, is.

        :param processed: the response that was given to the hooks.
        :param final: what they have made of it.
        """
        state = self._state()
        if state is None:
            return final
        says_status, front = state.pages.says_status, state.pages.front
        if self._page is not None:
            if processed is not self.response:
                # Somebody has put another response in its place.
                return final
            return self._answer_found(self._page, final, says_status, front)
        stored = self._store(processed, final, state)
        said = self._said(stored is not None)
        if stored is None:
            if says_status:
                final.headers.add("Cache-Status", said)
            return final
        taken, is_whole = self._taken, self.policy.page.in_front
        if is_whole and front is not None:
            self._learn(front)
        if is_whole or (taken and final.headers._list == list(taken.headers.kept)):
            return self._whole(final, page_answer(stored, self._environ(), says_status, said, True))
        return self._answer(final, stored, said if says_status else None)

    def _answer_found(
        self, page: Page, final: Response, says_status: bool, front: PageFront | None
    ) -> Response:
        said = None
        if self._failed_with is not None:
            ttl = page_standing(page)[1]
            said = f"flask-caching; fwd=stale; fwd-status={self._failed_with}; ttl={ttl}"
        if self.policy.page.in_front:
            if front is not None:
                self._learn(front)
            final = response_of(self.context.app, page)
        elif not is_as_it_was(final, page):
            status = dict(page_answer(page, {}, True, said)[1][-2:])
            final.headers["Age"] = status["Age"]
            return self._answer(final, page, status["Cache-Status"] if says_status else None)
        return self._whole(final, page_answer(page, self._environ(), says_status, said))

    def _environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = self.context.request.environ
        return environ

    def _store(self, processed: Any, final: Response, state: AppState) -> Page | None:
        """The page that was stored, if one was."""
        turn, policy, options = self._turn, self.policy, self.policy.page
        if turn is None:
            return None
        self._turn = None
        taken, headers = self._taken, None
        if self._detail is None and processed is not self.response:
            self._detail = "replaced"
        if self._detail is None and taken is not None:
            headers = taken.headers
            if final.headers._list != list(headers.kept) or final.status != taken.status:
                headers = PageHeaders(final.headers._list)
                self._detail = self._why_not_shared(final, headers)
            self._detail = self._detail or self._why_not_kept(final)
        if self._detail is None and self._needs_session_cookie():
            self._detail = "session"
        if (
            self._detail is None
            and options.in_front
            and reads_others(self.context.request, (*options.cookies, self._session_cookie()))
        ):
            # Hooks that came after the view are part of the page.
            self._detail = "cookies-read"
        if self._detail is None and headers is not None and headers.vary:
            self._detail = policy.learns(headers.vary)
        if self._detail is not None or headers is None or taken is None:
            self._refuse(turn)
            return None
        while_refreshed, if_error, jitter = policy.given_rules(state)
        lifetime = self._lifetime(headers, jitter)
        if lifetime < 0:
            self._detail = "stale"
            self._refuse(turn)
            return None
        if options.in_front:
            # As they are sent: nobody completes them there.
            sent = final.get_wsgi_headers(self._environ())
            self._taken = taken = take(final, PageHeaders(sent._list))
        windows = headers.windows(while_refreshed, if_error)
        page = policy.form.make(taken.status, taken.headers, taken.body, lifetime, windows)
        answered = Answered(page, lifetime, final, self._call)
        policy.road.finish(turn, answered)
        if not turn.is_stored:
            self._detail = "not-kept" if answered.has_tags else "tags"
            return None
        return page

    def _lifetime(self, headers: PageHeaders, jitter: float) -> float:
        """The seconds for which the answer is fresh; 0: for ever; negative: it is stale at once."""
        timeout = headers.freshness
        if timeout == 0:
            return -1.0
        if timeout is None:
            timeout = normalize_timeout(self.policy.wrapper.cache_timeout)
        default = getattr(self._place[1] if self._place else None, "default_timeout", 300)
        return lifetime_seconds(timeout, default, jitter)

    def _needs_session_cookie(self) -> bool:
        """Whether the session was used and its cookie is no part of the page."""
        session = session_of(self.context)
        used = session is not None and getattr(session, "accessed", False)
        return bool(used) and self._session_cookie() not in self.policy.page.cookies

    def _refuse(self, turn: Turn) -> None:
        detail = self._detail or ""
        road = self.policy.road
        road.note_refusal(detail)
        road.refuse(turn, None)
        if detail not in _USUAL:
            self.policy.note_once(
                detail,
                "The answer of %s is served but not stored: %s. See Cache-Status in the "
                "documentation of pages.",
                self.policy.name,
                detail,
            )

    def _learn(self, front: PageFront) -> None:
        front.learn(self._environ()["PATH_INFO"], self.policy.road)

    def _said(self, is_stored: bool) -> str:
        said = f"flask-caching; fwd={self._forward}"
        if is_stored:
            return f"{said}; stored"
        return said if self._detail is None else f"{said}; detail={self._detail}"

    def _whole(self, response: Response, answer: Any) -> Response:
        """The answer that stands in front of Flask, given from within."""
        status, headers, body = answer
        response.headers._list[:] = headers
        if status[:3] == "304":
            response.status = status
            response.response = []
        elif body:
            response.response = body
        return response

    def _answer(self, final: Response, page: Page, said: str | None) -> Response:
        """What hooks have made of a page, with what a cache adds; or that the client has it."""
        headers: Headers = final.headers
        if final.is_sequence:
            present = b"".join(final.iter_encoded())
            found, own = PageHeaders(headers._list), headers.get("ETag")
            identity, *others = page[RENDITIONS]
            is_same = present == identity[1]
            has_codings = (
                bool(others) and is_same and found.may_be_encoded and own in (None, identity[2])
            )
            chosen = page_rendition(page, self._environ()) if has_codings else identity
            etag = chosen[2] if is_same else None
            headers.extend(self.policy.form.added(final.status, found, present, etag, has_codings))
            if chosen is not identity:
                headers["Content-Encoding"], headers["Content-Length"] = chosen[0], len(chosen[1])
                if own is not None:
                    headers["ETag"] = chosen[2]
                final.response = [chosen[1]]
        if said is not None:
            headers.add("Cache-Status", said)
        if final.status_code == 200 and page_unchanged(
            self._environ(), headers.get("ETag"), headers.get("Last-Modified")
        ):
            final.status = "304 NOT MODIFIED"
            final.response = []
            for name in _OF_THE_BODY:
                headers.pop(name, None)
        return final
