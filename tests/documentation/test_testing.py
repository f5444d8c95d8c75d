"""flask_caching.testing: the manual clock, and the contract as users meet it."""

from __future__ import annotations

import time
from datetime import timedelta
from unittest import SkipTest

import pytest
from cachelib import SimpleCache as CachelibSimpleCache
from flask_caching.backends.simplecache import SimpleCache
from flask_caching.testing import BackendContract, manual_clock


def test_time_passes_only_by_advance() -> None:
    cache = SimpleCache()
    with manual_clock() as clock:
        cache.set("key", 1, timeout=1)
        clock.advance(0.75)
        assert cache.get("key") == 1
        clock.advance(timedelta(milliseconds=250))
        assert cache.get("key") is None


def test_time_does_not_go_back() -> None:
    with manual_clock() as clock, pytest.raises(ValueError, match="-1"):
        clock.advance(-1)


def test_nested_clocks_are_one() -> None:
    cache = SimpleCache()
    with manual_clock() as outer:
        cache.set("key", 1, timeout=10)
        with manual_clock() as inner:
            inner.advance(5)
        outer.advance(5)
        assert cache.get("key") is None


def test_the_clock_runs_again_after_an_exception() -> None:
    cache = SimpleCache()
    with pytest.raises(ZeroDivisionError), manual_clock() as clock:
        clock.advance(1 / 0)
    with manual_clock():
        cache.set("key", 1, timeout=0.001)
    time.sleep(0.03)
    assert cache.get("key") is None


class TestMyCache(BackendContract):
    """As in the documentation: a user's own backend in a few lines."""

    expires = False
    refuses_unstorable = False

    class Dict(CachelibSimpleCache):
        """A backend with cachelib's interface."""

    def make_backend(self) -> CachelibSimpleCache:
        return self.Dict()


class Broken(BackendContract):
    """Its backend adds over what is there, and hands out what it keeps."""

    class Overwriting(CachelibSimpleCache):
        def __init__(self) -> None:
            super().__init__()
            self.values: dict[str, object] = {}

        def get(self, key):
            return self.values.get(key)

        def set(self, key, value, timeout=None):
            self.values[key] = value
            return True

        add = set

    def make_backend(self) -> CachelibSimpleCache:
        return self.Overwriting()


@pytest.mark.parametrize(
    "test",
    [
        "test_add_stores_only_where_there_is_nothing",
        "test_changing_what_was_read_does_not_change_the_cache",
        "test_a_value_that_cannot_be_stored_is_refused",
        "test_delete_removes",
    ],
)
def test_the_contract_finds_what_is_wrong(test: str) -> None:
    contract = Broken()
    try:
        with pytest.raises(AssertionError):
            getattr(contract, test)()
    finally:
        contract.teardown_method()


def test_a_feature_that_is_off_is_skipped() -> None:
    with pytest.raises(SkipTest, match=r"TestMyCache\.expires is off"):
        TestMyCache().test_a_write_renews_the_lifetime()


def test_a_contract_without_a_backend_says_how_to_name_one() -> None:
    with pytest.raises(NotImplementedError, match="def make_backend"):
        BackendContract().make_backend()
