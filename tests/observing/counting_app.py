"""The application whose requests are counted."""

from __future__ import annotations

import json
import os
from typing import Any

from flask import Flask
from flask_caching import Cache

cache = Cache()


@cache.memoize()
def function(pid: int) -> int:
    return pid


def make_app(config: dict[str, Any] | None = None) -> Flask:
    app = Flask("counted")
    app.config.update(config or json.loads(os.environ.get("COUNTED_CONFIG", "{}")))
    cache.init_app(app)

    @app.route("/")
    def view() -> str:
        return str(function(os.getpid()))

    return app
