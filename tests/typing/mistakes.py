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
