"""The application of both sides. It does not know that it is watched, and has a dashboard where the
package that caches for it brings one.

Its database is slow: a query takes as long as its route says. ``X-Computed`` says how many queries
an answer took; none, where the cache had it.
"""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from flask_caching import Cache

FOLDER = Path(os.environ["LABORATORY_FOLDER"])
QUERY = 0.03
COLD_QUERY = 1.0


def settings() -> dict[str, Any]:
    """Redis where there is a server, otherwise files; everything else as it is by default, but for
    the one setting that lets one of all processes compute, where the package has it."""
    general = {"CACHE_KEY_PREFIX": f"{FOLDER.name}:", "CACHE_LEASE": True}
    redis = os.environ.get("LABORATORY_REDIS_PORT")
    if redis is None:
        return {**general, "CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(FOLDER / "cache")}
    return {**general, "CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": int(redis)}


app = Flask("shop")
cache = Cache(app, config=settings())
if importlib.util.find_spec("flask_caching.dashboard"):
    from flask_caching import dashboard

    app.register_blueprint(
        # By any other name, another site may have led a browser here.
        dashboard.blueprint(cache, authorize=lambda: request.host.startswith("127.0.0.1:")),
        url_prefix="/_cache",
    )


def query(seconds: float) -> None:
    """A query of the database."""
    g.queries = g.get("queries", 0) + 1
    time.sleep(seconds)


@app.after_request
def say_what_it_took(response: Response) -> Response:
    """In headers: the queries of this answer, and the process that gave it."""
    response.headers["X-Computed"] = str(g.get("queries", 0))
    response.headers["X-Worker"] = str(os.getpid())
    return response


@app.get("/products/<int:number>")
@cache.cached(timeout=8)
def product(number: int) -> str:
    """A page of the shop, cached for some seconds."""
    query(QUERY)
    return f"Product {number}\n"


@app.get("/cold/<name>")
@cache.cached(timeout=60)
def cold(name: str) -> str:
    """A page that nobody has asked for yet, and that takes its time."""
    query(COLD_QUERY)
    return f"{name}\n"


def price_file(article: str) -> Path:
    """Where the database has a price."""
    return FOLDER / f"price-{article}"


@cache.memoize(timeout=60)
def offer(article: str) -> str:
    """The price as it is when the computation begins."""
    path = price_file(article)
    price = path.read_text() if path.exists() else "10"
    query(COLD_QUERY)
    return price


@app.get("/offers/<article>")
def show_offer(article: str) -> str:
    """The price that visitors see."""
    return offer(article)


@app.post("/offers/<article>/<int:price>")
def change_offer(article: str, price: int) -> str:
    """Change a price, and delete what was computed of the old one."""
    price_file(article).write_text(str(price))
    cache.delete_memoized(offer, article)
    return "changed"
