"""Backends are instances of cachelib's classes, and nothing of those classes does their work."""

import inspect
import subprocess
import sys

import cachelib
import pytest
from flask_caching import backends
from flask_caching.contrib.uwsgicache import UWSGICache

#: Our classes and cachelib's, as `isinstance` tells them with Flask-Caching 2.5.1.
PAIRS = [
    (backends.SimpleCache, cachelib.SimpleCache),
    (backends.FileSystemCache, cachelib.FileSystemCache),
    (backends.RedisCache, cachelib.RedisCache),
    (backends.RedisSentinelCache, cachelib.RedisCache),
    (backends.RedisClusterCache, cachelib.RedisCache),
    (backends.MemcachedCache, cachelib.MemcachedCache),
    (backends.SASLMemcachedCache, cachelib.MemcachedCache),
    (backends.SpreadSASLMemcachedCache, cachelib.MemcachedCache),
    (UWSGICache, cachelib.UWSGICache),
]
CLASSES = [cachelib.SimpleCache, cachelib.FileSystemCache, cachelib.RedisCache]
CLASSES += [cachelib.MemcachedCache, cachelib.UWSGICache, cachelib.NullCache]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_ours_derives_from_theirs_and_from_no_other(ours, theirs):
    assert [each for each in CLASSES if issubclass(ours, each)] == [theirs]


def test_null_cache_is_none_of_them():
    assert not any(issubclass(backends.NullCache, each) for each in CLASSES)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_no_public_method_of_theirs_is_reached(ours, theirs):
    names = {name for cls in theirs.__mro__[:-1] for name in vars(cls) if name[0] != "_"}
    for name in names | {"__init__"}:
        [owner] = [cls for cls in ours.__mro__ if name in vars(cls)][:1]
        assert owner.__module__.startswith("flask_caching."), f"{name} is {owner}'s"


@pytest.fixture
def filled(request, tmp_path):
    """A backend with three entries, one of which never expires."""
    make = {
        "SimpleCache": backends.SimpleCache,
        "FileSystemCache": lambda: backends.FileSystemCache(tmp_path),
        "RedisCache": lambda: _redis(request),
        "MemcachedCache": lambda: _memcached(request),
    }
    cache = make[request.param]()
    assert cache.set("a", 1)
    assert cache.set("b", 2, timeout=60)
    assert cache.set("c", 3, timeout=0)
    return cache


def _redis(request):
    port = request.getfixturevalue("redis_server").port
    return backends.RedisCache("127.0.0.1", port, key_prefix="classes:")


def _memcached(request):
    return backends.MemcachedCache([request.getfixturevalue("memcached_server").address])


@pytest.mark.parametrize(
    "filled", ["SimpleCache", "FileSystemCache", "RedisCache", "MemcachedCache"], indirect=True
)
def test_what_applications_reach_for_works_and_loses_nothing(filled):
    arguments = {
        "_normalize_timeout": (60,),
        "_to_seconds": (60,),
        "_remove_expired": (0,),
        "_normalize_key": ("a",),
        "_get_filename": ("a",),
        "_is_mgmt": ("a",),
        "_run_safely": (int,),
    }
    theirs = [cls for cls in type(filled).__mro__ if cls.__module__.startswith("cachelib.")]
    names = {name for cls in theirs for name in vars(cls) if name[0] == "_" and name[1] != "_"}
    # Those make clients of other libraries, for whoever asks for one.
    names = {name for name in names if not name.startswith("_create_")} - {"_safe_stream_open"}
    for name in sorted(names):
        found = getattr(filled, name)
        if inspect.isroutine(found):
            found(*arguments.get(name, ()))
    assert filled.get_many("a", "b", "c") == [1, 2, 3]


def test_expired_entries_of_memory_are_removed_when_asked_for_and_no_others():
    cache = backends.SimpleCache()
    cache.set("soon", 1, timeout=10)
    cache.set("late", 2, timeout=1000)
    cache.set("never", 3, timeout=0)
    expires, _ = cache._cache["soon"]
    cache._remove_expired(expires + 1)
    assert sorted(cache._cache) == ["late", "never"]
    with cache._lock:
        assert cache.get("never") == 3


def test_memcached_has_a_client_without_a_library():
    cache = backends.MemcachedCache(["127.0.0.1:1"], key_prefix=lambda: "p")
    client, context = cache.import_preferred_memcache_lib(["127.0.0.1:1"], 1)
    assert client is cache._client
    with context() as reserved:
        assert reserved is not None
    assert cache._normalize_key("a") == "pa"


def test_importing_the_backends_imports_no_client_library():
    program = (
        "import sys, flask_caching, flask_caching.backends, flask_caching.contrib.uwsgicache\n"
        "print(sorted({'redis', 'pylibmc', 'memcache', 'uwsgi', 'boto3'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
