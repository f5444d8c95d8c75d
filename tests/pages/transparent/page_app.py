"""An application with pages, as servers run it; ``TEST_PAGES`` has its settings."""

from __future__ import annotations

import json
import os
from typing import Any

from flask import Flask, Response, jsonify, make_response, request
from flask_caching import Cache

app = Flask("served")
app.config.update(json.loads(os.environ["TEST_PAGES"]), CACHE_PAGES_IN_FRONT=True)
cache = Cache(app)
runs = 0


def view(**_: Any) -> str:
    """Another text for each run, in any process."""
    global runs
    runs += 1
    return f"{os.getpid()}.{runs} " + "word " * 500


for name, options in {
    "place": {},
    "front": {"in_front": True},
    "zip": {"in_front": True, "compress": ("gzip",)},
}.items():
    page = cache.page(timeout=60, **options)(view)  # type: ignore[arg-type]
    app.add_url_rule(f"/{name}", name, page)


@app.post("/front")
def change() -> str:
    return "changed"


@app.get("/unstored")
@cache.page(timeout=60)
def unstored() -> Response:
    return Response(f"{part}," for part in range(1000))


@app.get("/latin")
@cache.page(timeout=60, in_front=True)
def latin() -> Response:
    response = make_response(b"caf\xc3\xa9 \x00\xff")
    response.headers["X-Name"] = "caf\u00e9"
    response.headers.add("X-Twice", "1")
    response.headers.add("X-Twice", "2")
    return response


#: For each request: its path, whether its client had an answer, and the status.
log: list[tuple[str, bool, str]] = []


@app.get("/log")
def show_log() -> Response:
    return jsonify(log)


def logged(inner: Any) -> Any:
    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: Any, error: Any = None) -> Any:
            log.append((environ["PATH_INFO"], "HTTP_IF_NONE_MATCH" in environ, status[:3]))
            return start_response(status, headers, error)

        return inner(environ, start)

    return answer


app.wsgi_app = logged(app.wsgi_app)  # type: ignore[method-assign]


@app.get("/pid")
def pid() -> str:
    return f"{os.getpid()} {request.host}"
