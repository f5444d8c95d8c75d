"""Which headers of its request a view and the hooks before it have read, and its address."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from werkzeug.utils import cached_property

from ...requests.look_alike import look_alike
from .cookies import cookies_aside

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

__all__ = ["HeaderReads", "aside", "begin_view", "end_view", "header_reads", "note_header_reads"]

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

_ADDRESS = "_flask_caching_address"


class HeaderReads:
    """The environment of a request in its ``headers``, which notes what is read of it.

    :param environ: the environment.
    """

    #: The names that were read, as an environment has them.
    names: Set[str] = frozenset()
    #: How often all were.
    times_all = 0
    #: Whether any was, or the address.
    has_some = False
    #: Whether a view has begun.
    has_begun = False

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    def __getitem__(self, name: str) -> Any:
        self.names, self.has_some = {*self.names, name}, True
        return self.environ[name]

    def items(self) -> Any:
        self.times_all, self.has_some = self.times_all + 1, True
        return self.environ.items()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.environ, name)

    def why_not_shared(self, request: Request) -> str | None:
        """Why an answer that depends on what was read is for nobody else; None: it may be."""
        # Reading `cookies` reads all headers, the first time; what is read of them is noted there.
        if self.times_all and self.times_all > ("cookies" in request.__dict__):
            return "headers-read"
        if "HTTP_COOKIE" in self.names:
            return "cookies-read"
        if any(name in self.environ for name in self.names & _CONDITIONS):
            return "condition-read"
        if "stream" in request.__dict__ and _had_body(request):
            return "request-body"
        return "address-read" if _ADDRESS in request.__dict__ else None

    def that_count(self) -> Set[str]:
        """The names of the headers that an answer depends on, as its view has read them."""
        return self.names - _NEVER if self.names else self.names

    def that_count_with_hooks(self) -> Set[str]:
        """The names of the headers that it depends on where hooks after the view read some."""
        return self.names - _NEVER - _OF_THE_WAY if self.names else self.names


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


def note_header_reads(request: Request) -> None:
    """Let a request note from now on which of its headers are read."""
    attributes: Any = getattr(request.headers, "__dict__", None)
    environ = request.environ
    if attributes and attributes.get("environ") is environ:
        attributes["environ"] = HeaderReads(environ)


def header_reads(request: Request) -> HeaderReads | None:
    """What was read of a request's headers, where it notes that."""
    found = getattr(request.headers, "environ", None)
    return found if type(found) is HeaderReads else None


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


def begin_view(request: Request, reads: HeaderReads | None) -> Any:
    """What the view of a request reads counts, whatever it is, other than with hooks before it.

    :return: for :func:`end_view`.
    """
    if reads is None:
        return None
    if reads.names and not reads.has_begun:
        reads.names = reads.names - _OF_THE_WAY
        for name in _KEPT:
            request.__dict__.pop(name, None)
    # What answers its error goes on where it has ended.
    reads.has_begun = True
    cls: Any = type(request)
    try:
        request.__class__ = _noting_address(cls)
    except TypeError:
        # Its class allows none.
        return None
    return cls


def end_view(request: Request, cls: Any) -> None:
    """The view of a request has run."""
    if cls is not None:
        request.__class__ = cls


@functools.lru_cache(maxsize=32)
def _noting_address(cls: Any) -> Any:
    """A subclass of a class of requests whose objects note that their address was read."""

    def read(self: Any) -> Any:
        attributes = self.__dict__
        attributes[_ADDRESS] = True
        reads = header_reads(self)
        if reads is not None:
            reads.has_some = True
        if "remote_addr" in attributes:
            return attributes["remote_addr"]
        return super(noting, self).remote_addr

    def change(self: Any, address: Any) -> None:
        self.__dict__["remote_addr"] = address

    noting = look_alike(cls, {"remote_addr": property(read, change)})
    return noting
