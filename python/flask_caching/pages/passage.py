"""The way of one request from a page's view to the answer that leaves the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._engine import MISSING, PageFront, page_answer, page_unchanged, timeout_seconds
from ..calls.context import session_of
from ..utils import normalize_timeout
from .rules import freshness, tokens, why_not_stored
from .stored import (
    Page,
    Taken,
    added_headers,
    headers_of,
    is_as_it_was,
    page_of,
    response_of,
    take,
)

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers
    from werkzeug.wrappers import Response

    from .._engine import Turn
    from .policy import PagePolicy

__all__ = ["Passage", "passage_of"]

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


class Passage:
    """One request on its way.

    :param policy: what is said of its page.
    :param context: the context of the request.
    """

    response: Any = None
    _turn: Turn | None = None
    _page: Page | None = None
    _taken: Taken | None = None
    _forward = "uri-miss"
    _detail: str | None = None

    def __init__(self, policy: PagePolicy, context: Any) -> None:
        self.policy = policy
        self.context = context
        self._hooks = len(getattr(context, "_after_request_functions", ()))
        setattr(context, _MARK, self)

    # What became of it in the view's place.

    def forward(self, why: str, detail: str | None) -> None:
        """The view answers, and its answer is not stored."""
        self._forward, self._detail = why, detail

    def hit(self, page: Page, response: Response) -> None:
        """It was answered from the cache."""
        self._page, self.response = page, response

    def miss(self, turn: Turn, response: Response, uses_session: bool) -> None:
        """The view has answered."""
        self._turn, self.response = turn, response
        cookies = self.policy.page.cookies
        names_session = self._session_cookie() in cookies
        if uses_session and not names_session:
            self._detail = "session"
        elif "cookies" in self.context.request.__dict__ and not cookies:
            # Also where it found none: who has some would get this answer.
            self._detail = "cookies-read"
        elif len(getattr(self.context, "_after_request_functions", ())) > self._hooks:
            self._detail = "after-this-request"
        else:
            self._detail = self._why_not(response)
        if self._detail is None:
            self._taken = take(response)

    def _session_cookie(self) -> str:
        name: str = self._app().config.get("SESSION_COOKIE_NAME", "session")
        return name

    def _app(self) -> Any:
        state = self.policy.place()
        assert state is not None
        return state[0].app()

    def _why_not(self, response: Response) -> str | None:
        place = self.policy.place()
        most = place[0].pages.most_bytes if place else 0
        is_authorized = "HTTP_AUTHORIZATION" in self.context.request.environ
        return why_not_stored(response, self.policy.page, is_authorized, most)

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
        state = self.policy.place()
        if state is None:
            return final
        settings = state[0].pages
        if self._page is not None:
            if processed is not self.response:
                # Somebody has put another response in its place.
                return final
            page = self._page
            if self.policy.page.in_front:
                if settings.front is not None:
                    self._learn(settings.front)
                return self._whole(response_of(self._app(), page), page, settings.says_status)
            if is_as_it_was(final, page):
                return self._whole(final, page, settings.says_status)
            status = dict(page_answer(page, {}, True)[1][-2:])
            return self._answer(final, page[4], page[5], status, settings.says_status)
        stored = self._store(processed, final, state, settings.front)
        status = {"Cache-Status": self._said(stored is not None)}
        if stored is not None:
            return self._answer(final, stored[4], stored[5], status, settings.says_status)
        if settings.says_status:
            final.headers.add("Cache-Status", status["Cache-Status"])
        return final

    def _store(
        self, processed: Any, final: Response, place: Any, front: PageFront | None
    ) -> Page | None:
        """The page that was stored, if one was."""
        turn, policy, options = self._turn, self.policy, self.policy.page
        if turn is None:
            return None
        self._turn = None
        if self._detail is None and processed is not self.response:
            self._detail = "replaced"
        if self._detail is None:
            self._detail = self._why_not(final)
        if self._detail is None and self._needs_session_cookie():
            self._detail = "session"
        if self._detail is None:
            self._detail = policy.learns(tokens(final.headers.getlist("Vary")))
        timeout = freshness(final, normalize_timeout(policy.wrapper.cache_timeout))
        if self._detail is None and timeout is MISSING:
            self._detail = "stale"
        if self._detail is not None:
            self._refuse(turn)
            return None
        default = getattr(place[1], "default_timeout", 300)
        seconds = timeout_seconds(default if timeout is None else timeout)
        if seconds < 0:
            self._detail = "stale"
            self._refuse(turn)
            return None
        taken = take(final) if options.in_front else self._taken
        assert taken is not None
        page = page_of(taken, options, seconds)
        policy.road.finish(turn, (page, timeout))
        if options.in_front and front is not None:
            self._learn(front)
        return page

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
        front.learn(self.context.request.environ["PATH_INFO"], self.policy.road)

    def _said(self, is_stored: bool) -> str:
        said = f"flask-caching; fwd={self._forward}"
        if is_stored:
            return f"{said}; stored"
        return said if self._detail is None else f"{said}; detail={self._detail}"

    def _whole(self, response: Response, page: Page, says_status: bool) -> Response:
        """The answer that stands in front of Flask, given from within."""
        status, headers, _ = page_answer(page, self.context.request.environ, says_status)
        response.headers = headers_of(headers)
        if status != page[1]:
            response.status = status
            response.response = []
        return response

    def _answer(
        self, final: Response, body: bytes, etag: str, said: dict[str, str], says_status: bool
    ) -> Response:
        """The answer with what a cache adds, or that the client has it."""
        present = b"".join(final.iter_encoded()) if final.is_sequence else None
        is_same = present == body
        headers: Headers = final.headers
        if present is not None:
            added, etag = added_headers(
                headers, final.status, present, self.policy.page, etag if is_same else None
            )
            headers.extend(added)
        if "Age" in said:
            headers["Age"] = said["Age"]
        if says_status:
            headers.add("Cache-Status", said["Cache-Status"])
        if final.status_code == 200 and page_unchanged(
            self.context.request.environ, headers.get("ETag"), headers.get("Last-Modified")
        ):
            final.status = "304 NOT MODIFIED"
            final.response = []
            for name in _OF_THE_BODY:
                headers.pop(name, None)
        return final
