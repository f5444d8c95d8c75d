"""Which headers of its request a view and the hooks before it have read, and its address."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from werkzeug.utils import cached_property

from ..._engine import HeaderReads, header_reads
from ...requests.look_alike import look_alike
from .cookies import cookies_aside

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

__all__ = [
    "aside",
    "kept_by",
    "leave_to_hooks",
    "noting_address",
    "that_count",
    "that_count_with_hooks",
    "why_not_shared",
]

#: What is part of every page, or decided by the cache, or keeps a request away from it.
_NEVER = frozenset(
    {
        *("HTTP_HOST", "HTTP_AUTHORIZATION", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"),
        *("HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE", "HTTP_RANGE"),
        *("HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH"),
    }
)
#: Of those, what says what a client has: where a view answers by it, it does so to that client.
_CONDITIONS = frozenset({"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_RANGE"})
#: What says only which way a request came, and by which program: hooks note it, whatever
#: they let the view see.
_OF_THE_WAY = frozenset(
    {
        *("HTTP_USER_AGENT", "HTTP_REFERER", "HTTP_VIA", "HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR"),
        *("HTTP_X_REAL_IP", "HTTP_CF_CONNECTING_IP", "HTTP_TRUE_CLIENT_IP", "HTTP_X_REQUEST_ID"),
        *("HTTP_REQUEST_ID", "HTTP_X_CORRELATION_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE"),
        *("HTTP_BAGGAGE", "HTTP_B3", "HTTP_X_B3_TRACEID", "HTTP_X_B3_SPANID", "HTTP_X_B3_SAMPLED"),
        *("HTTP_X_B3_PARENTSPANID", "HTTP_X_AMZN_TRACE_ID", "HTTP_X_CLOUD_TRACE_CONTEXT"),
        "HTTP_SENTRY_TRACE",
    }
)
#: What requests can read once only; what is read of cookies they note themselves.
_OF_THE_BODY = frozenset({"stream", "data", "form", "files", "values", "cookies"})
#: What they keep that is made of no header but the host.
_OF_THE_URL = frozenset(
    {
        *("args", "full_path", "script_root", "root_path", "query_string", "url", "base_url"),
        *("url_root", "root_url", "host_url", "host"),
    }
)
#: What properties make once, and keep.
_KEEPING = (cached_property, functools.cached_property)
#: Where a request has what it kept before its view began, of properties that are the application's
#: own, and what hooks had read of the way that it came.
_BEFORE = "_flask_caching_before"
#: What tells the address of a visitor.
_ADDRESS = frozenset({"remote_addr", "access_route"})


def why_not_shared(reads: HeaderReads, request: Request) -> str | None:
    """Why an answer that depends on what was read of a request is for nobody else; None: it may
    be."""
    # Reading `cookies` reads all headers, the first time; what is read of them is noted there.
    if reads.times_all and reads.times_all > ("cookies" in request.__dict__):
        return "headers-read"
    names = reads.names
    if "HTTP_COOKIE" in names:
        return "cookies-read"
    if any(name in request.environ for name in names & _CONDITIONS):
        return "condition-read"
    if "stream" in request.__dict__ and _had_body(request):
        return "request-body"
    return "address-read" if reads.has_address else None


def that_count(reads: HeaderReads) -> Set[str]:
    """The names of the headers that an answer depends on, as its view has read them."""
    return reads.names - _NEVER


def that_count_with_hooks(reads: HeaderReads) -> Set[str]:
    """The names of the headers that it depends on where hooks after the view read some."""
    return reads.names - _NEVER - _OF_THE_WAY


def _had_body(request: Request) -> bool:
    """Whether something was found in a body whose length its request does not say."""
    if not request.environ.get("wsgi.input_terminated"):
        return False
    attributes = request.__dict__
    data = attributes.get("_cached_data")
    if data is not None:
        return bool(data)
    # Who has read it himself may have found anything.
    return "form" not in attributes or bool(attributes["form"] or attributes["files"])


def _is_kept_by(cls: type, name: str) -> bool:
    """Whether requests of a class make an attribute once, when it is first asked for."""
    return name == "_parsed_content_type" or isinstance(getattr(cls, name, None), _KEEPING)


@contextmanager
def aside(request: Request) -> Iterator[None]:
    """What is read meanwhile decides only whether the cache is asked."""
    reads = header_reads(request)
    if reads is None:
        yield
        return
    names, times = reads.names, reads.times_all
    known = set(request.__dict__)
    has_cookies = "cookies" in known
    with cookies_aside(request):
        yield
    for name in request.__dict__.keys() - known:
        # Or the view would find what it is made of without reading that.
        if name not in _OF_THE_BODY and _is_kept_by(type(request), name):
            del request.__dict__[name]
    reads.names, reads.times_all = names, times + ("cookies" in request.__dict__) - has_cookies


@functools.lru_cache(maxsize=32)
def kept_by(cls: Any) -> Set[str]:
    """The names of what requests of a class make of their headers, and keep."""
    names = {name for base in cls.__mro__ for name in vars(base)} - _OF_THE_BODY - _OF_THE_URL
    return frozenset(name for name in names if isinstance(getattr(cls, name, None), _KEEPING))


def leave_to_hooks(request: Request, reads: HeaderReads) -> None:
    """What was read before the view of the way that a request came does not count for it, unless
    the view asks for what was made of that."""
    way = reads.names & _OF_THE_WAY
    reads.names = reads.names - _OF_THE_WAY
    attributes = request.__dict__
    cls: Any = type(request)
    own = set()
    for name in attributes.keys() & kept_by(cls):
        if _is_own(getattr(cls, name)):
            own.add(name)
        elif _is_made_again(request, name):
            del attributes[name]
        else:
            # Somebody has put something else in its place, made of nobody knows what.
            reads.note_all()
    if own:
        attributes[_BEFORE] = (own, way)


def _is_own(keeping: Any) -> bool:
    """Whether a property is neither Flask's nor Werkzeug's."""
    made = getattr(keeping, "fget", None) or getattr(keeping, "func", None)
    return getattr(made, "__module__", "").partition(".")[0] not in ("flask", "werkzeug")


def _is_made_again(request: Request, name: str) -> bool:
    """Whether what a request keeps is what it would make again."""
    kept = request.__dict__.pop(name)
    try:
        with aside(request):
            made = getattr(request, name)
    except Exception:
        made = None
    request.__dict__[name] = kept
    return type(made) is type(kept) and (
        made == kept or vars(made) == vars(kept) if hasattr(made, "__dict__") else made == kept
    )


@functools.lru_cache(maxsize=32)
def noting_address(cls: Any) -> Any:
    """A subclass of a class of requests whose objects note that their address was read, or what was
    made of it, or of their headers, before the view began."""

    def read(self: Any) -> Any:
        attributes = self.__dict__
        # A copy of the request has its headers, too.
        reads = header_reads(self)
        if reads is not None:
            reads.note_address()
        if "remote_addr" in attributes:
            return attributes["remote_addr"]
        return super(noting, self).remote_addr

    def change(self: Any, address: Any) -> None:
        self.__dict__["remote_addr"] = address

    own = (name for name in kept_by(cls) if _is_own(getattr(cls, name)))
    members = {name: _noting_kept(name, getattr(cls, name)) for name in own}
    noting = look_alike(cls, {**members, "remote_addr": property(read, change)})
    return noting


def _noting_kept(name: str, keeping: Any) -> property:
    """A property of the application's own, which notes that it is asked for what was made before
    the view began."""
    made = getattr(keeping, "fget", None) or getattr(keeping, "func", None)
    names = getattr(getattr(made, "__code__", None), "co_names", ())
    tells_address = not _ADDRESS.isdisjoint(names)

    def read(self: Any) -> Any:
        attributes = self.__dict__
        if name not in attributes:
            return keeping.__get__(self, type(self))
        before, way = attributes.get(_BEFORE, ((), frozenset()))
        reads = header_reads(self) if name in before else None
        if reads is not None:
            reads.names = reads.names | way
            if tells_address:
                reads.note_address()
        return attributes[name]

    def change(self: Any, value: Any) -> None:
        self.__dict__[name] = value

    def forget(self: Any) -> None:
        self.__dict__.pop(name, None)

    return property(read, change, forget)
