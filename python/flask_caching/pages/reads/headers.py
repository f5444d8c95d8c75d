"""Which headers of its request a view and the hooks before it have read, and its address."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from werkzeug.utils import cached_property

from ..._engine import HeaderReads, header_reads
from ...requests.look_alike import look_alike
from .arguments import note_query
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
    "watch_own",
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
#: Where a request has what of its application's own properties it kept before the view began, what
#: hooks had read of the way that it came, and whether they had read its address.
_BEFORE = "_flask_caching_before"
#: Where it has the names of its application's own properties, and of those of which nobody knows
#: what they were made of.
_OWN = "_flask_caching_own"
_UNKNOWN = "_flask_caching_unknown"
#: Where it has that its address was read before the view began.
_ADDRESS = "_flask_caching_address"


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
    members = (vars(base).get(name) for base in cls.__mro__)
    return name == "_parsed_content_type" or any(isinstance(it, _KEEPING) for it in members)


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
    keeping = (
        name
        for base in cls.__mro__
        for name, member in vars(base).items()
        if isinstance(member, _KEEPING)
    )
    return frozenset(keeping) - _OF_THE_BODY - _OF_THE_URL


@functools.lru_cache(maxsize=32)
def _own_of(cls: Any) -> Set[str]:
    """Those that neither Flask nor Werkzeug has."""
    return frozenset(name for name in kept_by(cls) if _is_own(getattr(cls, name)))


def _is_own(member: Any) -> bool:
    made = getattr(member, "fget", None) or getattr(member, "func", None)
    module = getattr(made, "__module__", None) or ""
    is_keeping = isinstance(member, _KEEPING)
    return is_keeping and module.partition(".")[0] not in ("flask", "werkzeug")


def watch_own(request: Request) -> None:
    """Have a request note what hooks make its application's own properties of, if it has any."""
    cls: Any = type(request)
    own = _own_of(cls)
    if not own:
        return
    attributes = request.__dict__
    # What it keeps already, it has made unseen.
    attributes[_OWN], attributes[_UNKNOWN] = own, set(own & attributes.keys())
    try:
        object.__setattr__(request, "__class__", _noting_own(cls))
    except Exception:
        # Its class allows none.
        attributes[_UNKNOWN] = set(own)


def leave_to_hooks(request: Request, reads: HeaderReads) -> None:
    """What was read before the view of the way that a request came does not count for it, unless
    the view asks for what was made of that."""
    way = reads.names & _OF_THE_WAY
    reads.names = reads.names - _OF_THE_WAY
    attributes = request.__dict__
    cls: Any = type(request)
    own = attributes.get(_OWN, frozenset())
    if own:
        attributes[_BEFORE] = (own & attributes.keys(), way, attributes.get(_ADDRESS, False))
    for name in (attributes.keys() & kept_by(cls)) - own:
        if not isinstance(getattr(cls, name), _KEEPING) or _is_made_again(request, name):
            del attributes[name]
        else:
            # Somebody has put something else in its place, made of nobody knows what.
            reads.note_all()


def _is_made_again(request: Request, name: str) -> bool:
    """Whether what a request keeps is what it would make again."""
    kept = request.__dict__.pop(name)
    try:
        with aside(request):
            made = getattr(request, name)
        return type(made) is type(kept) and _is_equal(made, kept)
    except Exception:
        return False
    finally:
        request.__dict__[name] = kept


def _is_equal(made: Any, kept: Any) -> bool:
    has_same = getattr(made, "__dict__", None) == getattr(kept, "__dict__", None)
    if isinstance(made, (list, tuple, dict, set, frozenset, str)):
        return bool(made == kept) and has_same
    return bool(made == kept) or (has_same and bool(getattr(made, "__dict__", None)))


@functools.lru_cache(maxsize=32)
def noting_address(cls: Any) -> Any:
    """A subclass of a class of requests whose objects note that their address was read."""

    def note(self: Any) -> None:
        # A copy of the request has its headers, too.
        reads = header_reads(self)
        if reads is not None:
            reads.note_address()

    return _with_address(cls, note, {})


@functools.lru_cache(maxsize=32)
def _noting_own(cls: Any) -> Any:
    """A subclass whose objects note, also for hooks, that their address was read, and what of its
    application's own properties was made before the view began."""

    def note(self: Any) -> None:
        self.__dict__[_ADDRESS] = True

    return _with_address(
        cls, note, {name: _noting(name, getattr(cls, name)) for name in _own_of(cls)}
    )


def _with_address(cls: Any, note: Callable[[Any], None], members: dict[str, Any]) -> Any:
    def read(self: Any) -> Any:
        note(self)
        # An application may have made it a property of its own.
        is_property = hasattr(cls, "remote_addr")
        return super(noting, self).remote_addr if is_property else self.__dict__["remote_addr"]

    def change(self: Any, address: Any) -> None:
        own: Any = getattr(cls, "remote_addr", None)
        if hasattr(own, "__set__"):
            own.__set__(self, address)
        else:
            self.__dict__["remote_addr"] = address

    noting = look_alike(cls, {**members, "remote_addr": property(read, change)})
    return noting


def _noting(name: str, keeping: Any) -> property:
    """A property of the application's own, which notes that its view asks for what was made
    before."""

    def read(self: Any) -> Any:
        attributes = self.__dict__
        if name in attributes and _BEFORE in attributes:
            before, way, address = attributes[_BEFORE]
            reads = header_reads(self)
            if reads is not None and name in before:
                reads.names = reads.names | way
                if address:
                    reads.note_address()
                if name in attributes[_UNKNOWN]:
                    reads.note_all()
                note_query(self)
        return attributes[name] if name in attributes else keeping.__get__(self, type(self))

    def change(self: Any, value: Any) -> None:
        attributes = self.__dict__
        if _BEFORE not in attributes:
            attributes[_UNKNOWN].add(name)
        if hasattr(keeping, "__set__"):
            keeping.__set__(self, value)
        else:
            attributes[name] = value

    def forget(self: Any) -> None:
        if name not in self.__dict__:
            raise AttributeError(name)
        del self.__dict__[name]

    return property(read, change, forget)
