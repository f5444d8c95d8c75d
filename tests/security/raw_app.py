"""Pages that say all that a request lets the application see, as servers run them."""

from __future__ import annotations

from flask import Flask, request
from flask_caching import Cache

app = Flask("raw")
app.config.update(CACHE_TYPE="SimpleCache", CACHE_PAGES_IN_FRONT=True)
cache = Cache(app)


def seen(rest: str = "") -> str:
    """What another request must not be answered with."""
    visible = (request.scheme, request.host, request.full_path, request.get_data(as_text=True))
    return "|".join((*visible, "end"))


for name, is_in_front in (("front", True), ("place", False)):
    page = cache.page(timeout=60, in_front=is_in_front)(seen)
    app.add_url_rule(f"/{name}", name, page)
    app.add_url_rule(f"/{name}/<path:rest>", f"{name}_below", page)
