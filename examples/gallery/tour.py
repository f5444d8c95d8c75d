"""A tour through the gallery: every page twice over HTTP, and what the cache did."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Page:
    """A page of the tour and what is expected of its second request."""

    path: str
    does: str
    hit: bool
    again: str | None = None  # where the second request asks for another URL than the first
    same_body: bool = False  # where the whole page comes from the cache
    before: str | None = None  # a POST between the two requests


PAGES = [
    Page("/", "whole page cached", hit=True, same_body=True),
    Page("/rooms/rabbit", "fresh page, memoized picture", hit=True),
    Page("/rooms/dragon", "same function, other arguments", hit=True),
    Page(
        "/detail?x=0.1&zoom=6",
        "cached by query string, any order",
        hit=True,
        again="/detail?zoom=6&x=0.1",
        same_body=True,
    ),
    Page("/guestbook", "fresh greeting, cached fragment", hit=True),
    Page("/api/rooms", "JSON cached", hit=True, same_body=True),
    Page(
        "/rooms/rabbit",
        "picture deleted before the second request",
        hit=False,
        before="/rooms/rabbit/repaint",
    ),
    Page("/uncached", "no cache, to compare with", hit=False),
]


@dataclass(frozen=True)
class Visit:
    """One answer: what came, how long it took, and whether anything was painted for it."""

    status: int
    body: bytes
    seconds: float
    hit: bool


class Visitor:
    """An HTTP client with a new connection for each request: any of the workers may answer it."""

    def __init__(self, address: str) -> None:
        self._host = urlsplit(address).netloc

    def request(self, method: str, path: str) -> tuple[http.client.HTTPResponse, bytes]:
        """The response to one request, and its whole body."""
        with closing(http.client.HTTPConnection(self._host, timeout=30)) as connection:
            connection.request(method, path)
            response = connection.getresponse()
            return response, response.read()

    def _painted(self) -> int:
        count = json.loads(self.request("GET", "/painted")[1])["painted"]
        assert isinstance(count, int)
        return count

    def visit(self, path: str) -> Visit:
        """Request ``path``. It was a hit if no picture was painted for it."""
        painted = self._painted()
        start = time.perf_counter()
        response, body = self.request("GET", path)
        seconds = time.perf_counter() - start
        hit = self._painted() == painted
        indicated = response.headers.get("hit_cache")
        if indicated is not None and not hit:
            raise AssertionError(f"{path}: the header says hit_cache, but a picture was painted")
        return Visit(response.status, body, seconds, hit)


def complaints(page: Page, first: Visit, second: Visit) -> list[str]:
    """What is wrong with the answers, in words."""
    wrong = [
        f"{page.path}: status {visit.status}" for visit in (first, second) if visit.status != 200
    ]
    if second.hit != page.hit:
        wrong.append(f"{page.path}: the second request was a {_word(second)}")
    if page.same_body and first.body != second.body:
        wrong.append(f"{page.path}: the second answer differs from the first")
    return wrong


def _word(visit: Visit) -> str:
    return "hit" if visit.hit else "miss"


def run(address: str) -> list[str]:
    """Print the table; what was wrong is returned, an empty list where all went well."""
    line = "{:<22} {:<42} {:>13} {:>14}   {}"
    print(line.format("Page", "What it does", "First request", "Second request", "Second was a"))
    print("-" * 110)
    visitor = Visitor(address)
    wrong: list[str] = []
    hits: list[float] = []
    for page in PAGES:
        first = visitor.visit(page.path)
        if page.before:
            visitor.request("POST", page.before)
        second = visitor.visit(page.again or page.path)
        times = [f"{visit.seconds * 1000:.1f} ms" for visit in (first, second)]
        print(line.format(page.path, page.does, *times, _word(second)))
        wrong += complaints(page, first, second)
        if second.hit and not first.hit:
            hits.append(first.seconds / second.seconds)
    if hits:
        print(
            f"\nA hit was {min(hits):.0f} to {max(hits):.0f} times as fast as the miss before it."
        )
    return wrong
