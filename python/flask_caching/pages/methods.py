"""The methods of ``Cache`` that are about pages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode, urlsplit

from .._engine import PageFront, hold_flights, page_guards, page_guards_of
from .._types import Cached, Timeout
from ..calls.wrapper import wrap
from ..errors import CacheConfigError
from ..extension.known_names import KnownNames
from ..mistakes import check_decorated, check_timeout
from ..utils import query_args_as_pairs
from .options import STATUSES, PageOptions
from .policy import PagePolicy
from .processing import make_front, watch_answers
from .settings import PageSettings

if TYPE_CHECKING:
    from flask import Flask

    from ..cache import Cache
    from ..calls.view import QueryArgs

__all__ = ["Pages"]

P = ParamSpec("P")
R = TypeVar("R")

_ESCAPED = {ord(letter): f"%{ord(letter):02X}" for letter in "\t\r\n"}


def with_arguments(query: str, names: tuple[str, ...]) -> str:
    """The arguments of a query that have one of the names."""
    pairs = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    wanted = {name.encode().decode("latin-1") for name in names}
    return urlencode([pair for pair in pairs if pair[0] in wanted], encoding="latin-1")


def places_of(path: Any) -> tuple[list[tuple[str, str | None]], str]:
    """The paths that ``delete_page`` is told, as WSGI has them, each with its host if it says one;
    and the query."""
    if not isinstance(path, str):
        return [], ""
    # `urlsplit` would leave them out.
    parts = urlsplit(path.translate(_ESCAPED))
    named = [(parts.path, parts.netloc or None)]
    if path.startswith("//"):
        # What looks like a host may be a part of the path.
        named.append((f"//{parts.netloc}{parts.path}", None))
    places = [
        (unquote_to_bytes(location).decode("latin-1"), host)
        for location, host in named
        if location.startswith("/")
    ]
    return places, parts.query


def hosts_of(host: str | None) -> list[str | None]:
    """A host as it may be written: a browser sends other letters than those of ASCII encoded."""
    if host is None or host.isascii():
        return [host]
    try:
        return [host, host.encode("idna").decode()]
    except UnicodeError:
        return [host]


class Pages(KnownNames):
    """What a :class:`~flask_caching.Cache` does with whole answers."""

    #: Whether a view is decorated with `page`, and one with `in_front`.
    _has_pages = _has_pages_in_front = False

    @functools.cached_property
    def _counting(self) -> set[tuple[str, ...]]:
        """The names of the query arguments that count, of pages where not all do."""
        return set()

    def page(
        self,
        timeout: Timeout | None = None,
        *,
        query: Any = "all",
        vary: Any = (),
        cookies: Any = (),
        host: bool = True,
        scheme: bool = True,
        statuses: Any = STATUSES,
        in_front: bool = False,
        etag: bool = True,
        compress: Any = (),
        unless: Callable[..., Any] | None = None,
        single_flight: bool | None = None,
        lease: bool | None = None,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        stale_while_revalidate: float | timedelta | None = None,
        stale_if_error: float | timedelta | None = None,
        jitter: float | None = None,
    ) -> Callable[[Callable[P, R]], Cached[P, R]]:
        """Cache whole answers of a view, by the rules of HTTP.

        An answer that is one visitor's is never stored, nor one that says itself that it must not
        be: see the documentation of pages. It is to be decorated last, under the route only.

        :param timeout: seconds or a ``timedelta``; 0: for ever; None: ``CACHE_DEFAULT_TIMEOUT``.
            What the answer's own ``Cache-Control`` or ``Expires`` says goes before it.
        :param query: which query arguments are part of a page: ``"all"``, or a tuple of names.
        :param vary: names of request headers that are part of a page, beside those that the
            answer's ``Vary`` names.
        :param cookies: names of cookies that are part of a page.
        :param host: whether the host is part of a page; it is where an application routes by it.
        :param scheme: whether the scheme, http or https, is part of a page.
        :param statuses: of which statuses answers may be stored.
        :param in_front: answer before Flask is entered, so that no hook runs, such as one that
            checks a login. ``CACHE_PAGES_IN_FRONT`` has to be set.
        :param etag: whether an answer of status 200 without an ``ETag`` gets one.
        :param unless: while it returns something true, the view answers. Called with the function
            and the call's arguments if it takes any.
        :param compress: codings that answers are also kept in, of ``"br"``, ``"zstd"`` and
            ``"gzip"``, the best first; a request is answered in the one that it wants most.
        :param single_flight: as in :meth:`Cache.cached`, and so is ``lease``.
        :param tags: names, or a callable that returns them, given the answer, and the view's
            arguments if it takes more than one.
        :param stale_while_revalidate: as in :meth:`Cache.cached`; what the answer's own
            ``Cache-Control`` says goes before it, and so with ``stale_if_error``.
        :param stale_if_error: where the view raises, or answers with a status of 5xx.
        :param jitter: as in :meth:`Cache.cached`.
        :return: a decorator. The decorated view has ``uncached``, ``cache_timeout`` (which can be
            set) and ``make_cache_key``.
        :raises TypeError: an option is of a wrong type.
        :raises ValueError: an option has a value that cannot be.
        :raises CacheConfigError: ``in_front`` is true, and an application of this cache has not
            ``CACHE_PAGES_IN_FRONT``.
        """
        check_timeout(self, "page", timeout)
        options = PageOptions.of(locals())

        def decorator(f: Callable[P, R]) -> Cached[P, R]:
            check_decorated(f)
            policy = PagePolicy(cast("Cache", self), f, options)
            for state in self._states:
                app = state.app()
                if app is not None:
                    self._watch_pages(app, state.pages, options.in_front)
            # Not before: what is refused changes nothing.
            self._has_pages = True
            self._has_pages_in_front |= options.in_front
            if options.query:
                self._counting.add(options.query)
            return cast("Cached[P, R]", wrap(policy, timeout))

        return decorator

    def delete_page(
        self, path: str, query: QueryArgs | None = None, host: str | None = None
    ) -> None:
        """Forget the pages under a path, in all their variants.

        :param path: the path of the URL, as ``url_for`` gives it: with the prefix that the
            application is mounted under, and percent-encoded. A query and a host in it count as the
            other arguments.
        :param query: forget only the pages with these query arguments: a query string, a mapping,
            or pairs. Those that are no part of a page do not count. None: with any.
        :param host: forget only the pages of this host, with its port if it is not 80 or 443. None:
            of any.
        :raises ValueError: ``path`` is no path, or what is given cannot be part of a URL.
        :raises TypeError: ``query`` or ``host`` is of a wrong type.
        :raises CacheBackendError: the server cannot be asked; it is told when it can.
        """
        try:
            places, own_query = places_of(path)
        except ValueError:
            # Brackets that are no IPv6 address, or half of a surrogate pair.
            places, own_query = [], ""
        if not places:
            raise ValueError(f"a page is deleted by its path, which begins with a slash: {path!r}")
        if not isinstance(host, str | None):
            raise TypeError(f"host must be a str or None, not {host!r}")
        if not isinstance(query, str | Iterable | None):
            raise TypeError(f"query must be a str, a mapping, pairs or None, not {query!r}")
        if query is None:
            query = own_query or None
        elif not isinstance(query, str):
            query = urlencode(query_args_as_pairs(query))
        of: set[str | None] = {None}
        if query is not None:
            # As WSGI has what is not escaped.
            query = query.encode().decode("latin-1")
            of = {query, *(with_arguments(query, counting) for counting in self._counting)}
        names = {
            name
            for location, own_host in places
            for named in hosts_of(host or own_host)
            for one in of
            for name in page_guards(location, named, one)
        }
        self._delete_guards(tuple(names))

    def _delete_guards(self, names: tuple[str, ...]) -> None:
        _, backend = self._place()
        delete = functools.partial(self.delete_many, *names)
        hold_flights(self._owner_of_flights(backend), names, delete)

    def _forget_pages_of(self, environ: dict[str, Any]) -> None:
        """Forget the pages of a URL that a request has changed (RFC 9111, 4.4)."""
        state, backend = self._place()
        try:
            self._delete_guards(page_guards_of(environ))
        except Exception as error:
            state.failed(backend, error, "storing", "the pages of a URL")

    def _watch_pages(self, app: Flask, settings: PageSettings, in_front: bool) -> None:
        """Let pages see the answers of an application.

        :param in_front: whether one of them is in front of it.
        """
        watch_answers(app, cast("Cache", self))
        if in_front and settings.front is None:
            raise CacheConfigError(
                "a page has in_front=True, which answers before any hook of the application runs: "
                f"set CACHE_PAGES_IN_FRONT = True for the application {app.name!r} to allow it"
            )

    def _make_front(self, app: Flask, says_status: bool) -> PageFront:
        try:
            earlier = self._states[app].pages.front
        except KeyError:
            earlier = None
        return make_front(app, cast("Cache", self), says_status, earlier)

    def _set_up_pages(self, app: Flask, config: dict[str, Any]) -> PageSettings:
        """What an application says about pages, which are put in front of it where it says so."""
        settings = PageSettings(
            most_bytes=config["CACHE_PAGE_MAX_BYTES"],
            says_status=bool(config["CACHE_STATUS_HEADER"]),
        )
        if config["CACHE_PAGES_IN_FRONT"]:
            settings.front = self._make_front(app, settings.says_status)
        if self._has_pages:
            self._watch_pages(app, settings, self._has_pages_in_front)
        return settings
