"""An application with a cache in memory, and servers, started where a test asks for them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.stats import _shared


def pytest_configure(config: pytest.Config) -> None:
    # Clients of other libraries, which ask servers what happened, close their sockets when they are
    # collected: before that, or after, as the collector likes. Ours are not Python's.
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    longest = (tests / "longest.txt").read_text().splitlines()
    order = {tests / name: number for number, name in enumerate(longest)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


def pytest_collection_finish() -> None:
    # The collector, which many tests call, need not look at thousands of tests each time.
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # A test that passes when it is asked once more has failed all the same: this is how.
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("_", f"rerun: {report.nodeid} ({report.when})")
        terminalreporter.write_line(report.longreprtext[-5000:])


@pytest.fixture(autouse=True)
def counts_are_left_by_nobody() -> Iterator[None]:
    """An application that is not collected yet would leave them where others look."""
    yield
    _shared._publisher._shares.clear()


@pytest.fixture
def app() -> Flask:
    return Flask("tested")


@pytest.fixture
def cache(app: Flask) -> Cache:
    return Cache(app, config={"CACHE_TYPE": "SimpleCache"})


@pytest.fixture
def in_app(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A Redis server; its databases belong to whoever tests at the moment."""
    from redis_servers import RedisServer

    server = RedisServer(
        tmp_path_factory.mktemp("redis"),
        *("--unixsocket", "redis.sock", "--maxmemory", "300mb"),
    )
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An authority (``ca``), and certificate and key of a server on 127.0.0.1 and of a client."""
    import trustme

    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    paths = {"ca": folder / "ca.pem"}
    authority.cert_pem.write_to_path(str(paths["ca"]))
    for name, host in (("server", "127.0.0.1"), ("elsewhere", "elsewhere.test"), ("client", "me")):
        issued = authority.issue_cert(host)
        paths[name] = folder / f"{name}.pem"
        paths[f"{name}_key"] = folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(str(paths[name]))
        issued.private_key_pem.write_to_path(str(paths[f"{name}_key"]))
    return paths


@pytest.fixture(scope="session")
def redis_tls(
    tmp_path_factory: pytest.TempPathFactory, certificates: dict[str, Path]
) -> Iterator[object]:
    """A Redis server that also speaks TLS, to clients with a certificate; ``tls_port``."""
    from redis_servers import RedisServer
    from servers import free_port

    port = free_port()
    server = RedisServer(
        tmp_path_factory.mktemp("redis-tls"),
        *("--tls-port", str(port), "--tls-ca-cert-file", certificates["ca"]),
        *("--tls-cert-file", certificates["server"]),
        *("--tls-key-file", certificates["server_key"]),
    )
    server.tls_port = port  # type: ignore[attr-defined]
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A Redis server with the password ``s3 cret@/`` and a user ``app`` with ``app:pw``."""
    from redis_servers import RedisServer

    server = RedisServer(tmp_path_factory.mktemp("redis-password"), password="s3 cret@/")
    server.start()
    server.admin.acl_setuser(
        "app", enabled=True, passwords="+app:pw", keys=["*"], categories=["+@all"]
    )
    yield server
    server.kill()


@pytest.fixture(scope="session")
def memcached_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A memcached; its entries belong to whoever tests at the moment."""
    from memcached_servers import MemcachedServer

    server = MemcachedServer(tmp_path_factory.mktemp("memcached"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def memcached_sasl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A memcached that asks for ``username`` and ``password``."""
    from memcached_servers import SaslServer

    server = SaslServer(tmp_path_factory.mktemp("memcached-sasl"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def memcached_unix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A memcached on a unix socket."""
    from memcached_servers import UnixServer

    server = UnixServer(tmp_path_factory.mktemp("memcached-unix"))
    server.start()
    yield server
    server.kill()
