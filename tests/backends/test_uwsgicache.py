"""UWSGICache inside a real uWSGI, on its own cache and on that of another."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.errors import CacheBackendError
from servers import free_port, wait_until
from uwsgi_server import Uwsgi

HERE = Path(__file__).parent


class CachingUwsgi(Uwsgi):
    """A uWSGI with four workers that runs ``uwsgi_app``.

    :param folder: where it runs.
    :param cache: the cache that the application uses.
    """

    def __init__(self, folder: Path, cache: str) -> None:
        self.cache = cache
        self.port, self.socket_port = free_port(), free_port()
        options = [
            *("--http-socket", f"127.0.0.1:{self.port}"),
            *("--socket", f"127.0.0.1:{self.socket_port}", "--workers", "4"),
            *("--cache2", "name=mine,items=200,blocksize=65536"),
            *("--cache2", "name=narrow,items=50,keysize=80"),
            *("--cache-expire-freq", "1"),
        ]
        super().__init__(folder, HERE / "uwsgi_app.py", *options)

    def start(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TEST_CACHE", self.cache)
            super().start()

    def is_ready(self) -> bool:
        return self.ask("/page") != ""

    def ask(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            assert response.status == 200, body
            return body
        finally:
            connection.close()

    def run(self, name: str) -> None:
        """Run a function of the application's; fails where that did."""
        failure = self.ask(f"/run/{name}")
        assert not failure, failure


@pytest.fixture(scope="module")
def uwsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CachingUwsgi]:
    server = CachingUwsgi(tmp_path_factory.mktemp("uwsgi"), "mine")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def other(uwsgi: CachingUwsgi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CachingUwsgi]:
    """A uWSGI that uses the cache of the first one."""
    cache = f"mine@127.0.0.1:{uwsgi.socket_port}"
    server = CachingUwsgi(tmp_path_factory.mktemp("other"), cache)
    server.start()
    yield server
    server.kill()


NAMES = [
    "contract",
    "the_factory",
    "values_are_pickles",
    "compressed_values",
    "what_is_too_large_is_refused",
    "a_full_cache_is_said",
    "odd_keys",
    "timeouts",
    "functions",
    "counts",
    "tags",
    "a_caller_refreshes",
    "damage",
    "leases",
    "exchanges",
    "leases_end_to_the_moment",
    "what_is_exchanged_is_readable",
]


@pytest.mark.parametrize("name", NAMES)
def test_in_uwsgi(uwsgi: CachingUwsgi, name: str) -> None:
    uwsgi.run("clear")
    uwsgi.run(name)


@pytest.mark.parametrize("name", NAMES)
def test_on_the_cache_of_another(other: CachingUwsgi, name: str) -> None:
    other.run("clear")
    other.run(name)


def test_keys_longer_than_the_cache_takes(uwsgi: CachingUwsgi) -> None:
    uwsgi.run("keys_of_a_narrow_cache")


def test_all_workers_see_a_page(uwsgi: CachingUwsgi) -> None:
    uwsgi.run("clear")
    page = uwsgi.ask("/page")
    assert {uwsgi.ask("/page") for _ in range(30)} == {page}
    _, shared = uwsgi.ask("/meet/1").split()
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.split() for answer in pool.map(uwsgi.ask, ["/meet/4"] * 4)]
    assert len({worker for worker, _ in answers}) == 4
    assert {value for _, value in answers} == {shared}


@pytest.mark.parametrize("path", ["/placed", "/front"])
def test_all_workers_answer_with_the_same_whole_page(uwsgi: CachingUwsgi, path: str) -> None:
    uwsgi.run("clear")
    page = uwsgi.ask(path)
    assert {uwsgi.ask(path) for _ in range(30)} == {page}
    uwsgi.run("forget_pages")
    later = uwsgi.ask(path)
    assert later != page
    assert {uwsgi.ask(path) for _ in range(30)} == {later}


def test_four_workers_lose_no_count(uwsgi: CachingUwsgi) -> None:
    uwsgi.run("clear")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(uwsgi.run, ["count"] * 4))
    uwsgi.run("counted")


def test_an_entry_expires(uwsgi: CachingUwsgi) -> None:
    uwsgi.run("write_short")
    uwsgi.run("short_is_there")
    wait_until(lambda: uwsgi.ask("/run/short_is_there"), "the entry to expire", 10)


def test_a_tag_is_not_lost_before_its_entries(uwsgi: CachingUwsgi) -> None:
    uwsgi.run("clear")
    uwsgi.run("tag_entries_of_two_lifetimes")
    wait_until(lambda: uwsgi.ask("/run/the_shorter_entry_is_there"), "the entry to expire", 10)
    uwsgi.run("the_longer_entry_is_there")


def test_outside_uwsgi_it_says_so() -> None:
    config = {"CACHE_TYPE": "UWSGICache"}
    with pytest.raises(CacheBackendError, match="uWSGI"):
        Cache(Flask(__name__), config=config)
