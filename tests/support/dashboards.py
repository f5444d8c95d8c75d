"""An application with a dashboard, for the tests of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_caching import Cache, dashboard
from werkzeug.serving import WSGIRequestHandler, make_server

__all__ = ["Shop", "press", "serving"]


class Shop:
    """An application with a memoized function, a view, and a dashboard under ``/_cache``."""

    def __init__(self, config: dict[str, Any] | None = None, **options: Any) -> None:
        self.app = Flask("shop")
        self.cache = Cache(self.app, config=config or {"CACHE_TYPE": "SimpleCache"})
        self.computed = 0
        self.price = self.cache.memoize(300)(self._price())
        self.app.get("/")(self.cache.cached(300)(self.front))
        options.setdefault("authorize", lambda: True)
        self.app.register_blueprint(
            dashboard.blueprint(self.cache, **options), url_prefix="/_cache"
        )

    def _price(self) -> Any:
        def price(product: int) -> int:
            self.computed += 1
            return product * 3

        price.__qualname__ = "price"
        return price

    @staticmethod
    def front() -> str:
        return "Welcome."

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()


def press(client: FlaskClient, path: str, asked: Any, **headers: str) -> Any:
    """What the page does for a button: a request with the token that it was given."""
    token = client.get("/_cache/data").get_json()["token"]
    return client.post(f"/_cache/{path}", json=asked, headers={"X-Cache-Token": token, **headers})


class _OneAnswer(WSGIRequestHandler):
    """A connection for each request: older Werkzeugs go on with one that is open when they end."""

    protocol_version = "HTTP/1.0"


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve an application on loopback; the address of its dashboard."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_OneAnswer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/_cache/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
