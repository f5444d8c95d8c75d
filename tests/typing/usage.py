"""What applications write, as mypy --strict and pyright accept it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, assert_type

from flask import Flask, Response, make_response
from flask.views import MethodView
from flask_caching import (
    BaseCache,
    Cache,
    CachedResponse,
    SimpleCache,
    cache_view_hit,
    make_template_fragment_key,
)

app = Flask(__name__)
cache = Cache(app, with_jinja2_ext=True, config={"CACHE_TYPE": "SimpleCache"})


@cache.memoize(timeout=60)
def add(a: int, b: int = 2, *, scale: float = 1.0) -> float:
    return (a + b) * scale


assert_type(add(1), float)
assert_type(add(1, b=2, scale=3), float)
assert_type(add.uncached(1), float)
add.cache_timeout = 5
add.cache_timeout = timedelta(minutes=1)
add.cache_timeout = None
assert_type(add.make_cache_key(add.uncached, 1), str)
assert_type(add.delete_memoized(), None)
assert_type(add.__name__, str)
function: Callable[[int, int], float] = add


@app.route("/view/<int:number>")
@cache.cached(timeout=timedelta(seconds=30), query_string=True)
def view(number: int) -> Response:
    return CachedResponse(make_response(str(number)), timeout=timedelta(hours=1))


assert_type(view(1), Response)
assert_type(view.make_cache_key(number=1), str)
assert_type(cache.delete_cached(view, number=1), bool)
assert_type(cache.delete_cached(view, path="/view/1", query_args={"a": 1}), bool)


@cache.cached(key_prefix="key", unless=lambda: False, response_filter=bool, cache_none=True)
def prefixed() -> list[str] | None:
    return ["a"]


assert_type(prefixed(), list[str] | None)


@cache.memoize()
async def fetch(url: str) -> bytes:
    await asyncio.sleep(0)
    return url.encode()


async def main() -> None:
    assert_type(await fetch("a"), bytes)


coroutine: Callable[[str], Coroutine[Any, Any, bytes]] = fetch


class Account:
    def __init__(self, number: int) -> None:
        self.number = number

    @cache.memoize(10)
    def balance(self, currency: str, *, at: int = 0) -> int:
        return self.number

    @classmethod
    @cache.memoize()
    def count(cls, kind: str) -> int:
        return len(kind)

    @staticmethod
    @cache.memoize()
    def rate(currency: str) -> float:
        return 1.0

    @property
    @cache.memoize()
    def total(self) -> int:
        return 1


account = Account(1)
assert_type(account.balance("EUR", at=1), int)
assert_type(Account.balance(account, "EUR"), int)
assert_type(account.balance.cache_timeout, int | float | timedelta | None)
assert_type(account.balance.delete_memoized(), None)
assert_type(Account.rate("EUR"), float)
assert_type(Account.count("a"), int)
assert_type(account.count("a"), int)
Account.balance.cache_timeout = 5
Account.count.delete_memoized()
backends: list[BaseCache] = [SimpleCache(), SimpleCache(threshold=5, max_bytes=100)]
assert_type(account.total, int)
cache.delete_memoized(account.balance)
cache.delete_memoized(account.balance, "EUR", at=1)
cache.delete_memoized(Account.count, Account, "a")
cache.delete_memoized(Account.balance)
cache.delete_memoized_verhash(add)


class Item(MethodView):
    @cache.cached()
    def get(self, number: int) -> str:
        return str(number)


app.add_url_rule("/item/<int:number>", view_func=Item.as_view("item"))

assert_type(cache.get("key"), Any)
cache.set("key", 1, timeout=timedelta(seconds=1))
assert_type(cache.add("key", 1), bool)
assert_type(cache.delete("key"), bool)
assert_type(cache.has("key"), bool)
assert_type(cache.delete_many("a", "b"), list[str])
assert_type(cache.get_many("a", "b"), list[Any])
assert_type(cache.get_dict("a"), dict[str, Any])
assert_type(cache.clear(), bool)
assert_type(cache.inc("n"), int | None)
assert_type(cache.cache, SimpleCache)
assert_type(make_template_fragment_key("a", vary_on=["b"]), str)


class Own(BaseCache):
    def get(self, key: str) -> Any:
        return None

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Own:
        return cls(*args, **kwargs)


@cache_view_hit.connect
def on_hit(sender: Any, cache: Cache, cache_key: str, **extra: Any) -> None:
    print(cache, cache_key)


class Recording(Cache):
    """Overrides proxies as applications do, whatever they are given."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return super().get(*args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> bool | None:
        return super().set(*args, **kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        return super().set_many(*args, **kwargs)

    def delete_many(self, *args: Any, **kwargs: Any) -> list[str]:
        return super().delete_many(*args, **kwargs)

    def inc(self, *args: Any, **kwargs: Any) -> int | None:
        return super().inc(*args, **kwargs)


assert_type(cache.set_many({"a": 1}, timeout=5), list[Any])
assert_type(cache.delete_many("a", "b"), list[str])
assert_type(cache.has("a"), bool)
cache.set("a", 1, 2.5)
