"""Errors of Redis and memcached are redis-py's and pylibmc's as well, where these are there."""

import pickle
import socket
import subprocess
import sys

import pytest
import redis
import redis.sentinel
from flask import Flask
from flask_caching import Cache, errors
from flask_caching.backends import MemcachedCache, RedisCache, RedisClusterCache, RedisSentinelCache
from flask_caching.errors import CacheBackendError, CacheError
from redis.backoff import NoBackoff
from redis.retry import Retry
from servers import free_port

pylibmc = pytest.importorskip("pylibmc")


@pytest.fixture
def hung():
    """The port of a server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


@pytest.fixture
def closed():
    """A port at which there is no server."""
    return free_port()


def raised(action, *kinds):
    """What ``action`` raises, which is of all ``kinds`` and of this package's."""
    with pytest.raises(CacheBackendError) as info:
        action()
    error = info.value
    assert isinstance(error, (CacheError, RuntimeError))
    for kind in kinds:
        assert isinstance(error, kind), f"{error!r} is no {kind}"
    return error


OPERATIONS = [
    lambda cache: cache.get("k"),
    lambda cache: cache.set("k", "v"),
    lambda cache: cache.add("k", "v"),
    lambda cache: cache.get_many("a", "b"),
    lambda cache: cache.set_many({"a": 1}),
    lambda cache: cache.delete("k"),
    lambda cache: cache.delete_many("a", "b"),
    lambda cache: cache.has("k"),
    lambda cache: cache.inc("k"),
    lambda cache: cache.clear(),
]


@pytest.mark.parametrize("operate", OPERATIONS)
def test_no_redis_server_is_a_connection_error(operate, closed):
    cache = RedisCache("127.0.0.1", closed, key_prefix="p:")
    # The second one is not tried any more.
    for _ in range(4):
        raised(lambda: operate(cache), redis.exceptions.ConnectionError, redis.RedisError)


@pytest.mark.parametrize("operate", OPERATIONS)
def test_no_memcached_is_a_connection_error(operate, closed):
    cache = MemcachedCache([f"127.0.0.1:{closed}"])
    for _ in range(4):
        raised(lambda: operate(cache), pylibmc.ConnectionError, pylibmc.ServerDown, pylibmc.Error)


def test_behind_sentinels_and_in_a_cluster(closed):
    behind = RedisSentinelCache([("127.0.0.1", closed)])
    raised(lambda: behind.get("k"), redis.exceptions.ConnectionError)
    cluster = RedisClusterCache(f"127.0.0.1:{closed}")
    raised(lambda: cluster.get("k"), redis.exceptions.ConnectionError)


def test_a_server_that_does_not_answer_is_a_timeout_error(hung):
    cache = RedisCache("127.0.0.1", hung, operation_timeout=0.1, key_prefix="p:")
    error = raised(lambda: cache.get("k"), redis.exceptions.TimeoutError)
    assert not isinstance(error, redis.exceptions.ConnectionError)
    cache = MemcachedCache([f"127.0.0.1:{hung}"], operation_timeout=0.1)
    raised(lambda: cache.get("k"), pylibmc.ServerDown)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("password", [None, "hunter2"])
def test_a_wrong_or_missing_password_is_an_authentication_error(redis_password, protocol, password):
    cache = RedisCache(
        "127.0.0.1", redis_password.port, password, protocol=protocol, key_prefix="p:"
    )
    error = raised(lambda: cache.get("k"), redis.exceptions.AuthenticationError)
    assert "password" in str(error)
    assert "hunter2" not in str(error)


def test_a_password_for_a_server_that_has_none_is_an_authentication_error(redis_server):
    cache = RedisCache("127.0.0.1", redis_server.port, "password", key_prefix="p:")
    raised(lambda: cache.get("k"), redis.exceptions.AuthenticationError)


def test_what_a_server_refuses_is_a_response_error(redis_server):
    cache = RedisCache("127.0.0.1", redis_server.port, db=999, key_prefix="p:")
    error = raised(lambda: cache.get("k"), redis.exceptions.ResponseError)
    assert not isinstance(error, redis.exceptions.ConnectionError)


def test_a_value_that_is_no_number_is_a_type_error_and_a_response_error(redis_server):
    cache = RedisCache("127.0.0.1", redis_server.port, key_prefix="likeness:")
    cache.set("k", "text")
    for kind in (TypeError, redis.exceptions.ResponseError):
        with pytest.raises(kind):
            cache.inc("k")


def test_a_client_object_raises_what_its_library_does(closed, redis_server):
    client = redis.Redis(port=closed, retry=Retry(NoBackoff(), 0))
    cache = RedisCache(client, key_prefix="likeness:")
    raised(lambda: cache.get("k"), redis.exceptions.ConnectionError)
    cache = RedisCache(redis.Redis(port=redis_server.port), key_prefix="likeness:")
    cache.set("k", "text")
    with pytest.raises(redis.exceptions.ResponseError):
        cache.inc("k")


def test_sentinels_that_name_no_master(closed):
    cache = RedisSentinelCache([("127.0.0.1", closed)], "the-master", key_prefix="p:")
    for _ in range(2):
        kinds = redis.sentinel.MasterNotFoundError, redis.exceptions.ConnectionError
        error = raised(lambda: cache.get("k"), *kinds)
    assert pickle.loads(pickle.dumps(error)).args == error.args


def test_what_a_server_refuses_is_told_apart_as_by_redis_py(redis_server):
    admin = redis_server.admin
    cache = RedisCache("127.0.0.1", redis_server.port, key_prefix="refused:")
    admin.execute_command("ACL", "SETUSER", "nobody", "reset", "on", ">pw", "+ping")
    nobody = RedisCache(
        "127.0.0.1", redis_server.port, username="nobody", password="pw", key_prefix="refused:"
    )
    raised(lambda: nobody.get("k"), redis.exceptions.NoPermissionError)
    admin.config_set("maxmemory", "1")
    try:
        raised(lambda: cache.set("k", 1), redis.exceptions.OutOfMemoryError)
    finally:
        admin.config_set("maxmemory", "300mb")
    admin.replicaof("127.0.0.1", "1")
    try:
        raised(lambda: cache.set("k", 1), redis.exceptions.ReadOnlyError)
    finally:
        admin.replicaof("NO", "ONE")


@pytest.mark.parametrize("name", ["OutOfMemoryError", "ResponseError", "BusyLoadingError"])
def test_what_a_client_object_raises_is_told_apart(name, redis_server):
    kind = getattr(redis.exceptions, name)
    found = errors.like_redis(kind("what failed"))
    assert found.__name__ == f"Redis{name}"
    assert issubclass(found, kind)


@pytest.mark.parametrize("name", ["DataError", "ReadOnlyError", "InvalidResponse", "WatchError"])
def test_whatever_a_client_object_raises_is_caught_as_its_library_has_it(name, redis_server):
    class Odd(redis.Redis):
        def get(self, name):
            raise kind("what failed")

    kind = getattr(redis.exceptions, name)
    cache = RedisCache(Odd(port=redis_server.port), key_prefix="likeness:")
    raised(lambda: cache.get("k"), redis.exceptions.RedisError)


def test_the_application_without_a_server_is_made_as_it_was(closed):
    """An application that starts without its cache where the server is not there."""

    def create_app(**options):
        app = Flask("without")
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": closed, "CACHE_KEY_PREFIX": "p"}
        cache = Cache(app, config={**config, "CACHE_OPTIONS": options})
        try:
            with app.app_context():
                cache.clear()
        except redis.exceptions.ConnectionError:
            app.config["CACHED"] = False
        return app

    assert create_app().config["CACHED"] is False
    with pytest.raises(redis.exceptions.ConnectionError, match="could not connect"):
        create_app(check_connection=True)


def test_a_decorated_function_in_debug_mode(closed):
    app = Flask("debugged")
    app.debug = True
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": closed, "CACHE_KEY_PREFIX": "p"}
    cache = Cache(app, config=config)

    @cache.memoize()
    def function():
        return 1

    with app.app_context(), pytest.raises(redis.exceptions.ConnectionError):
        function()


@pytest.mark.parametrize("name", sorted(errors._LIKENESSES))
def test_they_can_be_shown_and_pickled(name):
    error = getattr(errors, name)("what failed")
    assert str(error) == "what failed"
    assert repr(error) == f"{name}('what failed')"
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is type(error) is getattr(errors, name)
    assert copied.args == error.args


def test_redis_pys_own_attributes_are_there():
    error = errors.RedisConnectionError("what failed")
    theirs = redis.exceptions.ConnectionError("what failed")
    assert vars(error) == vars(theirs)


def test_no_other_name_is_made_up():
    with pytest.raises(AttributeError, match="RedisColourError"):
        _ = errors.RedisColourError


PROGRAM = """
import sys
{prepare}
from flask_caching.backends import MemcachedCache, RedisCache
from flask_caching.errors import CacheBackendError
libraries = ("redis", "pylibmc")
print(*(name in sys.modules for name in libraries))
for cache in (RedisCache("127.0.0.1", 1, key_prefix="p"), MemcachedCache(["127.0.0.1:1"])):
    try:
        cache.get("k")
    except CacheBackendError as error:
        print(type(error).__name__, len(type(error).__bases__), "connect" in str(error))
"""


@pytest.mark.parametrize(
    ("prepare", "bases"),
    [
        ("", (2, 4)),
        ("sys.modules['redis'] = sys.modules['pylibmc'] = None", (1, 1)),
        # Other modules by these names.
        ("import types; sys.modules['redis'] = types.ModuleType('redis')", (1, 4)),
        (
            "import types; sys.modules['pylibmc'] = library = types.ModuleType('pylibmc'); "
            "library.ConnectionError = library.HostLookupError = library.ServerDown = print",
            (2, 1),
        ),
    ],
)
def test_libraries_are_imported_at_the_first_error_and_need_not_be_there(prepare, bases):
    program = PROGRAM.format(prepare=prepare)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    lines = run.stdout.splitlines()
    if not prepare:
        assert lines[0] == "False False", run.stderr
    assert lines[1:] == [
        f"RedisConnectionError {bases[0]} True",
        f"MemcachedConnectionError {bases[1]} True",
    ], run.stderr
