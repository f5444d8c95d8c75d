"""Random applications and requests: every answer is what it would be without the cache."""

from __future__ import annotations

import gzip
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, abort, g, make_response, redirect, request, session
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


def answer(kind: str, changes: Counter[str]) -> Any:
    """What a view of one kind returns: by the request, and how often its URL was changed."""
    seen = "long " * 100 * ("a" in request.args)
    url = f"{request.host}{request.script_root}{request.path}"
    seen += f"{url}|{sorted(request.args.items(multi=True))}|{changes[url]}|"
    if kind == "text":
        return seen
    if kind == "accept":
        response = make_response(seen + request.headers.get("Accept-Language", "-"))
        response.headers["Vary"] = "Accept-Language"
        return response
    if kind in READING:
        return seen + str(READING[kind]())
    if kind == "validated":
        response = make_response(seen)
        response.add_etag()
        return response.make_conditional(request)
    if kind == "by turns":
        # It depends on the second header only where the first says so.
        first = request.headers.get("X-A", "-")
        return seen + (first if first == "-" else request.headers.get("X-Forwarded-Host", "-"))
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


#: What tells visitors apart, which nobody names.
READING = {
    "header": lambda: request.headers.get("X-A"),
    "language": lambda: request.accept_languages,
    "agent": lambda: request.user_agent,
    # What follows the first dot of a session is when it was signed.
    "all": lambda: sorted((name, value.partition(".")[0]) for name, value in request.headers),
    "raw": lambda: request.headers.get("Cookie", "").partition(".")[0],
    "address": lambda: request.remote_addr,
    "hook": lambda: g.get("read"),
}
KINDS = (
    *("text", "accept", "session", "cookie", "sets", "missing", "moved", "stream", "who", "json"),
    *("validated", "by turns", *READING),
)


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
    changes: Counter[str] = Counter()
    app.config.update(CACHE_TYPE=store, CACHE_PAGES_IN_FRONT=in_front)
    app.config["CACHE_DIR"] = tempfile.mkdtemp(dir=_folder) if store == "FileSystemCache" else None
    cache = Cache(app) if options is not None else None

    def change() -> Any:
        if "a" in request.args:
            abort(400)
        changes[f"{request.host}{request.script_root}{request.path}"] += 1
        return "changed", 303 if request.method == "POST" else 200

    for number, kind in enumerate(kinds):

        def view(kind: str = kind) -> Any:
            return answer(kind, changes)

        view.__name__ = view.__qualname__ = f"view{number}"
        page = view
        if cache and options is not None:
            page = cache.page(timeout=60, in_front=in_front, **options)(view)
        app.add_url_rule(f"/{number}", f"view{number}", page, methods=["GET"])
        app.add_url_rule(f"/{number}", f"change{number}", change, methods=["POST", "DELETE"])
    if cache:
        app.add_url_rule("/forget", "forget", lambda: cache.delete_tags("all", "status 200") or "f")
    else:
        app.add_url_rule("/forget", "forget", lambda: "f")
    app.add_url_rule("/in", "in", lambda: session.update(user=request.args["user"]) or "in")

    @app.before_request
    def before() -> Any:
        if hook == "reads":
            g.read = request.headers.get("X-A")
        elif hook == "refuses" and request.headers.get("X-A") == "user=bob":
            return "no", 403
        return None

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
    st.sampled_from(["GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "DELETE"]),
    st.sampled_from([*["/0"] * 7, "/1", "/2", "/3", "/in?user=ann", "/in?user=bob", "/forget"]),
    st.sampled_from(["", "", "", "a=1", "a=1&b=2", "b=2&a=1", "a=2&a=1"]),
    st.dictionaries(
        st.sampled_from(
            [
                *("Accept-Language", "Authorization", "Cookie", "Range", "X-Forwarded-Host"),
                *("Accept-Encoding", "X-A", "User-Agent"),
            ]
        ),
        st.sampled_from(["user=ann", "user=bob", "gzip, br;q=0.5", "x-gzip, identity;q=0"]),
        max_size=2,
    ),
    st.sampled_from(["one.example", "one.example", "two.example", "one.example/mounted"]),
    st.integers(0, 1),
    # Whether the client says what it has.
    st.booleans(),
)


@pytest.mark.parametrize("in_front", [True, False])
@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=4),
    hook=st.sampled_from(["", "header", "body", "case", "reads", "refuses"]),
    options=st.sampled_from(OPTIONS),
    store=st.sampled_from(["SimpleCache", "SimpleCache", "FileSystemCache"]),
    # Few that are asked for often, so that there are hits.
    known=st.lists(REQUEST, min_size=4, max_size=4),
    order=st.lists(st.integers(0, 3), min_size=8, max_size=14),
)
def test_answers_are_those_of_the_application_without_the_cache(
    in_front: bool,
    kinds: list[str],
    hook: str,
    options: dict[str, Any],
    store: str,
    known: list[Any],
    order: list[int],
) -> None:
    clients = []
    for of_pages in (options, None):
        app = application(kinds, hook, of_pages, store, in_front)
        clients.append([app.test_client(), app.test_client()])
    had: dict[Any, Any] = {}
    for method, path, query, headers, host, visitor, is_conditional in (known[at] for at in order):
        separator = "&" if "?" in path else "?"
        url = path + (separator + query if query else "")
        etag, body = had.get((visitor, host, url), (None, None)) if is_conditional else (None, None)
        answers = []
        for visitors in clients:
            # The application itself knows only those that it has made.
            asks = etag is not None and (visitors is clients[0] or "validated" in kinds)
            answer = visitors[visitor].open(
                url,
                method=method,
                headers={**headers, "If-None-Match": etag} if asks else headers,
                base_url=f"http://{host}",
                environ_overrides={"REMOTE_ADDR": f"10.0.0.{visitor}"},
            )
            if answer.status_code == 200 and method == "GET" and visitors is clients[0]:
                had[visitor, host, url] = answer.headers.get("ETag"), plain(answer, method)
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
        if answers[0][0][:3] == "304" and answers[1][0][:3] == "200":
            assert method == "HEAD" or answers[1][3] == body
        else:
            assert answers[0] == answers[1]
