"""The way of one request from a page's view to the answer that leaves the application."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flask import Response as PlainResponse
from werkzeug.datastructures import Headers

from .._engine import (
    PageHeaders,
    PagePassage,
    PageView,
    page_answer,
    page_is_found_by_all,
    page_is_in,
    page_rendition,
    page_standing,
    page_unchanged,
)
from ..requests.context import SESSION, session_of
from ..requests.sessions import PLAIN_SESSIONS
from ..utils import normalize_timeout
from .made import model_of
from .reads import (
    kept_by,
    leave_to_hooks,
    noting_address,
    reads_others,
    that_count,
    that_count_with_hooks,
    why_not_shared,
)
from .rules import keeps_nothing
from .sent import completes_itself, send, sending_class, twin
from .stored import RENDITIONS, response_of

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from .._engine import PageFront, Turn
    from ..extension.state import AppState
    from .policy import PagePolicy
    from .settings import PageSettings
    from .stored import Page

__all__ = ["MARK", "Passage", "page_view_of", "passage_of"]

#: Which headers are about a body, and not sent without one.
_OF_THE_BODY = (
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
)

#: What is no reason to warn.
_USUAL = frozenset({"status", "vary-learned", "not-kept"})

#: Where a context keeps the page that answers its request.
MARK = "_flask_caching_page"


def passage_of(context: Any) -> Passage | None:
    """The page that answers the request of a context, if one does."""
    return getattr(context, MARK, None)


def page_view_of(policy: PagePolicy) -> PageView:
    """What all requests to the view of a page have in common."""
    session = (SESSION, PLAIN_SESSIONS)
    in_front = policy.page.in_front
    hooks = (kept_by, leave_to_hooks)
    return PageView(policy, in_front, session, hooks, noting_address, sending_class, model_of)


class Passage(PagePassage):
    """One request on its way. What is usual about it is done natively."""

    __slots__ = ()

    # What became of it in the view's place.

    def go_by(self, why: str, detail: str | None) -> None:
        """The view answers; where there is a ``detail``, its answer is not stored."""
        self.forward, self.detail = why, detail

    def hit(self, page: Page) -> Response:
        """It was answered from the cache."""
        self.page = page
        response = self.response = response_of(self.app.response_class, page)
        return response

    def fall_back(self, page: Page, status: int) -> Response:
        """The view has failed, and an old page is the answer."""
        self.failed_with = status
        return self.hit(page)

    def abort(self, error: BaseException, turn: Turn, call: Any) -> None:
        """The view has raised an error that is an answer, or that the application has one to."""
        self.error, self.turn, self.call = error, turn, call

    def waits_for(self, error: Any) -> bool:
        """Whether what answers an error is the page."""
        return error is not None and error is self.error

    def aborted(self) -> tuple[Turn, Any]:
        """The turn and the arguments of a view that was aborted, whose error is answered now."""
        turn, self.error, self.turn = self.turn, None, None
        assert turn is not None
        return turn, self.call

    def miss(self, context: Any, turn: Turn, response: Response, call: Any) -> None:
        """The view has answered.

        :param context: the context of the request.
        :param call: the view's arguments, and those by name.
        """
        if not self.take(context, turn, response, call):
            self._look_closer(context, response)

    def _look_closer(self, context: Any, response: Response) -> None:
        policy, request, reads = self.policy, self.request, self.reads
        attributes = request.__dict__
        if reads is not None:
            self.read = that_count(reads) or None
        if self.uses_session and self._session_cookie() not in policy.page.cookies:
            self.detail = "session"
        elif self.uses_query:
            self.detail = "query-read"
        elif not self.notes_reads:
            # Somebody has put others in their place.
            self.detail = "headers-read"
        elif "cookies" in attributes and reads_others(request, policy.page.cookies):
            self.detail = "cookies-read"
        elif (
            reads is not None
            and (reads.has_some or "stream" in attributes)
            and (why := why_not_shared(reads, request))
        ):
            self.detail = why
        elif self.has_new_hooks(context):
            self.detail = "after-this-request"
        elif self.state is not None:
            taken: Any = policy.form.take(response, self.environ, self.state.pages.most_bytes)
            if type(taken) is str:
                self.detail = taken
                return
            self.said = taken
            if type(response) is not self.app.response_class and completes_itself(response):
                # What it is made of again does not complete it as this one does.
                taken = taken.with_headers(response.get_wsgi_headers(self.environ)._list)
            self.taken = taken

    def _session_cookie(self) -> str:
        name: str = self.app.config.get("SESSION_COOKIE_NAME", "session")
        return name

    def note_session(self) -> None:
        """Hooks or the view have used the session."""
        is_open = self.turn is not None and self.detail is None
        if is_open and self._session_cookie() not in self.policy.page.cookies:
            self.detail = "session"

    # What becomes of it when the application has processed the response.

    def fail(self) -> None:
        """The response could not be processed."""
        if self.turn is not None:
            self.policy.road.fail(self.turn)
            self.turn = None

    def conclude(self, context: Any, processed: Any, final: Response) -> Response:
        """The answer, after hooks and session; what may be stored of it, is.

        :param context: the context of the request.
        :param processed: the response that was given to the hooks.
        :param final: what they have made of it.
        """
        state = self.state
        if state is None:
            return final
        if not isinstance(final.headers, Headers):
            # Nobody can say anything in them.
            self.fail()
            return final
        if self.page is None:
            return self._conclude_miss(context, processed, final, state)
        if processed is not self.response:
            # Somebody has put another response in its place.
            return final
        return self._conclude_hit(self.page, final, state.pages)

    def _conclude_hit(self, page: Page, final: Response, settings: PageSettings) -> Response:
        said = None
        if self.failed_with is not None:
            ttl = page_standing(page)[1]
            said = f"flask-caching; fwd=stale; fwd-status={self.failed_with}; ttl={ttl}"
        if not page_is_in(page, final):
            if not self.policy.page.in_front:
                status = dict(page_answer(page, {}, True, said)[1][-2:])
                final.headers["Age"] = status["Age"]
                shown = status["Cache-Status"] if settings.says_status else None
                return self._answer(final, page, shown)
            final = response_of(self.app.response_class, page)
        if self.policy.page.in_front and completes_itself(final):
            # It would be completed twice.
            final = response_of(PlainResponse, page)
        self._learn(settings.front)
        answer = page_answer(page, self.environ, settings.says_status, said)
        return send(final, answer, page, self.environ)

    def _conclude_miss(
        self, context: Any, processed: Any, final: Response, state: AppState
    ) -> Response:
        settings, taken, turn = state.pages, self.taken, self.turn
        is_same = taken is not None and taken.is_in(final)
        page = None
        if not self.is_made or final is not self.response:
            # What the view has returned it may have kept, and return again.
            final = twin(final)
        if turn is not None:
            if self.detail is None:
                self.detail = self._why_not_stored(context, turn, processed, final, is_same)
            if self.detail is None and is_same and self.land(final):
                return final
            if self.detail is None:
                try:
                    page = self._store(turn, final, state)
                except Exception as error:
                    self.policy.stand_aside("timeout", error)
                    self.detail = "timeout"
            self.turn = None
            if page is None and turn.is_open:
                self._refuse(turn)
        said = self._status_of_miss(page is not None)
        if page is None:
            self._vary(final)
            if settings.says_status:
                final.headers.add("Cache-Status", said)
            return final
        self._learn(settings.front)
        if completes_itself(final) or not (is_same or self.policy.page.in_front):
            return self._answer(final, page, said if settings.says_status else None)
        answer = page_answer(page, self.environ, settings.says_status, said, True)
        return send(final, answer, page, self.environ)

    def _vary(self, final: Response) -> None:
        """Say of an answer that is not stored by what headers others of its URL differ."""
        policy = self.policy
        if policy.varies and self.forward != "method":
            found = PageHeaders(final.headers._list)
            # Another answer to HEAD than to GET would be none.
            has_codings = bool(policy.page.compress) and found.may_be_encoded
            has_codings = has_codings and self.environ.get("REQUEST_METHOD") == "HEAD"
            final.headers.extend(policy.form.added("", found, b"", None, has_codings))

    def _store(self, turn: Turn, final: Response, state: AppState) -> Page | None:
        """The page that was stored, if one was; otherwise ``_detail`` says why."""
        made = self._make(final, state)
        if made is None:
            return None
        if self.policy.road.finish_page(turn, *made):
            return made[0]
        self.detail = "not-kept"
        return None

    def _why_not_stored(
        self, context: Any, turn: Turn, processed: Any, final: Response, is_same: bool
    ) -> str | None:
        if processed is not self.response:
            return "replaced"
        if not is_same:
            assert self.state is not None
            most_bytes = self.state.pages.most_bytes
            said: Any = self.policy.form.take(final, self.environ, most_bytes)
            if type(said) is str:
                return said
            self.said = said
        cookies = self.policy.page.cookies
        session = session_of(context)
        if (
            session is not None
            and getattr(session, "accessed", False)
            and self._session_cookie() not in cookies
        ):
            return "session"
        if self.policy.page.in_front:
            # Hooks that came after the view are part of the page.
            if reads_others(self.request, (*cookies, self._session_cookie())):
                return "cookies-read"
            reads = self.reads
            if reads is not None:
                if why := why_not_shared(reads, self.request):
                    return why
                self.read = (self.read or frozenset()) | that_count_with_hooks(reads)
            if self.arguments is not None and self.arguments.end():
                return "query-read"
        vary = self.said.vary if self.said is not None else ()
        if not vary and not self.read:
            return None
        is_found = page_is_found_by_all(self.policy.road, turn, self.app_name, self.environ)
        return self.policy.learns(vary, self.read or frozenset()) or (
            None if is_found else "vary-learned"
        )

    def _make(self, final: Response, state: AppState) -> tuple[Page, float, tuple[str, ...]] | None:
        """The page of an answer, for how many seconds it is fresh, and the keys of its tags; None
        where it is not stored, of which ``_detail`` says why."""
        policy, taken, said, backend = self.policy, self.taken, self.said, self._backend()
        assert taken is not None
        assert said is not None
        if keeps_nothing(backend):
            self.detail = "not-kept"
            return None
        if policy.page.in_front:
            # As it is sent: nobody completes it there.
            taken = said.with_headers(final.get_wsgi_headers(self.environ)._list)
        timeout = policy.wrapper.cache_timeout
        if type(timeout) is not int:
            timeout = normalize_timeout(timeout)
        timeouts = (timeout, getattr(backend, "default_timeout", 300))
        made = policy.form.make(taken, said, timeouts, policy.given_rules(state))
        if made is None:
            self.detail = "stale"
            return None
        tags = policy.tags_of(final, self.call) if policy.asks_tags else ()
        if tags is None:
            self.detail = "tags"
            return None
        return (*made, tags)

    def _backend(self) -> Any:
        cache = self.policy.cache
        return cache.cache if cache._chooses_backend else self.app.extensions["cache"][cache]

    def _refuse(self, turn: Turn) -> None:
        detail = self.detail or ""
        road = self.policy.road
        road.note_refusal(detail)
        road.refuse(turn, None)
        self.note(detail, logging.INFO if detail in _USUAL else logging.WARNING)

    def note(self, why: str, level: int = logging.INFO) -> None:
        """Say once in the log why an answer is not stored."""
        self.policy.note_once(
            why,
            "The answer of %s is served but not stored: %s. See Cache-Status in the "
            "documentation of pages.",
            self.policy.name,
            why,
            level=level,
        )

    def _learn(self, front: PageFront | None) -> None:
        if front is not None and self.policy.page.in_front:
            front.learn(self.environ["PATH_INFO"], self.policy.road)

    def _status_of_miss(self, is_stored: bool) -> str:
        said = f"flask-caching; fwd={self.forward}"
        if is_stored:
            return f"{said}; stored"
        return said if self.detail is None else f"{said}; detail={self.detail}"

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
            chosen = page_rendition(page, self.environ) if has_codings else identity
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
            self.environ, headers.get("ETag"), headers.get("Last-Modified")
        ):
            final.status = "304 NOT MODIFIED"
            final.response = []
            for name in _OF_THE_BODY:
                headers.pop(name, None)
        return final
