"""The directory of a FileSystemCache: whom it is for, and what stays in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask_caching.backends import FileSystemCache
from flask_caching.testing import manual_clock


@pytest.fixture
def usual_umask() -> Iterator[None]:
    umask = os.umask(0o022)
    yield
    os.umask(umask)


@pytest.mark.parametrize(
    ("mode", "directory_mode"), [({}, 0o700), ({"mode": 0o640}, 0o750), ({"mode": 0o644}, 0o755)]
)
def test_a_directory_that_it_makes_is_for_those_who_may_read_entries(
    tmp_path: Path, usual_umask: None, mode: dict[str, Any], directory_mode: int
) -> None:
    directory = tmp_path / "above" / "cache"
    cache = FileSystemCache(directory, **mode)
    assert cache.set("key", 1)
    assert stat.S_IMODE(directory.stat().st_mode) == directory_mode
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o755


def test_one_that_was_there_stays_as_it_is(tmp_path: Path, usual_umask: None) -> None:
    tmp_path.chmod(0o755)
    FileSystemCache(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("threshold", [0, 500])
@pytest.mark.parametrize(
    "read",
    [
        lambda cache: cache.get("key"),
        lambda cache: cache.get_many("key", "other"),
        lambda cache: cache.has("key"),
        lambda cache: cache.get_dict("key"),
    ],
    ids=["get", "get_many", "has", "get_dict"],
)
def test_reading_an_expired_entry_removes_its_file(
    tmp_path: Path, threshold: int, read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FileSystemCache(tmp_path, threshold=threshold)
    with manual_clock() as clock:
        assert cache.set("key", "value", timeout=10)
        assert cache.set("stays", "value", timeout=100)
        clock.advance(11)
        path = Path(cache._get_filename("key"))
        assert path.exists()
        read(cache)
        assert not path.exists()
        assert cache.get("stays") == "value"
    assert cache._file_count == (1 if threshold else 0)
    assert not caplog.records


def test_an_entry_that_was_stored_again_is_not_removed(tmp_path: Path) -> None:
    one, other = FileSystemCache(tmp_path), FileSystemCache(tmp_path)
    with manual_clock() as clock:
        one.set("key", "old", timeout=10)
        clock.advance(11)
        other.set("key", "new", timeout=10)
        assert one.get("key") == "new"
        assert one.get("key") == "new"
