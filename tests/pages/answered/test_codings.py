"""Pages in other codings."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from typing import Any

import pytest
from flask import Response, make_response
from paged import Paged

ALL = ("br", "zstd", "gzip")
TEXT = "the same words over and over, " * 200


def long(run: int) -> str:
    return f"run {run} {TEXT}"


def with_headers(*headers: tuple[str, str]) -> Callable[[int], Response]:
    def view(run: int) -> Response:
        response = make_response(long(run))
        for header in headers:
            response.headers.add(*header)
        return response

    return view


def ask(paged: Paged, accept: str | None, **headers: str) -> Any:
    asked = headers if accept is None else {"Accept-Encoding": accept, **headers}
    return paged.get(headers=asked)


@pytest.mark.parametrize("in_front", [True, False])
def test_each_request_gets_what_it_wants_and_the_view_runs_once(
    store: dict[str, Any], in_front: bool
) -> None:
    paged = Paged(long, store, compress=ALL, in_front=in_front)
    bodies, tags = {}, set()
    wanted = {
        "gzip": "gzip",
        "gzip, deflate, br, zstd": "br",
        "gzip, zstd;q=0.9": "gzip",
        "zstd": "zstd",
        "deflate": None,
        "identity, *;q=0.1": None,
        "gzip;q=0": None,
        "*": "br",
        None: None,
    }
    # Twice: the first of them fills the cache.
    for _ in range(2):
        for accept, coding in wanted.items():
            answer = ask(paged, accept)
            assert answer.headers.get("Content-Encoding") == coding
            assert answer.headers["Content-Length"] == str(len(answer.data))
            assert answer.headers.getlist("Vary") == ["Accept-Encoding"]
            assert bodies.setdefault(coding, answer.data) == answer.data
            tags.add((coding, answer.headers["ETag"]))
    assert paged.runs == 1
    assert len(tags) == len({tag for _, tag in tags}) == 4
    assert gzip.decompress(bodies["gzip"]) == bodies[None]
    assert len(bodies["br"]) < len(bodies["gzip"]) < len(bodies[None]) // 10


@pytest.mark.parametrize("in_front", [True, False])
def test_conditions_and_head_are_of_the_coding(in_front: bool) -> None:
    paged = Paged(long, {"CACHE_PAGES_IN_FRONT": True}, compress=ALL, in_front=in_front)
    plain, zipped = ask(paged, None), ask(paged, "gzip")
    for answer, accept in ((plain, None), (zipped, "gzip")):
        etag = answer.headers["ETag"]
        unchanged = ask(paged, accept, **{"If-None-Match": etag})
        assert (unchanged.status_code, unchanged.data) == (304, b"")
        assert unchanged.headers["ETag"] == etag
        assert unchanged.headers["Vary"] == "Accept-Encoding"
        assert "Content-Encoding" not in unchanged.headers
        other = "gzip" if accept is None else None
        assert ask(paged, other, **{"If-None-Match": etag}).status_code == 200
    head = paged.client.head("/page", headers={"Accept-Encoding": "gzip"})
    assert head.data == b""
    for name in ("Content-Encoding", "Content-Length", "ETag"):
        assert head.headers[name] == zipped.headers[name]
    assert paged.runs == 1


@pytest.mark.parametrize(
    "header",
    [
        ("Content-Encoding", "identity"),
        ("Cache-Control", "max-age=60, no-transform"),
        ("Content-MD5", "x"),
        ("Repr-Digest", "x"),
    ],
)
@pytest.mark.parametrize("in_front", [True, False])
def test_what_must_not_be_changed_is_left_alone(header: tuple[str, str], in_front: bool) -> None:
    settings = {"CACHE_PAGES_IN_FRONT": True}
    paged = Paged(with_headers(header), settings, compress=ALL, in_front=in_front)
    for _ in range(2):
        answer = ask(paged, "gzip")
        assert answer.data.decode() == long(1)
        assert "Vary" not in answer.headers


@pytest.mark.parametrize("body", [b"x" * 255, os.urandom(5000), b""])
def test_what_is_short_or_gets_no_smaller_is_left_alone(body: bytes) -> None:
    paged = Paged(lambda run: body, compress=ALL)
    for _ in range(2):
        answer = ask(paged, "gzip, br, zstd")
        assert answer.data == body
        assert not {"Content-Encoding", "Vary"} & set(answer.headers.keys())


@pytest.mark.parametrize(
    ("own", "zipped"), [('"own"', '"own-gzip"'), ('W/"own"', 'W/"own"'), ("own", "own")]
)
def test_an_own_entity_tag_is_of_one_coding(own: str, zipped: str) -> None:
    paged = Paged(with_headers(("ETag", own), ("X-After", "1")), compress=("gzip",))
    for _ in range(2):
        assert ask(paged, None).headers.getlist("ETag") == [own]
        answer = ask(paged, "gzip")
        assert answer.headers.getlist("ETag") == [zipped]
        names = [name for name, _ in answer.headers]
        assert names.index("ETag") < names.index("X-After")


def test_headers_that_hooks_add_stay_and_so_does_a_changed_body() -> None:
    paged = Paged(long, compress=ALL)
    change = False

    @paged.app.after_request
    def after(response: Response) -> Response:
        response.headers.add("X-Hook", "1")
        if change:
            response.set_data(b"changed" + response.get_data())
        return response

    for _ in range(2):
        answer = ask(paged, "gzip")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.data).decode() == long(1)
        assert answer.headers["Content-Length"] == str(len(answer.data))
        assert answer.headers.getlist("X-Hook") == ["1"]
        assert answer.headers["Vary"] == "Accept-Encoding"
    zipped = answer.headers["ETag"]
    assert ask(paged, "gzip", **{"If-None-Match": zipped}).status_code == 304
    change = True
    answer = ask(paged, "gzip", **{"If-None-Match": zipped})
    assert answer.data.decode() == "changed" + long(1)
    assert "Content-Encoding" not in answer.headers


def test_a_hook_that_compresses_has_the_last_word() -> None:
    paged = Paged(long, compress=("gzip",))

    @paged.app.after_request
    def after(response: Response) -> Response:
        if "gzip" in str(response.headers.get("Vary")):
            raise AssertionError
        response.set_data(gzip.compress(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
        return response

    for _ in range(2):
        answer = ask(paged, "gzip")
        assert answer.headers.getlist("Content-Encoding") == ["gzip"]
        assert gzip.decompress(answer.data).decode() == long(1)


def test_a_range_is_of_the_body_as_it_is() -> None:
    paged = Paged(long, compress=ALL)
    ask(paged, "gzip")
    answer = ask(paged, "gzip", Range="bytes=0-3")
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Cache-Status"].endswith("fwd=bypass; detail=range")


def test_deletions_reach_all_codings() -> None:
    paged = Paged(long, compress=ALL, tags=("one",))
    ask(paged, "gzip")
    paged.cache.delete_tags("one")
    assert gzip.decompress(ask(paged, "gzip").data).decode() == long(2)


@pytest.mark.parametrize("in_front", [True, False])
def test_the_own_vary_is_kept(in_front: bool) -> None:
    settings = {"CACHE_PAGES_IN_FRONT": True}
    view = with_headers(("Vary", "Accept-Encoding"))
    paged = Paged(view, settings, compress=("gzip",), in_front=in_front)
    for _ in range(3):
        answer = ask(paged, "gzip")
        assert answer.headers.getlist("Vary") == ["Accept-Encoding"]
    assert answer.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("gzip", TypeError),
        (("deflate",), ValueError),
        (("br", "br"), ValueError),
        ((1,), TypeError),
    ],
)
def test_bad_codings_are_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="compress"):
        Paged(compress=given)
