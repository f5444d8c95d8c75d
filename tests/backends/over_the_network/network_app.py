"""An application for the tests of processes: each page names who asked for it.

``TEST_CACHE`` has the configuration of its cache, in JSON.
"""

import json
import os

from flask import Flask, request
from flask_caching import Cache

app = Flask("processes")
app.config.update(json.loads(os.environ["TEST_CACHE"]), CACHE_KEY_PREFIX="processes_")
cache = Cache(app)

with app.app_context():
    # Before the workers are forked there is a connection.
    cache.set("made in", os.getpid())
    made_in = cache.get("made in")


@app.get("/page/<who>")
@cache.cached(timeout=1, query_string=True)
def page(who: str) -> str:
    cache.inc("count")
    return f"page of {who}"


@app.get("/value/<who>")
def value(who: str) -> str:
    cache.set(f"value of {who}", who * 100)
    return str(cache.get(f"value of {who}"))


@app.get("/pid")
def pid() -> str:
    return f"{os.getpid()} {made_in} {request.environ['wsgi.multiprocess']}"
