"""Mistakes that a type checker finds in the use of decorated functions, one on each marked line."""

from flask_caching import Cache

cache = Cache()


@cache.memoize()
def add(a: int, b: int = 2) -> int:
    return a + b


class Account:
    @cache.memoize()
    def balance(self, currency: str) -> int:
        return len(currency)


add("one")  # mistake
add()  # mistake
add(1, c=2)  # mistake
text: str = add(1)  # mistake
add.cache_timeout = "soon"  # mistake
add.no_such_attribute  # mistake  # noqa: B018
Account().balance(1)  # mistake
Account().balance("EUR", "USD")  # mistake
cache.cached(timeout="soon")  # mistake

cache.set("a")  # mistake
cache.set("a", 1, timeout="1h")  # mistake
cache.set("a", 1, timout=5)  # mistake
cache.add("a", 1, "5")  # mistake
cache.get()  # mistake
cache.get("a", "b")  # mistake
cache.get(1)  # mistake
cache.get_many(["a", "b"])  # mistake
cache.get_dict("a", key="b")  # mistake
cache.set_many(["a"])  # mistake
cache.set_many({"a": 1}, timout=5)  # mistake
cache.delete("a", "b")  # mistake
cache.delete_many(["a"])  # mistake
cache.has()  # mistake
cache.inc("n", by=2)  # mistake
cache.dec("n", "2")  # mistake
cache.unlink(["a"])  # mistake
cache.clear("a")  # mistake
cache.delete_memoized(len)  # mistake
length: str = cache.has("a")  # mistake

cache.page("soon")  # mistake
cache.page(60)(5)  # mistake
cache.memoize(jitter="10%")  # mistake
cache.memoize(single_flight="no")  # mistake
cache.memoize(stale_if_error="1h")  # mistake
cache.cached(tags=5)  # mistake
cache.set("a", 1, tags=5)  # mistake
cache.get_or_set("a")  # mistake
cache.get_or_set(5, 5)  # mistake
cache.lock(5)  # mistake
cache.lock("a", wait="5")  # mistake
cache.delete_tags(["a"])  # mistake
cache.delete_page(5)  # mistake
cache.inspect()  # mistake
cache.stats(everything=True)  # mistake
cache.stats().hit  # mistake  # noqa: B018
