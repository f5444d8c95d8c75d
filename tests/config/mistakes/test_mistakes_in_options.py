"""What people get wrong with options that Flask-Caching has not, and what they are told."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.errors import CacheConfigError
from warned import caught_warnings


def make(**config: Any) -> Cache:
    return Cache(Flask("x"), config={"CACHE_TYPE": "SimpleCache", **config})


def messages(run: Callable[[], Any]) -> list[str]:
    with caught_warnings() as caught:
        run()
    return [str(warning.message) for warning in caught]


def _decorate(cache: Cache, decorator: str, options: dict[str, Any]) -> Any:
    return getattr(cache, decorator)(**options)(lambda: 5)


# The decorators.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tags": "user:5"}, r"tags must be a collection of names, such as \('user:5',\)"),
        ({"tags": b"user"}, r"tags must be a collection of names, such as \(b'user',\)"),
        ({"tags": 5}, "tags must be a collection of names, not int"),
        ({"tags": ["a", 5]}, "a tag must be a str, not int"),
        ({"tags": [["a"]]}, "a tag must be a str, not list"),
        ({"tags": [""]}, "a tag must not be empty"),
        ({"tags": [str(n) for n in range(10_000)]}, "an entry may have"),
        ({"tag": ["a"]}, "unexpected keyword argument 'tag'"),
        ({"stale_if_error": True}, "stale_if_error must be a number of seconds.*not True"),
        ({"stale_if_error": "1h"}, "stale_if_error must be a number of seconds.*'1h'"),
        ({"stale_if_error": -5}, "stale_if_error must be a number of seconds.*0 or more, not -5"),
        ({"stale_if_error": float("nan")}, "stale_if_error must be a number of seconds.*nan"),
        ({"stale_if_error": float("inf")}, "stale_if_error must be a number of seconds.*inf"),
        ({"stale_while_revalidate": True}, "stale_while_revalidate must be a number.*not True"),
        ({"stale_while_revalidate": "soon"}, "stale_while_revalidate must be a number.*'soon'"),
        ({"stale_while_revalidate": []}, r"stale_while_revalidate must be a number.*\[\]"),
        ({"stale_while_revalidat": 5}, "unexpected keyword argument 'stale_while_revalidat'"),
        ({"single_flight": "no"}, "single_flight must be True, False, or None.*'no'"),
        ({"single_flight": 0}, "single_flight must be True, False, or None.*not 0"),
        ({"jitter": 5}, "jitter must be a number from 0 to 1, not 5"),
        ({"jitter": -0.1}, "jitter must be a number from 0 to 1, not -0.1"),
        ({"jitter": "10%"}, "jitter must be a number from 0 to 1, not '10%'"),
        ({"lease": "yes"}, "lease must be True, False, or None for CACHE_LEASE, not 'yes'"),
        ({"lease": 5}, "lease must be True, False, or None for CACHE_LEASE, not 5"),
        ({"jitter": True}, "jitter must be a number from 0 to 1, not True"),
        ({"timeout": "5m"}, "a timeout must be None, a number of seconds or a timedelta.*'5m'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("decorator", ["cached", "memoize", "get_or_set"])
def test_an_option_that_cannot_be(decorator: str, options: dict[str, Any], said: str) -> None:
    cache = make()
    if decorator == "get_or_set":
        use = functools.partial(cache.get_or_set, "key", 5, **options)
    else:
        use = functools.partial(_decorate, cache, decorator, options)
    with pytest.raises((TypeError, ValueError), match=f"(?s){said}|has no option"):
        use()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hash_method": "sha512"}, "cannot be called.*hash_method=hashlib.sha512"),
        ({"hash_method": "secure"}, "cannot be called.*as hash_method=hashlib.sha256"),
        ({"hash_method": 5}, "cannot be called.*the constructor of a hash"),
        ({"timeout": {"minutes": 5}}, "is no timeout.*a number of seconds"),
        ({"args_to_ignore": 5}, "args_to_ignore=5 has to be a list of names"),
        ({"args_to_ignore": [5]}, "args_to_ignore has 5, which is no name"),
        ({"args_to_ignore": ["nme"]}, "has no argument 'nme'. Did you mean 'name'"),
        ({"is_stale": 60}, "is_stale=60 is ignored"),
        ({"unless": "no"}, "unless='no' is ignored"),
    ],
    ids=str,
)
def test_an_option_that_counts_for_nothing(options: dict[str, Any], said: str) -> None:
    def f(name: str = "") -> None: ...

    (message,) = messages(lambda: make().memoize(**options)(f))
    assert re.search(said, message), message


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (lambda result: "abc", r"such as \('abc',\), not 'abc'"),
        (lambda result: [result], "a tag must be a str, not int"),
        (lambda result: 1 / 0, "division by zero"),
    ],
)
def test_tags_that_cannot_be_had_leave_the_call_uncached(
    tags: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = make()
    runs = iter(range(5))
    f = cache.memoize(tags=tags)(lambda: next(runs))
    with cache.app.app_context():
        assert [f(), f()] == [0, 1]
    (record,) = caplog.records
    assert "runs uncached, because its tags cannot be had" in record.getMessage()
    assert re.search(said, record.getMessage())


# Pages.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": "1h"}, "a timeout must be None, a number of seconds"),
        ({"vary": "Accept"}, "vary has to be a tuple of names, not 'Accept'"),
        ({"vary": [5]}, "vary has 5, which is no name"),
        ({"vary": ["Cookie"]}, "name those that count, with cookies="),
        ({"query": "page"}, "query has to be a tuple of names or 'all', not 'page'"),
        ({"tags": "user:5"}, r"tags must be a collection of names, such as \('user:5',\)"),
        ({"compress": "gzip"}, "compress has to be a tuple of names, not 'gzip'"),
        ({"compress": ["gz"]}, "compress has 'gz': it has to be of 'br', 'zstd' and 'gzip'"),
        ({"stale_if_error": True}, "stale_if_error must be a number of seconds.*not True"),
        ({"jitter": 5}, "jitter must be a number from 0 to 1"),
        ({"lease": "no"}, "lease must be True, False, or None"),
        ({"statuses": 200}, "statuses has to be a tuple of numbers, not 200"),
        ({"single_flight": "no"}, "single_flight must be True, False, or None"),
        ({"methods": ["GET"]}, r"Cache.page\(\) got an unexpected keyword argument 'methods'"),
        ({"key_prefix": "x"}, r"Cache.page\(\) got an unexpected keyword argument 'key_prefix'"),
    ],
    ids=str,
)
def test_a_page_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        make().page(**options)(lambda: "hi")


def test_a_page_in_front_needs_leave() -> None:
    page = make().page(in_front=True)
    with pytest.raises(CacheConfigError, match=r"before any hook.*set CACHE_PAGES_IN_FRONT = True"):
        page(lambda: "hi")


def test_a_page_without_parentheses() -> None:
    with pytest.raises(TypeError, match=r"write @cache.page\(\) with parentheses"):
        make().page(lambda: "hi")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["nope", "", 5, None, ["/a"]])
def test_a_page_that_is_deleted_by_no_path(path: Any) -> None:
    cache = make()
    with cache.app.app_context(), pytest.raises(ValueError, match="begins with a slash"):
        cache.delete_page(path)


# Calls.


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda c: c.get_or_set("k", lambda a: a), "without arguments, and <lambda> needs some"),
        (lambda c: c.get_or_set("k", len), r"len needs some.*lambda: len\(...\)"),
        (lambda c: c.get_or_set("k", 5, timout=5), "'timout'. Did you mean 'timeout'"),
        (lambda c: c.get_or_set("k", 5, tag=["a"]), "'tag'. Did you mean 'tags'"),
        (lambda c: c.get_or_set("k", 5, unless=len), "no option 'unless'. Options: timeout, "),
        (lambda c: c.get_or_set("k"), r"Cache.get_or_set\(\) missing.*'default'"),
        (lambda c: c.get_or_set(5, 5), "a cache key must be a str, not int"),
        (lambda c: c.get_or_set(None, len), "a cache key must be a str, not NoneType"),
        (lambda c: c.get_or_set(lambda: 5, "k"), "a cache key must be a str, not function"),
        (lambda c: c.lock(), r"Cache.lock\(\) missing.*'name'"),
        (lambda c: c.lock(5), "the name of a lock must be a str, not int"),
        (lambda c: c.lock("x", "5"), "timeout must be a number of seconds above 0, not '5'"),
        (lambda c: c.lock("x", timeout=0), "timeout must be a number of seconds above 0, not 0"),
        (lambda c: c.lock("x", timeout=-1), "timeout must be a number of seconds above 0, not -1"),
        (lambda c: c.lock("x", wait=-1), "wait must be None or a number of seconds, 0 or more"),
        (lambda c: c.lock("x", ttl=5), r"Cache.lock\(\) got an unexpected keyword argument 'ttl'"),
        (lambda c: c.delete_tags(["a", "b"]), "a tag must be a str, not list"),
        (lambda c: c.delete_tags(5), "a tag must be a str, not int"),
        (lambda c: c.delete_tags(""), "a tag must not be empty"),
        (lambda c: c.set("a", 1, tags="user:5"), r"such as \('user:5',\), not 'user:5'"),
        (lambda c: c.add("a", 1, tags=5), "tags must be a collection of names, not int"),
        (lambda c: c.set_many({"a": 1}, tags="x"), r"such as \('x',\), not 'x'"),
        (lambda c: c.set_many([("a", 1)]), r"The values go by key: set_many\(\{key: value\}\)"),
        (lambda c: c.set_many({"a": 1}, timout=5), "'timout'. Did you mean 'timeout'"),
        (lambda c: c.get_many(["a", "b"]), r"The keys go one by one: get_many\(\*keys\)"),
        (lambda c: c.get_dict(["a", "b"]), r"The keys go one by one: get_dict\(\*keys\)"),
        (lambda c: c.delete_many(["a"]), r"The keys go one by one: delete_many\(\*keys\)"),
        (lambda c: c.clear("a"), r"Cache.clear\(\) takes 1 positional argument"),
        (lambda c: c.stats(all=True), r"Cache.stats\(\) got an unexpected keyword argument 'all'"),
        (lambda c: c.inspect(), r"Cache.inspect\(\) missing.*'key'"),
        (lambda c: c.health("x"), r"Cache.health\(\) takes 1 positional argument"),
        (lambda c: c.delete_page(), r"Cache.delete_page\(\) missing.*'path'"),
    ],
)
def test_a_call_that_cannot_be(call: Callable[[Cache], Any], said: str) -> None:
    cache = make()
    with cache.app.app_context(), pytest.raises(Exception, match=f"(?s){said}") as failure:
        call(cache)
    assert isinstance(failure.value, (TypeError, ValueError, AttributeError))


def test_what_a_default_raises_itself_is_not_explained_away() -> None:
    cache = make()

    def default(known: int = 5) -> int:
        raise TypeError("its own")

    with cache.app.app_context():
        with pytest.raises(TypeError, match=r"\Aits own\Z"):
            cache.get_or_set("k", default)
        assert cache.get_or_set("k", functools.partial(max, 1, 2)) == 2


# Settings.


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"CACHE_COMPRESSION": "gzip"}, "CACHE_COMPRESSION must be 'zstd', 'lz4' or None"),
        ({"CACHE_COMPRESSION": True}, "CACHE_COMPRESSION must be 'zstd', 'lz4' or None"),
        ({"CACHE_COMPRESSION_MIN": "big"}, "CACHE_COMPRESSION_MIN must be a whole number"),
        ({"CACHE_MAX_BYTES": "256MB"}, "CACHE_MAX_BYTES must be a whole number.*'256MB'"),
        ({"CACHE_MAX_BYTES": -1}, "CACHE_MAX_BYTES must be a whole number, 0 or more"),
        ({"CACHE_MAX_BYTES": 1.5}, "CACHE_MAX_BYTES must be a whole number"),
        ({"CACHE_TYPE": "SharedCache"}, "CACHE_DIR must be the path of a directory"),
        ({"CACHE_TYPE": "SharedCache", "CACHE_DIR": ""}, "SharedCache needs CACHE_DIR"),
        ({"CACHE_TYPE": "SharedCache", "CACHE_DIR": 5}, "CACHE_DIR must be the path"),
        ({"CACHE_TYPE": "SharedCache", "CACHE_DIR": "/dev/null"}, "CACHE_DIR is not a directory"),
        ({"CACHE_TYPE": "shared"}, "no such backend. Did you mean 'SharedCache'"),
        ({"CACHE_TYPE": "Shared"}, "no such backend. Did you mean 'SharedCache'"),
        ({"CACHE_TYPE": "SharedMemoryCache"}, "Did you mean 'SharedCache'"),
        ({"CACHE_SINGLE_FLIGHT": "perhaps"}, "CACHE_SINGLE_FLIGHT must be True or False"),
        ({"CACHE_WAIT": "long"}, "CACHE_WAIT must be a number of seconds"),
        ({"CACHE_WAIT": -1}, "CACHE_WAIT must be a number of seconds.*0 or more"),
        ({"CACHE_WAIT": True}, "CACHE_WAIT must be a number of seconds.*not True"),
        ({"CACHE_JITTER": 5}, "CACHE_JITTER must be a number from 0 to 1"),
        ({"CACHE_JITTER": "10%"}, "CACHE_JITTER must be a number from 0 to 1"),
        ({"CACHE_STALE_IF_ERROR": "1h"}, "CACHE_STALE_IF_ERROR must be a number of seconds"),
        ({"CACHE_STALE_IF_ERROR": True}, "CACHE_STALE_IF_ERROR must be a number.*not True"),
        ({"CACHE_STALE_WHILE_REVALIDATE": -1}, "CACHE_STALE_WHILE_REVALIDATE must be a number"),
        ({"CACHE_STATS_SHARED": "x"}, "CACHE_STATS_SHARED must be a number of seconds"),
        ({"CACHE_PAGES_IN_FRONT": "perhaps"}, "CACHE_PAGES_IN_FRONT must be True or False"),
        ({"CACHE_REFRESH_WORKERS": "two"}, "CACHE_REFRESH_WORKERS must be a whole number"),
        ({"CACHE_LEASE": "perhaps"}, "CACHE_LEASE must be True or False"),
        ({"CACHE_LEASE_TTL": -1}, "CACHE_LEASE_TTL must be"),
        ({"CACHE_NEAR": True}, "CACHE_NEAR is set, and SimpleCache can have no copies nearby"),
        ({"CACHE_TYPE": "RedisCache", "CACHE_NEAR": "perhaps"}, "CACHE_NEAR must be True or False"),
        ({"CACHE_SIGNING_KEY": ""}, "CACHE_SIGNING_KEY must be a key that is not empty"),
        ({"CACHE_OPTIONS": {"max_byte": 5}}, "unknown 'max_byte'. Did you mean 'max_bytes'"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be(config: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"(?s){said}"):
        make(**config)


def test_a_shared_cache_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CACHE_MAX_BYTES must be a number of bytes, 1048576"):
        make(CACHE_TYPE="SharedCache", CACHE_DIR=str(tmp_path), CACHE_MAX_BYTES=1)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("CACHE_COMPRESSION_MINIMUM", "CACHE_COMPRESSION_MIN"),
        ("CACHE_COMPRESION", "CACHE_COMPRESSION"),
        ("CACHE_MAXBYTES", "CACHE_MAX_BYTES"),
        ("CACHE_SINGLEFLIGHT", "CACHE_SINGLE_FLIGHT"),
        ("CACHE_WAITS", "CACHE_WAIT"),
        ("CACHE_JITER", "CACHE_JITTER"),
        ("CACHE_STALE_WHILE_REVALIDTE", "CACHE_STALE_WHILE_REVALIDATE"),
        ("CACHE_STALE_ON_ERROR", "CACHE_STALE_IF_ERROR"),
        ("CACHE_STATS_SHARE", "CACHE_STATS_SHARED"),
        ("CACHE_PAGE_IN_FRONT", "CACHE_PAGES_IN_FRONT"),
        ("CACHE_REFRESH_WORKER", "CACHE_REFRESH_WORKERS"),
        ("CACHE_SIGNING_KEYS", "CACHE_SIGNING_KEY"),
        ("CACHE_MAX_SIZE", "CACHE_MAX_BYTES"),
        ("CACHE_COMPRESS", "CACHE_COMPRESSION"),
        ("CACHE_LEASES", "CACHE_LEASE"),
        ("CACHE_LEASE_TIMEOUT", "CACHE_LEASE_TTL"),
        ("CACHE_NEARS", "CACHE_NEAR"),
        ("CACHE_NEAR_BYTES", "CACHE_NEAR_MAX_BYTES"),
        ("CACHE_NEAR_TTL", "CACHE_NEAR_TIMEOUT"),
    ],
)
def test_a_name_that_is_nearly_one_of_a_setting(given: str, meant: str) -> None:
    (said,) = messages(lambda: make(**{given: 1}))
    assert said == f"{given} is no setting, and is not used: did you mean {meant}?"


def test_a_backend_in_the_place_of_another_argument() -> None:
    app = Flask("x")
    app.config["CACHE_TYPE"] = "SimpleCache"
    (said,) = messages(lambda: Cache(app, "RedisCache"))  # type: ignore[arg-type]
    assert "config={'CACHE_TYPE': ...}" in said
