"""``Cache.cached``: views, and functions that are cached under a key of their own."""

from __future__ import annotations

import hashlib
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from flask import Response, after_this_request, current_app, has_request_context, request, url_for
from werkzeug.exceptions import HTTPException

from .._engine import CallParts
from ..errors import UnstorableValueError
from ..keys.signature import parameters_of
from ..pages.visitors import stranger
from ..requests.context import active_method, is_debugged
from ..requests.helpers_of_pages import answers_for, layers, note_helper_of_page
from ..signals import cache_view_hit, cache_view_miss
from ..utils import query_args_as_pairs
from ..values.cached_response import CachedResponse
from ..values.http_exceptions import stand_in_for
from .policy import CallOptions, CallPolicy, Description, callable_or_none

if TYPE_CHECKING:
    from flask import Flask

    from ..cache import Cache
    from ..extension.state import AppState

__all__ = ["QueryArgs", "ViewOptions", "ViewPolicy"]

logger = logging.getLogger("flask_caching")

QueryArgs = str | Mapping[str, Any] | Iterable[tuple[str, Any]]

#: A path that could end in the digest of another view's query string or source.
_ENDS_IN_DIGEST = re.compile(r"[0-9a-f]{32,}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions(CallOptions):
    """The options of ``cached``."""

    key_prefix: Any = "view/%s"
    query_string: bool = False
    make_cache_key: Callable[..., Any] | None = None
    response_hit_indication: bool | None = False


class ViewPolicy(CallPolicy):
    """A function decorated with ``cached``."""

    signals = CallPolicy.signals | {"hits": cache_view_hit, "misses": cache_view_miss}
    is_view = True
    timed_class = CachedResponse
    kind = "view"
    #: Whether hits go the way on which they can be logged.
    _is_watched = False

    def __init__(self, cache: Cache, f: Callable[..., Any], options: ViewOptions) -> None:
        super().__init__(cache, f, options)
        self.key_prefix: str | Callable[[], str] = options.key_prefix
        self.query_string = bool(options.query_string)
        self.user_make_cache_key = callable_or_none("make_cache_key", options.make_cache_key)
        self.listens = bool(options.response_hit_indication)
        #: Whether the key is made of the request's path or query, so that the method matters.
        self._is_of_request = isinstance(self.key_prefix, str) and (
            self.query_string or "%s" in self.key_prefix
        )
        self._has_looked = False
        self.reads_request = self.user_make_cache_key is None and self._is_of_request
        parameters = parameters_of(f)
        self._parameter_names = [p.name for p in parameters]
        self._takes_any_name = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)

    # Calls.

    def parts(self) -> CallParts:
        if self.user_make_cache_key is not None:
            return CallParts.key(self.user_make_cache_key)
        if callable(self.key_prefix):
            # With a query string, the method of the request has a say as well.
            return CallParts.unknown() if self.query_string else CallParts.key(self._own_key)
        if not isinstance(self.key_prefix, str):
            return CallParts.unknown()
        return CallParts.request("%s" in self.key_prefix, self.query_string)

    def _own_key(self, *_: Any, **__: Any) -> str:
        """The key where ``key_prefix`` is a callable, which is not given the arguments."""
        return self._key(self.cache._place()[0])

    def description(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Description | None:
        custom = self._custom_make_cache_key()
        if custom is not None:
            return self._described(custom(*args, **kwargs), False)
        is_read_only = False
        if self._is_of_request or self.query_string:
            method = active_method()
            if method is None:
                self.note_once(
                    "no request",
                    "%s is not cached: it was called outside a request, and its key is made of the "
                    "request.",
                    self.name,
                )
                return None
            if self._is_of_request and method not in ("GET", "HEAD"):
                return None
            is_read_only = self._is_of_request and method == "HEAD"
        if self.reads_request and not self._has_looked:
            self._has_looked = True
            note_helper_of_page(self)
        return self._described(self._key(state), is_read_only)

    def _described(self, key: Any, is_read_only: bool) -> Description | None:
        if key is None:
            self.note_no_key()
            return None
        return Description(key, is_read_only=is_read_only)

    def note_no_key(self) -> None:
        """Warn that the application's own key is None, which all calls would share."""
        self.note_once(
            "no key",
            "%s is not cached: its %s returned None. It has to return the key; where a call is not "
            "to be cached, let unless say so.",
            self.name,
            "key_prefix" if callable(self.key_prefix) else "make_cache_key",
        )

    def _custom_make_cache_key(self) -> Callable[..., Any] | None:
        """What the application put in place of our own keys: an option, or later the attribute."""
        attribute: Callable[..., Any] = self.wrapper.make_cache_key
        if attribute != self.built_in_make_cache_key:
            return attribute
        return self.user_make_cache_key

    def _key(
        self, state: AppState, path: str | None = None, query_args: QueryArgs | None = None
    ) -> str:
        """The key of a path and query; those of the active request where they are not given."""
        prefix = self.key_prefix
        if callable(prefix):
            key = prefix()
        elif not isinstance(prefix, str):
            raise TypeError(
                f"key_prefix={prefix!r} is no key: it has to be a text, or a callable that returns "
                "one"
            )
        elif "%s" in prefix:
            path = request.path if path is None else path
            key = prefix.replace("%s", path)
            if not self.query_string and _ENDS_IN_DIGEST.search(path):
                # Otherwise it could spell the key of another view's query string.
                key = f"{key}:{hashlib.sha256(path.encode()).hexdigest()}"
        else:
            key = prefix
        hashed = self.source(state)
        if self.query_string:
            given = request.args if query_args is None else query_args
            # Sorted by name only: repeated arguments keep their order, which a view can see.
            pairs = sorted(query_args_as_pairs(given), key=lambda pair: pair[0])
            hashed = repr(tuple(pairs)) + hashed
        return key + self.digest(state, hashed).hexdigest() if hashed else key

    def digest(self, state: AppState, text: str) -> Any:
        # Given the text at once, as Flask-Caching does here: it may be a function that needs it.
        return self.hash_method_in(state)(text.encode("utf-8", "surrogatepass"))

    def make_cache_key(self, /, *args: Any, **kwargs: Any) -> str:
        """The key of the view called with these arguments.

        :param args: the view's arguments.
        :param kwargs: the view's arguments by name. ``path`` and ``query_args``, where the view
            has no arguments of these names, name the request instead, and ``use_request=True``
            the active one.
        """
        if "use_request" not in self._parameter_names and kwargs.pop("use_request", False):
            return self.key_for(request.path, None, (), {})
        path, query_args = kwargs.pop("path", None), kwargs.pop("query_args", None)
        path, query_args, kwargs = self._sort_out(path, query_args, kwargs)
        return self.key_for(path, query_args, args, kwargs)

    def key_for(
        self,
        path: str | None,
        query_args: QueryArgs | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> str:
        """The key of a request named by path and query, or by the view's arguments."""
        state, _ = self.cache._place()
        if self._is_of_request and path is None and ("%s" in str(self.key_prefix) or kwargs):
            path, query = self._path_of(args, kwargs)
            if query_args is None and query:
                query_args = query
        return self._key(state, path, query_args)

    def deletion_key(
        self, path: str | None, query_args: QueryArgs | None, kwargs: dict[str, Any]
    ) -> str:
        """The key of the entry that ``delete_cached`` names."""
        path, query_args, kwargs = self._sort_out(path, query_args, kwargs)
        custom = self._custom_make_cache_key()
        if custom is not None:
            key: str = custom(**kwargs)
            return key
        return self.key_for(path, query_args, (), kwargs)

    def _sort_out(
        self, path: Any, query_args: Any, kwargs: dict[str, Any]
    ) -> tuple[str | None, QueryArgs | None, dict[str, Any]]:
        """Tell what names the request from arguments of the view that have the same names."""
        # The path of a request begins with a slash; that of a route's variable never does.
        if path is not None and self._takes("path") and not str(path).startswith("/"):
            path, kwargs = None, {**kwargs, "path": path}
        if query_args is not None and self._takes("query_args") and not self.query_string:
            query_args, kwargs = None, {**kwargs, "query_args": query_args}
        return path, query_args, kwargs

    def _takes(self, name: str) -> bool:
        return name in self._parameter_names or self._takes_any_name

    def _path_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str]:
        """The path of the view called with these arguments, as ``request.path`` would read."""
        endpoints = self._endpoints()
        of_this_request = has_request_context() and not args and not kwargs
        if of_this_request and (request.endpoint in endpoints or self.query_string):
            return request.path, ""
        values = {**dict(zip(self._parameter_names, args, strict=False)), **kwargs}
        endpoint = endpoints[0] if endpoints else self.f.__name__
        if has_request_context():
            root = request.script_root
            if request.endpoint in endpoints:
                endpoint = request.endpoint
        else:
            root = current_app.config["APPLICATION_ROOT"].rstrip("/")
        parts = urlsplit(url_for(endpoint, **values))
        path = unquote(parts.path)
        if root and path.startswith(root + "/"):
            path = path[len(root) :]
        return path, parts.query

    def _endpoints(self) -> list[str]:
        """The endpoints of the active application that answer with this function."""
        return [
            endpoint
            for endpoint, view in current_app.view_functions.items()
            if answers_for(self, view)
        ]

    # The result of a call.

    def place(self) -> tuple[AppState, Any] | None:
        place = super().place()
        # The application may be put into debug mode after it was set up.
        if place is not None and not self._is_watched and _logs_hits(place[0]):
            self._is_watched = True
            self.cache._flags.watch()
        return place

    def signal(
        self,
        event: str,
        state: AppState,
        key: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        super().signal(event, state, key, args, kwargs)
        if event == "hits" and _logs_hits(state):
            logger.info("Cache used for key: %s", key)

    def keeps_back(self, rv: Any, reason: str) -> bool:
        if callable(self.key_prefix) or self._custom_make_cache_key() is not None:
            # The view says itself whom its answers are for.
            return False
        place = self.place()
        if place is None or place[0].store_private or not self._is_view():
            return False
        if self.judge(rv):
            self.note_once(
                "private",
                "The response of %s is served but not cached, because it is one visitor's: %s. Let "
                "its key say whose it is, with make_cache_key or a callable key_prefix; where "
                "every visitor may see it, set CACHE_STORE_PRIVATE = True.",
                self.name,
                reason,
            )
            self.road.note_refusal(reason)
        return True

    def _is_view(self) -> bool:
        """Whether it answers requests, by itself or for other views; helpers do not."""
        return has_request_context() and (self.reads_request or bool(self._endpoints()))

    def in_place_of(self, rv: Any, reason: UnstorableValueError) -> Any:
        if isinstance(rv, HTTPException):
            stand_in = stand_in_for(rv)
            if stand_in is not None:
                return stand_in
        return super().in_place_of(rv, reason)

    def hear(self, event: str) -> None:
        if event != "misses" and has_request_context() and self._is_page():
            after_this_request(partial(_indicate, "stale" if event == "stale" else "True"))

    def refresh_context(self, app: Flask) -> AbstractContextManager[Any]:
        if not has_request_context():
            return super().refresh_context(app)
        # As its environment has them: what is decoded and encoded may come out as another key.
        return visit(app, stranger(request.environ, (), ()))

    def _is_page(self) -> bool:
        """Whether it is the view of the active request, and no helper that the view has called."""
        view = current_app.view_functions.get(request.endpoint or "")
        if answers_for(self, view):
            return True
        # A decorator that hides what it decorates may be around it.
        return self.reads_request and not any(
            hasattr(one, "_flask_caching_policy") for one in layers(view)
        )


def _logs_hits(state: AppState) -> bool:
    return logger.isEnabledFor(logging.INFO) and is_debugged(state.app())


@contextmanager
def visit(app: Flask, environ: dict[str, Any]) -> Iterator[None]:
    """A request of nobody in particular, up to where its view is called.

    :raises RuntimeError: it is answered before that.
    """
    with app.request_context(environ):
        answer = app.preprocess_request()
        if answer is not None:
            raise RuntimeError("a function that runs before requests has answered it")
        yield


def _indicate(hit: str, response: Response) -> Response:
    response.headers["hit_cache"] = hit
    return response
