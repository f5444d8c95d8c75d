"""Fail unless the installed package answers a request from the cache."""

import sys

try:
    from flask import Flask
    from flask_caching import Cache
except ImportError as error:
    sys.exit(f"the package cannot be imported by {sys.executable}: {error}")

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
calls: list[int] = []


@app.get("/")
@cache.cached(timeout=60)
def index() -> str:
    calls.append(1)
    return "ready"


client = app.test_client()
answers = [client.get("/").text for _ in range(2)]
if answers != ["ready", "ready"]:
    sys.exit(f"the installed package does not work: the view answered {answers}")
if len(calls) != 1:
    sys.exit(f"the installed package does not cache: the view ran {len(calls)} times, not once")
