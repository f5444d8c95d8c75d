"""RedisCache on real servers: what every backend does, and what Redis adds."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.errors import CacheBackendError, CacheConfigError
from flask_caching.testing import BackendContract
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_servers import RedisServer, commands_run, pass_time
from servers import PATIENCE


class Contract(BackendContract):
    """The contract, on a server whose entries can be aged."""

    server: RedisServer
    tolerance = 0.01

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.server = redis_server

    def pass_time(self, seconds: float) -> None:
        pass_time(self.server.admin, seconds)


class TestTcp(Contract):
    def make_backend(self) -> RedisCache:
        return RedisCache(
            "127.0.0.1", self.server.port, key_prefix="contract_", operation_timeout=PATIENCE
        )


class TestWithoutPrefix(Contract):
    def make_backend(self) -> RedisCache:
        return RedisCache("localhost", self.server.port, operation_timeout=PATIENCE)


class TestResp3OnAUnixSocket(Contract):
    def make_backend(self) -> RedisCache:
        path = self.server.folder / "redis.sock"
        return RedisCache(
            key_prefix="contract_", unix_socket_path=path, protocol=3, operation_timeout=PATIENCE
        )


class TestClientObject(Contract):
    # compare_exchange is two steps with a client of unknown abilities, counting is not.
    def make_backend(self) -> RedisCache:
        return RedisCache(redis.Redis(port=self.server.port), key_prefix="contract_")


class TestSigned(Contract):
    def make_backend(self) -> RedisCache:
        cache = RedisCache(
            "127.0.0.1", self.server.port, key_prefix="contract_", operation_timeout=PATIENCE
        )
        cache.signing_keys = ["new", "old"]  # type: ignore[assignment]
        return cache


class TestTls(Contract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_tls: RedisServer, certificates: dict[str, Path]) -> None:
        self.server = redis_tls
        self.certificates = certificates

    def make_backend(self) -> RedisCache:
        return tls_cache(self.server, self.certificates, operation_timeout=PATIENCE)


class TestPassword(Contract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_password: RedisServer) -> None:
        self.server = redis_password

    def make_backend(self) -> RedisCache:
        return RedisCache(
            "127.0.0.1",
            self.server.port,
            "s3 cret@/",
            key_prefix="contract_",
            operation_timeout=PATIENCE,
        )


def tls_cache(server: Any, certificates: dict[str, Path], **options: Any) -> RedisCache:
    chosen = {
        "ssl": True,
        "ssl_ca_certs": str(certificates["ca"]),
        "ssl_certfile": str(certificates["client"]),
        "ssl_keyfile": str(certificates["client_key"]),
        **options,
    }
    return RedisCache("127.0.0.1", server.tls_port, key_prefix="tls_", **chosen)


@pytest.fixture
def admin(redis_server: RedisServer) -> Any:
    redis_server.admin.flushall()
    return redis_server.admin


@pytest.fixture
def cache(redis_server: RedisServer, admin: Any) -> RedisCache:
    return RedisCache("127.0.0.1", redis_server.port, key_prefix="t_")


def app_cache(**config: Any) -> Any:
    """The backend of an application with this configuration."""
    app = Flask("redis_test")
    app.config.update({"CACHE_TYPE": "RedisCache", **config})
    cache = Cache(app)
    return app.extensions["cache"][cache]


# Commands


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda c: c.set("k", "v", 5), {"set": 1}),
        # In the same round trip: whether what is there has tags that may have been deleted.
        (lambda c: c.add("k", "v", 5), {"set": 1, "getrange": 2}),
        (lambda c: c.get_many("a", "b", "c"), {"mget": 1}),
        (lambda c: c.delete_many("a", "b", "c"), {"unlink": 1}),
        (lambda c: c.unlink("a", "b"), {"unlink": 1}),
    ],
    ids=["set", "add", "get_many", "delete_many", "unlink"],
)
def test_is_one_round_trip(
    cache: RedisCache, admin: Any, use: Callable[[Any], Any], expected: dict[str, int]
) -> None:
    cache.get("connected")
    admin.config_resetstat()
    use(cache)
    ours = {name: calls for name, calls in commands_run(admin).items() if "|" not in name}
    ours.pop("info", None)
    assert ours == expected


def test_set_many_is_one_round_trip(cache: RedisCache, admin: Any) -> None:
    cache.get("connected")
    admin.config_resetstat()
    before = admin.info("stats")["total_reads_processed"]
    assert cache.set_many({str(n): n for n in range(100)}) == [str(n) for n in range(100)]
    # Our pipeline, and the question itself.
    assert admin.info("stats")["total_reads_processed"] - before <= 2


def test_a_new_counter_gets_the_default_timeout_and_an_old_one_keeps_its_own(
    redis_server: RedisServer, admin: Any
) -> None:
    cache = RedisCache("127.0.0.1", redis_server.port, key_prefix="t_", default_timeout=77)
    assert cache.inc("new") == 1
    assert admin.ttl("t_new") in (76, 77)
    cache.set("old", 5, timeout=1000)
    assert cache.dec("old", 2) == 3
    assert admin.ttl("t_old") > 900
    forever = RedisCache("127.0.0.1", redis_server.port, key_prefix="t_", default_timeout=0)
    assert forever.inc("eternal") == 1
    assert admin.ttl("t_eternal") == -1


def test_counting_is_exact_beyond_two_to_the_53(cache: RedisCache) -> None:
    cache.set("large", 2**62)
    assert cache.inc("large", 1) == 2**62 + 1
    assert cache.inc("new", 2**53 + 1) == 2**53 + 1


def test_integers_of_any_size_are_stored_as_digits(cache: RedisCache, admin: Any) -> None:
    assert cache.set("huge", 10**60)
    assert cache.get("huge") == 10**60
    assert admin.get("t_huge") == b"1" + b"0" * 60
    with pytest.raises(TypeError):
        cache.inc("huge")


def test_unlink_counts(cache: RedisCache) -> None:
    cache.set_many({"one": 1, "two": 2})
    assert cache.unlink("one", "none", "two") == 2
    assert cache.unlink() is None


def test_delete_many_does_not_mind_what_was_not_there(cache: RedisCache) -> None:
    cache.set("one", 1)
    assert cache.delete_many("one", "none") == ["one", "none"]


# Clearing


@pytest.mark.parametrize("prefix", ["shop*", "a[b-c]?", "back\\slash", "^x", "plain_"])
def test_clear_takes_the_prefix_literally(
    redis_server: RedisServer, admin: Any, prefix: str
) -> None:
    others = ["shopping", "abc", "acx", "backslash", "x", "plainX", "shop"]
    for other in others:
        admin.set(other, "theirs")
    cache = RedisCache("127.0.0.1", redis_server.port, key_prefix=prefix)
    cache.set_many({str(n): n for n in range(2500)})
    assert cache.clear()
    assert sorted(admin.keys()) == sorted(other.encode() for other in others)


def test_clear_never_blocks_the_server(cache: RedisCache, admin: Any) -> None:
    admin.eval(
        "for n = 1, 200000 do redis.call('SET', (n % 2 == 0 and 't_' or 'other_')..n, 1) end", 0
    )
    admin.config_resetstat()
    assert cache.clear()
    stats = admin.info("commandstats")
    # What threads of earlier tests leave counts for nothing.
    count = "return #redis.call('KEYS', ARGV[1])"
    assert [admin.eval(count, 0, keys) for keys in ("t_*", "other_*")] == [0, 100_000]
    assert not {"cmdstat_keys", "cmdstat_del", "cmdstat_flushdb"} & set(stats)
    # Many short steps; a single one may be interrupted by the machine's other work.
    for command in ("cmdstat_scan", "cmdstat_unlink"):
        assert stats[command]["calls"] > 300
        assert stats[command]["usec_per_call"] < 2000


def test_clear_without_a_prefix_flushes_and_a_warning_says_so(
    redis_server: RedisServer, admin: Any, caplog: pytest.LogCaptureFixture
) -> None:
    admin.set("theirs", 1)
    with caplog.at_level(logging.WARNING, "flask_caching"):
        cache = RedisCache("127.0.0.1", redis_server.port)
    assert "clear() will flush the whole Redis database" in caplog.text
    assert cache.clear()
    assert admin.dbsize() == 0


def test_a_callable_prefix_is_asked_each_time(redis_server: RedisServer, admin: Any) -> None:
    tenant = "a_"
    cache = RedisCache("127.0.0.1", redis_server.port, key_prefix=lambda: tenant)
    cache.set("k", 1)
    tenant = "b_"
    assert cache.get("k") is None
    cache.set("k", 2)
    cache.clear()
    assert admin.keys() == [b"a_k"]


# Values


def test_ints_are_digits_and_all_else_is_a_pickle(cache: RedisCache, admin: Any) -> None:
    for value, stored in [(7, b"7"), (-7, b"-7"), (True, None), ("7", None), (b"7", None)]:
        cache.set("k", value)
        expected = stored or b"!" + pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        assert admin.get("t_k") == expected
        back = cache.get("k")
        assert back == value
        assert type(back) is type(value)


@pytest.mark.parametrize(
    "foreign", [b"!half a pickle", b"!", b"\xff\x00", b"line\n", b"!" + b"\x80\x05\x95\xff"]
)
def test_foreign_bytes_are_a_miss_that_is_replaced(
    cache: RedisCache, admin: Any, foreign: bytes
) -> None:
    admin.set("t_k", foreign)
    cache.set("good", 1)
    assert cache.get_many("good", "k") == [1, None]
    assert cache.get("k") is None
    assert cache.set("k", "ours")
    assert cache.get("k") == "ours"


def test_foreign_text_is_for_those_who_ask_for_it_by_name(
    redis_server: RedisServer, admin: Any
) -> None:
    app = Flask("foreign")
    app.config.update(
        CACHE_TYPE="RedisCache", CACHE_REDIS_HOST="127.0.0.1", CACHE_REDIS_PORT=redis_server.port
    )
    cache = Cache(app)

    @app.get("/page")
    @cache.cached(key_prefix="page")
    def page() -> str:
        return "ours"

    with app.app_context():
        admin.set("flask_cache_page", "theirs")
        assert cache.get("page") == b"theirs"
        assert cache.get_many("page", "none") == [b"theirs", None]
        assert app.test_client().get("/page").text == "ours"
        assert cache.get("page") == "ours"


def test_foreign_types_are_a_miss_that_is_replaced(cache: RedisCache, admin: Any) -> None:
    admin.rpush("t_k", "a", "b")
    assert cache.get("k") is None
    assert cache.get_many("k") == [None]
    with pytest.raises(TypeError):
        cache.inc("k")
    assert cache.set("k", "ours")
    assert cache.get("k") == "ours"


@pytest.mark.filterwarnings("ignore:timeout=-1 is over at once")
@pytest.mark.parametrize("timeout", [-1, -0.5, -1000])
def test_a_negative_timeout_is_expired_at_once(cache: RedisCache, timeout: float) -> None:
    cache.set("k", "old")
    assert cache.set("k", "new", timeout=timeout)
    assert cache.get("k") is None
    cache.set("k", "old")
    assert cache.set_many({"k": "new"}, timeout=timeout) == ["k"]
    assert cache.get("k") is None


def test_what_does_not_expire_elsewhere_is_told_of(cache: RedisCache) -> None:
    with pytest.warns(UserWarning, match="write 0 for what does not expire") as caught:
        assert cache.set("k", "new", timeout=-1)
    assert [warning.filename for warning in caught] == [__file__]


def test_lifetimes_have_fractions(cache: RedisCache, admin: Any) -> None:
    cache.set("k", 1, timeout=1.5)
    assert 1400 < admin.pttl("t_k") <= 1500
    cache.set("k", 1, timeout=10**12)
    assert admin.ttl("t_k") > 10**9


# Configuration


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis://127.0.0.1:{port}", 0),
        ("redis://127.0.0.1:{port}/3", 3),
        ("redis://127.0.0.1:{port}?db=4", 4),
        ("unix://{socket}?db=5", 5),
        ("redis://127.0.0.1:{port}/6?socket_timeout=0.5&max_connections=2&client_name=me", 6),
    ],
)
def test_urls(redis_server: RedisServer, admin: Any, url: str, database: int) -> None:
    url = url.format(port=redis_server.port, socket=redis_server.folder / "redis.sock")
    cache = app_cache(
        CACHE_REDIS_URL=url, CACHE_REDIS_PORT=redis_server.port, CACHE_REDIS_HOST="unread"
    )
    cache.set("k", "v")
    client = redis.Redis(port=redis_server.port, db=database)
    assert client.keys() == [b"flask_cache_k"]
    assert cache._write_client.get("flask_cache_k") == client.get("flask_cache_k")


def test_a_url_without_database_leaves_the_setting_for_it(
    redis_server: RedisServer, admin: Any
) -> None:
    url = f"redis://127.0.0.1:{redis_server.port}"
    app_cache(CACHE_REDIS_URL=url, CACHE_REDIS_DB=7).set("k", 1)
    assert redis.Redis(port=redis_server.port, db=7).dbsize() == 1


def test_users_and_passwords(redis_password: RedisServer) -> None:
    host = {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": redis_password.port}
    address = f"127.0.0.1:{redis_password.port}"
    for number, config in enumerate(
        [
            {**host, "CACHE_REDIS_PASSWORD": "s3 cret@/"},
            {**host, "CACHE_REDIS_PASSWORD": "app:pw", "CACHE_OPTIONS": {"username": "app"}},
            {"CACHE_REDIS_URL": f"redis://:s3%20cret%40%2F@{address}/0"},
            {"CACHE_REDIS_URL": f"redis://app:app%3Apw@{address}/0"},
            {"CACHE_REDIS_URL": f"redis://app:app%3Apw@{address}/0?protocol=3"},
        ]
    ):
        cache = app_cache(**config)
        assert cache.set("k", number)
        assert cache.get("k") == number


@pytest.mark.parametrize("password", ["wr0ng", None])
def test_a_wrong_password_is_an_error_that_says_so(
    redis_password: RedisServer, password: str | None
) -> None:
    cache = RedisCache("127.0.0.1", redis_password.port, password, key_prefix="t_")
    with pytest.raises(CacheBackendError, match=r"WRONGPASS|NOAUTH") as failure:
        cache.get("k")
    message = str(failure.value)
    assert str(redis_password.port) in message
    assert "get" in message
    assert "wr0ng" not in message


def test_options_reach_the_server(redis_server: RedisServer, admin: Any) -> None:
    cache = RedisCache(
        "127.0.0.1", redis_server.port, key_prefix="t_", client_name="the-cache", max_connections=1
    )
    cache.get("k")
    cache.get("k")
    names = [client["name"] for client in admin.client_list()]
    assert names.count("the-cache") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sockettimeout": 1}, "there is no option 'sockettimeout'. Did you mean"),
        ({"socket_timeout": "soon"}, "'socket_timeout' must be a positive number of seconds"),
        ({"socket_timeout": 0}, "'socket_timeout' must be a positive number of seconds"),
        ({"max_connections": 0}, "'max_connections' must be a number of connections"),
        ({"decode_responses": True}, "'decode_responses' must be False"),
        (
            {"socket_timeot": 1},
            "there is no option 'socket_timeot'. Did you mean 'socket_timeout'?",
        ),
        ({"protocol": 4}, "'protocol' must be 2 or 3"),
        ({"ssl": True, "ssl_cert_reqs": "maybe"}, "'ssl_cert_reqs' must be 'none'"),
        ({"ssl": True, "ssl_keyfile": "/k"}, "'ssl_keyfile' needs 'ssl_certfile'"),
        ({"ssl": True, "ssl_ca_certs": "/no/such/file"}, "/no/such/file"),
        ({"ssl": True, "ssl_ca_path": "/no/such"}, "'ssl_ca_path' must be a directory"),
    ],
)
def test_options_are_honoured_or_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CacheConfigError) as failure:
        app_cache(CACHE_OPTIONS=options)
    assert message in str(failure.value)


@pytest.mark.parametrize(
    "options",
    [{"encoding": "latin-1"}, {"encoding_errors": "replace"}],
    ids=str,
)
def test_an_encoding_changes_nothing(redis_server: RedisServer, options: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match=r"encoding.*is not used") as caught:
        cache = RedisCache("127.0.0.1", redis_server.port, key_prefix="t_", **options)
    assert len(caught) == 1
    assert cache.set("ü", "é")
    assert cache.get("ü") == "é"
    assert cache._write_client.get("t_ü") == cache._read_client.get("t_ü".encode())


@pytest.mark.filterwarnings("error")
def test_the_usual_encoding_is_no_news() -> None:
    app_cache(CACHE_OPTIONS={"encoding": "UTF-8", "encoding_errors": "strict"})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://localhost", "must start with redis://"),
        ("redis://localhost/one", "must be the number of a database"),
        ("redis://localhost:port", "is not a URL"),
        ("redis://localhost?colour=red", "there is no option 'colour'"),
        ("unix://", "needs the path of a socket"),
    ],
)
def test_urls_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(CacheConfigError) as failure:
        app_cache(CACHE_REDIS_URL=url)
    assert message in str(failure.value)


def test_no_host_is_an_error() -> None:
    with pytest.raises(ValueError, match="RedisCache host parameter may not be None"):
        RedisCache(host=None)


def test_check_connection(redis_server: RedisServer) -> None:
    RedisCache("127.0.0.1", redis_server.port, key_prefix="t_", check_connection=True)
    with pytest.raises(RuntimeError, match="could not connect to Redis server"):
        RedisCache("127.0.0.1", 1, key_prefix="t_", check_connection=True)


# TLS


def test_tls_needs_the_authority_of_the_server(
    redis_tls: RedisServer, certificates: dict[str, Path]
) -> None:
    stranger = tls_cache(redis_tls, certificates, ssl_ca_certs=None)
    with pytest.raises(CacheBackendError, match="certificate"):
        stranger.get("k")
    trusting = tls_cache(redis_tls, certificates, ssl_ca_certs=None, ssl_cert_reqs="none")
    assert trusting.set("k", 1)
    data = certificates["ca"].read_text()
    assert tls_cache(redis_tls, certificates, ssl_ca_certs=None, ssl_ca_data=data).get("k") == 1


def test_tls_checks_the_name(redis_tls: RedisServer, certificates: dict[str, Path]) -> None:
    options = {
        "ssl": True,
        "ssl_ca_certs": str(certificates["ca"]),
        "ssl_certfile": str(certificates["client"]),
        "ssl_keyfile": str(certificates["client_key"]),
    }
    port = redis_tls.tls_port  # type: ignore[attr-defined]
    with pytest.raises(CacheBackendError, match="not valid for name"):
        RedisCache("localhost", port, key_prefix="t_", **options).get("k")
    relaxed = RedisCache("localhost", port, key_prefix="t_", ssl_check_hostname=False, **options)
    assert relaxed.get("never stored") is None


def test_tls_13_only(redis_tls: RedisServer, certificates: dict[str, Path]) -> None:
    import ssl

    cache = tls_cache(redis_tls, certificates, ssl_min_version=ssl.TLSVersion.TLSv1_3)
    assert cache.set("k", "v" * 200_000)
    assert cache.get("k") == "v" * 200_000


def test_rediss_urls(redis_tls: RedisServer, certificates: dict[str, Path]) -> None:
    port = redis_tls.tls_port  # type: ignore[attr-defined]
    cache = app_cache(
        CACHE_REDIS_URL=f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificates['ca']}",
        CACHE_OPTIONS={
            "ssl_certfile": str(certificates["client"]),
            "ssl_keyfile": str(certificates["client_key"]),
        },
    )
    assert cache.set("k", 1)
    assert cache._write_client.get("flask_cache_k") == b"1"


# Clients


def test_a_client_is_used_as_it_is(redis_server: RedisServer, admin: Any) -> None:
    client = redis.Redis(port=redis_server.port, db=9)
    cache = app_cache(CACHE_REDIS_HOST=client)
    cache.set("k", 1)
    assert cache._write_client is client
    assert cache._read_client is client
    assert client.get("flask_cache_k") == b"1"
    with pytest.raises(CacheConfigError, match="cannot apply to the client object"):
        RedisCache(client, socket_timeout=1)


def test_applications_reach_for_the_client(cache: RedisCache, admin: Any) -> None:
    cache.set("k", 1, timeout=10)
    assert cache._write_client.expire("t_k", 1000)
    assert admin.ttl("t_k") > 900
    assert cache._read_client.get("t_k") == b"1"


def test_a_client_that_is_assigned_does_the_work(cache: RedisCache) -> None:
    class Reader:
        def mget(self, names: list[str]) -> list[bytes]:
            assert names == ["t_a"]
            return [b"42"]

    class Writer:
        def set(self, **arguments: Any) -> str:
            assert arguments == {"name": "t_a", "value": b"1", "ex": 300}
            return "spam"

    cache._read_client = Reader()
    cache._write_client = Writer()
    assert cache.get_many("a") == [42]
    assert cache.set("a", 1) == "spam"


def test_a_failing_client_is_a_backend_error() -> None:
    cache = RedisCache(redis.Redis(port=1, retry=Retry(NoBackoff(), 0)), key_prefix="t_")
    with pytest.raises(CacheBackendError, match="get by the application's Redis client failed"):
        cache.get("k")


def test_without_redis_py_only_the_clients_are_missing(
    cache: RedisCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    assert cache.set("k", 1)
    with pytest.raises(RuntimeError, match="pip install redis"):
        _ = cache._write_client
