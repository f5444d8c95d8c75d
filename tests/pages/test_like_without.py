"""Random applications and requests: every answer is what it would be without the cache."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, abort, make_response, redirect, request, session
from flask_caching import Cache
from hypothesis import given, settings
from hypothesis import strategies as st

#: Where the files of all applications are.
_folder = Path()

#: What a cache adds, and what a client is told of it. `Vary` is compared by the names it has.
ADDED = {"Age", "Date", "ETag", "Cache-Status", "Vary", "Content-Encoding", "Content-Length"}


@pytest.fixture(scope="module", autouse=True)
def _has_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _folder
    _folder = tmp_path_factory.mktemp("files")


def answer(kind: str) -> Any:
    """What a view of one kind returns; it depends on nothing but the request."""
    seen = "long " * 100 * ("a" in request.args)
    seen += f"{request.host}|{request.path}|{sorted(request.args.items(multi=True))}"
    if kind == "text":
        return seen
    if kind == "accept":
        response = make_response(seen + request.headers.get("Accept-Language", "-"))
        response.headers["Vary"] = "Accept-Language"
        return response
    if kind == "session":
        return seen + session.get("user", "-")
    if kind == "cookie":
        return seen + request.cookies.get("user", "-")
    if kind == "sets":
        response = make_response(seen)
        response.set_cookie("user", "x")
        return response
    if kind == "missing":
        abort(404, description=seen)
    if kind == "moved":
        return redirect(f"/elsewhere?{len(request.args)}", 301)
    if kind == "stream":
        return Response(part for part in (seen, "."))
    if kind == "who":
        return seen + request.headers.get("Authorization", "-")
    return {"seen": seen}, 203, [("X-A", "1"), ("X-B", "2"), ("X-A", "3")]


KINDS = ("text", "accept", "session", "cookie", "sets", "missing", "moved", "stream", "who", "json")


def tags_of(response: Response) -> list[str]:
    return [f"status {response.status_code}", str(response.mimetype)]


#: Options that change nothing of what is answered, but for the coding.
OPTIONS: list[dict[str, Any]] = [
    {},
    {"compress": ("br", "gzip")},
    {"tags": tags_of},
    {"tags": ("all",), "stale_while_revalidate": 30, "stale_if_error": 60, "jitter": 0.5},
    {"lease": True, "compress": ("gzip",), "tags": tags_of, "stale_if_error": 60},
    {"etag": False, "vary": ("Accept-Language",), "cookies": ("user", "session")},
]


def application(
    kinds: list[str], hook: str, options: dict[str, Any] | None, store: str, in_front: bool
) -> Flask:
    app = Flask("random")
    app.secret_key = "secret"
    app.config.update(CACHE_TYPE=store, CACHE_PAGES_IN_FRONT=in_front)
    app.config["CACHE_DIR"] = tempfile.mkdtemp(dir=_folder) if store == "FileSystemCache" else None
    cache = Cache(app) if options is not None else None
    for number, kind in enumerate(kinds):

        def view(kind: str = kind) -> Any:
            return answer(kind)

        view.__name__ = view.__qualname__ = f"view{number}"
        page = view
        if cache and options is not None:
            page = cache.page(timeout=60, in_front=in_front, **options)(view)
        app.add_url_rule(f"/{number}", f"view{number}", page, methods=["GET"])
    if cache:
        app.add_url_rule("/forget", "forget", lambda: cache.delete_tags("all", "status 200") or "f")
    else:
        app.add_url_rule("/forget", "forget", lambda: "f")
    app.add_url_rule("/in", "in", lambda: session.update(user=request.args["user"]) or "in")

    @app.after_request
    def after(response: Response) -> Response:
        if hook == "header":
            response.headers.add("X-Hook", "1")
        elif hook == "body" and response.status_code == 200 and response.is_sequence:
            response.set_data(response.get_data() + b"!")
        elif hook == "case" and response.status_code == 200 and response.is_sequence:
            response.set_data(response.get_data().swapcase())
        return response

    return app


def plain(answer: Any, method: str) -> bytes:
    """The body of an answer, out of its coding."""
    coding = answer.headers.get("Content-Encoding")
    assert (
        coding is None
        or method == "HEAD"
        or answer.headers["Content-Length"] == str(len(answer.data))
    )
    data: bytes = answer.data
    return gzip.decompress(data) if coding == "gzip" and data else data


REQUEST = st.tuples(
    st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
    st.sampled_from(["/0", "/1", "/2", "/3", "/in?user=ann", "/in?user=bob", "/forget"]),
    st.sampled_from(["", "a=1", "a=1&b=2", "b=2&a=1", "a=2&a=1"]),
    st.dictionaries(
        st.sampled_from(
            [
                *("Accept-Language", "Authorization", "Cookie", "Range", "X-Forwarded-Host"),
                "Accept-Encoding",
            ]
        ),
        st.sampled_from(["user=ann", "user=bob", "gzip, br;q=0.5", "x-gzip, identity;q=0"]),
        max_size=2,
    ),
    st.sampled_from(["one.example", "two.example"]),
    st.integers(0, 1),
)


@pytest.mark.parametrize("in_front", [True, False])
@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=4),
    hook=st.sampled_from(["", "header", "body", "case"]),
    options=st.sampled_from(OPTIONS),
    store=st.sampled_from(["SimpleCache", "SimpleCache", "FileSystemCache"]),
    requests=st.lists(REQUEST, min_size=1, max_size=12),
)
def test_answers_are_those_of_the_application_without_the_cache(
    in_front: bool,
    kinds: list[str],
    hook: str,
    options: dict[str, Any],
    store: str,
    requests: list[Any],
) -> None:
    clients = []
    for of_pages in (options, None):
        app = application(kinds, hook, of_pages, store, in_front)
        clients.append([app.test_client(), app.test_client()])
    for method, path, query, headers, host, visitor in requests:
        separator = "&" if "?" in path else "?"
        answers = []
        for visitors in clients:
            answer = visitors[visitor].open(
                path + (separator + query if query else ""),
                method=method,
                headers=headers,
                base_url=f"http://{host}",
            )
            # What follows the first dot of a session is when it was signed.
            kept = [
                (name, value.partition(".")[0] if name == "Set-Cookie" else value)
                for name, value in answer.headers
                if name not in ADDED
            ]
            vary = {name.strip() for name in answer.headers.get("Vary", "").split(",") if name}
            vary -= {"Accept-Encoding", *options.get("vary", ())}
            if "cookies" in options:
                vary.discard("Cookie")
            answers.append((answer.status, kept, vary, plain(answer, method)))
        assert answers[0] == answers[1]
