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
#: What requests keep of these once they have read them.
_KEPT = ("user_agent", "access_route")

#: And what they can read once only; what is read of cookies they note themselves.
_OF_THE_BODY = frozenset({"stream", "data", "form", "files", "values", "cookies"})


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
    return name == "_parsed_content_type" or isinstance(getattr(cls, name, None), cached_property)


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


def leave_to_hooks(request: Request, reads: HeaderReads) -> None:
    """What hooks before the view have read of the way that a request came does not count for it."""
    reads.names = reads.names - _OF_THE_WAY
    for name in _KEPT:
        request.__dict__.pop(name, None)


@functools.lru_cache(maxsize=32)
def noting_address(cls: Any) -> Any:
    """A subclass of a class of requests whose objects note that their address was read."""

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

    noting = look_alike(cls, {"remote_addr": property(read, change)})
    return noting
