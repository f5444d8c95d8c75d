"""What another user can do to a FileSystemCache in a directory that both may write to."""

import os
import tempfile
from pathlib import Path

import pytest
from flask_caching.backends import FileSystemCache
from flask_caching.errors import CacheConfigError

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can make files of another user"
)

ANOTHER_USER = 12345


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "like-tmp"
    directory.mkdir()
    directory.chmod(0o1777)
    return directory


def as_another_user(path, contents):
    path.write_bytes(contents)
    path.chmod(0o666)
    os.chown(path, ANOTHER_USER, ANOTHER_USER)


def test_the_list_of_victims_deletes_no_file_of_the_application(directory, tmp_path):
    cache = FileSystemCache(directory, threshold=1)
    assert cache.set("first", 1)
    config = tmp_path / "config.py"
    config.write_text("precious")
    used = max(config.stat().st_mtime_ns, config.stat().st_atime_ns)
    for name in ("../config.py", str(config)):
        as_another_user(directory / "victims.__wz_cache", f"{used} {name}\n".encode())
        assert cache.set(f"after {name}", 2)
        assert config.read_text() == "precious"


def test_the_list_of_victims_stays_within_the_directory_whoever_wrote_it(directory, tmp_path):
    cache = FileSystemCache(directory, threshold=1)
    assert cache.set("first", 1)
    config = tmp_path / "config.py"
    config.write_text("precious")
    used = max(config.stat().st_mtime_ns, config.stat().st_atime_ns)
    (directory / "victims.__wz_cache").write_text(f"{used} ../config.py\n")
    assert cache.set("second", 2)
    assert config.read_text() == "precious"


def test_a_lock_of_another_user_is_an_error_at_start_that_names_both(directory):
    as_another_user(directory / "lock.__wz_cache", b"")
    with pytest.raises(CacheConfigError, match=f"user {ANOTHER_USER}.*as user 0"):
        FileSystemCache(directory)


def test_a_hard_link_is_neither_read_nor_written(directory, tmp_path):
    cache = FileSystemCache(directory, threshold=1)
    assert cache.set("k", "own")
    [entry] = map(Path, cache._list_dir())
    upload = tmp_path / "upload"
    upload.write_bytes(entry.read_bytes())
    entry.unlink()
    os.link(upload, entry)
    assert cache.get("k") is None
    uploaded = upload.read_bytes()
    (directory / "victims.__wz_cache").unlink(missing_ok=True)
    os.link(upload, directory / "victims.__wz_cache")
    assert cache.set("another", 1)
    assert upload.read_bytes() == uploaded


def test_the_file_of_an_entry_of_another_user_is_a_miss_and_can_be_replaced():
    # Not below pytest's own temporary directory, which only its owner can enter.
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        cache = FileSystemCache(directory)
        as_another_user(Path(cache._get_filename("k")), b"\0\0\0\0\x80\x05K\x01.")
        assert cache.get("k") is None
        assert cache.set("k", "own")
        assert cache.get("k") == "own"
