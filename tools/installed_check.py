"""Fail unless the installed package answers a request from the cache."""

from flask import Flask
from flask_caching import Cache

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
calls: list[int] = []


@app.get("/")
@cache.cached(timeout=60)
def index() -> str:
    calls.append(1)
    return "ready"


client = app.test_client()
assert client.get("/").text == client.get("/").text == "ready"
assert len(calls) == 1, f"the view ran {len(calls)} times"
