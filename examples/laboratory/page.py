"""The page of the laboratory."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask_caching.dashboard
from flask import Flask, Response, abort, jsonify, redirect, request, send_file
from flask.typing import ResponseReturnValue
from werkzeug.serving import WSGIRequestHandler, make_server

from laboratory.experiments import Experiments
from laboratory.load import RATE, Load
from laboratory.processes import CacheServer

OWN = Path(__file__).parent / "static"
VENDORED = Path(flask_caching.dashboard.__file__).parent / "static"
ASSETS = {
    "base.css": VENDORED,
    "base.js": VENDORED,
    "lab.css": OWN,
    "lab.js": OWN,
    "uplot.css": VENDORED,
    "uplot.js": VENDORED,
    "icon.svg": VENDORED,
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The page asks once a second."""


def make_page(loads: Sequence[Load], server: CacheServer | None, gallery: str) -> Flask:
    """The application that shows both sides, and presses the buttons.

    :param loads: both sides'.
    :param server: the cache server; None: there is none.
    :param gallery: the address of the gallery.
    """
    app = Flask("laboratory", static_folder=None)
    _guard(app)
    _add_links(app, loads, gallery)
    experiments = Experiments(loads, server)
    said: deque[dict[str, Any]] = deque(maxlen=20)

    @app.get("/")
    def page() -> Response:
        return send_file(OWN / "lab.html")

    @app.get("/assets/<name>")
    def asset(name: str) -> Response:
        return send_file(ASSETS[name] / name) if name in ASSETS else abort(404)

    @app.get("/state")
    def state() -> Response:
        sides = [
            {"name": load.side.name, "title": load.side.title, **load.figures()} for load in loads
        ]
        return jsonify(
            sides=sides,
            server=None if server is None else server.state,
            rate=RATE,
            said=list(said),
        )

    @app.post("/press/<button>")
    def press(button: str) -> Response:
        # No other site can send this header without being asked first.
        if request.headers.get("X-Laboratory") != "button":
            abort(403)
        came = experiments.press(button)
        if came is None:
            abort(404)
        state = None if server is None else server.state
        said.appendleft({"button": button, "came": came, "server": state})
        return jsonify(came=came)

    return app


def _guard(app: Flask) -> None:
    """Answer this machine only, and say what a browser may make of the answers."""

    @app.before_request
    def check_host() -> None:
        # A name that another site makes lead here is not this page's.
        if request.host.partition(":")[0] not in ("127.0.0.1", "localhost"):
            abort(403)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _add_links(app: Flask, loads: Sequence[Load], gallery: str) -> None:
    """Lead to what the sides show themselves."""

    @app.get("/dashboard")
    def to_dashboard() -> ResponseReturnValue:
        return redirect(f"http://127.0.0.1:{loads[-1].side.port}/_cache/")

    @app.get("/gallery")
    def to_gallery() -> ResponseReturnValue:
        return redirect(gallery)

    @app.get("/log/<name>")
    def log(name: str) -> Response:
        for load in loads:
            if load.side.name == name:
                head = f"{load.side.title}: the newest requests, as they were answered\n\n"
                return Response(head + "\n".join(load.log()), mimetype="text/plain")
        return abort(404)


@contextmanager
def served(app: Flask, listener: socket.socket) -> Iterator[None]:
    """Serve the page while the block runs.

    :param listener: where.
    """
    host, port = listener.getsockname()
    server = make_server(
        host, port, app, threaded=True, request_handler=_Quiet, fd=listener.fileno()
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
