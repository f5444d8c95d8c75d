"""What one package stores the other reads: values, memoized results and their versions, views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Worker
from .under_either.stored_table import VALUES


@pytest.fixture
def file_store(tmp_path: Path) -> dict[str, Any]:
    return {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}


@pytest.fixture
def redis_store(redis_server: Any) -> dict[str, Any]:
    return {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": redis_server.port}


@pytest.fixture
def memcached_store(memcached_server: Any, reference: Worker) -> dict[str, Any]:
    if not reference.call("stored_table", "has_pylibmc"):
        pytest.skip("the reference has no pylibmc, which its Memcached backend needs")
    address = f"127.0.0.1:{memcached_server.port}"
    return {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": [address]}


@pytest.fixture(params=["file_store", "redis_store", "memcached_store"])
def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The configuration of one store that both workers open."""
    config: dict[str, Any] = request.getfixturevalue(request.param)
    return config


@pytest.fixture(params=["ours-theirs", "theirs-ours"])
def pair(request: pytest.FixtureRequest, reference: Worker, ours: Worker) -> tuple[Worker, Worker]:
    """Who writes, who reads."""
    return (ours, reference) if request.param == "ours-theirs" else (reference, ours)


def test_what_one_writes_the_other_reads(
    store: dict[str, Any], pair: tuple[Worker, Worker], ours: Worker
) -> None:
    writer, reader = pair
    answers = writer.call("stored_table", "write", store)

    values, answers_again, ran = reader.call("stored_table", "read", store)

    expected = dict(VALUES)
    if store["CACHE_TYPE"] == "MemcachedCache":
        # pylibmc reads the bools that it stores as ints, and stores every kind of str as text.
        expected |= {"true": 1, "false": 0} if writer is ours else {"markup": "<b>"}
    # By repr: it tells 1 from True, str from Markup, and shows containers in full.
    assert {name: repr(value) for name, value in values.items()} == {
        name: repr(value) for name, value in expected.items()
    }
    assert answers_again == answers
    assert ran == []


def test_2_5_1_reads_what_has_tags_and_old_values(
    store: dict[str, Any], reference: Worker, ours: Worker
) -> None:
    answers = ours.call("stored_table", "write_with_metadata", store)

    values, answers_again, ran = reference.call("stored_table", "read", store)

    assert {name: repr(value) for name, value in values.items()} == {
        name: repr(value) for name, value in VALUES.items()
    }
    assert answers_again == answers
    assert ran == []


def test_what_one_forgets_the_other_has_forgotten(
    store: dict[str, Any], pair: tuple[Worker, Worker]
) -> None:
    writer, reader = pair
    writer.call("stored_table", "write", store)
    reader.call("stored_table", "forget", store)

    ran, values = writer.call("stored_table", "ran_after_forgetting", store)

    assert sorted(ran) == ["function"] * 4 + ["method", "view text"]
    assert values == [None, None, None, [2]]


def test_counters_are_shared(store: dict[str, Any], pair: tuple[Worker, Worker]) -> None:
    writer, reader = pair
    reader.call("stored_table", "clear", store)
    for worker, delta, expected in [(writer, 1, 1), (reader, 5, 6), (writer, -2, 4)]:
        assert worker.call("stored_table", "count", store, delta) == expected
