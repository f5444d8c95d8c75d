"""The options of ``cache.page``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..calls.options import CallOptions

__all__ = ["STATUSES", "PageOptions"]

#: The statuses whose answers may be stored: those that are heuristically cacheable (RFC 9110,
#: 15.1), but for the ones that depend on more than the URL.
STATUSES = (200, 203, 204, 300, 301, 308, 404, 410)
#: What is an answer to a conditional or partial request: right for that request alone.
_NEVER = frozenset({206, 304})
#: RFC 9110, 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions(CallOptions):
    """The options of one page, as :meth:`flask_caching.Cache.page` documents them."""

    query: Any = "all"
    vary: Any = ()
    cookies: Any = ()
    host: bool = True
    scheme: bool = True
    statuses: Any = STATUSES
    in_front: bool = False
    etag: bool = True
    compress: Any = ()

    def __post_init__(self) -> None:
        query = None if self.query == "all" else _names("query", self.query)
        object.__setattr__(self, "query", query)
        for name in ("vary", "cookies"):
            given = _names(name, getattr(self, name))
            for one in given:
                if not _TOKEN.match(one):
                    raise ValueError(f"{name} has {one!r}, which is no name of a {_OF[name]}")
            object.__setattr__(self, name, given)
        if any(name.lower() == "cookie" for name in self.vary):
            raise ValueError(
                "vary has 'Cookie', and every visitor has other cookies: name those that count, "
                "with cookies=('...',)"
            )
        if "*" in self.vary:
            raise ValueError(
                "vary has '*', by which no two requests could share a page: name the headers that "
                "count"
            )
        object.__setattr__(self, "statuses", _statuses(self.statuses))
        object.__setattr__(self, "compress", _codings(self.compress))
        for name in ("host", "scheme", "in_front", "etag"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, not {getattr(self, name)!r}")
        CallOptions.__post_init__(self)
        if self.in_front and self.unless is not None:
            raise ValueError(
                "in_front=True answers before Flask is entered, where unless cannot be asked: "
                "leave out one of them"
            )


_CODINGS = ("br", "zstd", "gzip")
_OF = {"vary": "header", "cookies": "cookie"}


def _names(option: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        extra = " or 'all'" if option == "query" else ""
        raise TypeError(f"{option} has to be a tuple of names{extra}, not {given!r}")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{option} has {name!r}, which is no name")
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(f"{option} has {name!r}, which no request can have")
    return names


def _codings(given: Any) -> tuple[str, ...]:
    codings = _names("compress", given)
    for coding in codings:
        if coding not in _CODINGS:
            raise ValueError(f"compress has {coding!r}: it has to be of 'br', 'zstd' and 'gzip'")
    if len(set(codings)) < len(codings):
        raise ValueError(f"compress has a coding twice: {codings!r}")
    return codings


def _statuses(given: Any) -> frozenset[int]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"statuses has to be a tuple of numbers, not {given!r}")
    statuses = frozenset(given)
    if not statuses:
        raise ValueError("statuses is empty, so that nothing could be stored: name at least one")
    for status in statuses:
        if type(status) is not int or not 200 <= status <= 599 or status in _NEVER:
            raise ValueError(
                f"statuses has {status!r}: it has to be a status from 200 to 599, and neither 206 "
                "nor 304, which answer one request alone"
            )
    return statuses
