"""FileSystemCache: the contract of every backend, and what is its own."""

from __future__ import annotations

import copy
import errno
import hashlib
import logging
import os
import pickle
import pickletools
import random
import stat
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from cachelib.serializers import BaseSerializer, JSONSerializer, RedisSerializer
from flask_caching._engine import MISSING
from flask_caching.backends.filesystemcache import FileSystemCache
from flask_caching.errors import CacheConfigError
from flask_caching.testing import BackendContract, manual_clock


class TestContract(BackendContract):
    engine_clock = True
    # As with cachelib, deleting what is not there succeeds.
    tells_presence = False

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def make_backend(self) -> FileSystemCache:
        return FileSystemCache(str(self.directory))


class TestContractWithoutThreshold(TestContract):
    def make_backend(self) -> FileSystemCache:
        return FileSystemCache(str(self.directory), threshold=0)


class TestContractSigned(TestContract):
    def make_backend(self) -> FileSystemCache:
        cache = super().make_backend()
        cache.signing_keys = ["secret"]
        return cache


class TestContractWithSerializerOfItsOwn(TestContract):
    tolerance = 1.0

    def make_backend(self) -> FileSystemCache:
        cache = super().make_backend()
        cache.serializer = Reversed()
        return cache


class Reversed(BaseSerializer):
    """Pickles backwards, through a stream."""

    def dump(self, value: Any, f: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> None:
        f.write(pickle.dumps(value, protocol)[::-1])

    def load(self, f: Any) -> Any:
        return pickle.loads(f.read()[::-1])


@pytest.fixture
def cache(tmp_path: Path) -> FileSystemCache:
    return FileSystemCache(str(tmp_path))


def path_of(cache: FileSystemCache, key: str) -> Path:
    return Path(cache._get_filename(key))


def entries(cache: FileSystemCache) -> int:
    return len(list(cache._list_dir()))


# What applications reach for.


def test_files_are_named_by_the_hash_of_the_key(tmp_path):
    for method in (hashlib.sha256, hashlib.md5, hashlib.blake2b, hashlib.sha3_256):
        cache = FileSystemCache(str(tmp_path / "c"), hash_method=method)
        cache.set("ключ", "value")
        name = method("ключ".encode()).hexdigest()
        assert cache._get_filename("ключ") == str(tmp_path / "c" / name)
        assert cache._get_filename("ключ") in list(cache._list_dir())
        assert cache.get("ключ") == "value"


def test_a_relative_directory_stays_relative_in_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = FileSystemCache("cache")
    cache.set("k", 1)
    assert cache._path == "cache"
    assert cache._get_filename("k") == os.path.join("cache", hashlib.sha256(b"k").hexdigest())
    assert list(cache._list_dir()) == [cache._get_filename("k")]
    monkeypatch.chdir("/")
    assert cache.get("k") == 1


def test_a_path_object_is_a_directory(tmp_path):
    cache = FileSystemCache(tmp_path / "deep" / "cache")
    assert cache.set("k", 1)
    assert cache._path == str(tmp_path / "deep" / "cache")


def test_bookkeeping_is_told_from_entries(cache):
    cache.set("k", 1)
    assert cache._file_count == 1
    assert not cache._over_threshold()
    assert not cache._is_mgmt(path_of(cache, "k").name)
    assert cache._is_mgmt("anything.__wz_cache")


def test_a_threshold_that_is_set_later_holds(cache):
    cache._threshold = 3
    for number in range(5):
        cache.set(str(number), number)
    assert entries(cache) == 3


def test_expired_entries_can_be_removed(cache):
    cache.set("short", 1, timeout=1)
    cache.set("long", 1, timeout=100)
    cache._remove_expired(time.time() + 50)
    assert list(cache._list_dir()) == [cache._get_filename("long")]


def test_what_a_subclass_overrides_is_what_the_many_operations_do(tmp_path):
    class Shouting(FileSystemCache):
        def get(self, key: str) -> Any:
            return super().get(key.upper())

        def set(self, key: str, value: Any, timeout: Any = None) -> bool:
            return super().set(key.upper(), value, timeout)

    cache = Shouting(str(tmp_path))
    assert cache.set_many({"a": 1, "b": 2}) == ["a", "b"]
    assert FileSystemCache(str(tmp_path)).get_many("A", "b") == [1, None]
    assert cache.get_many("a", "A") == [1, 1]
    assert cache.get_dict("b") == {"b": 2}
    assert cache.inc("a") == 2
    assert cache.get("A") == 2


@pytest.mark.parametrize("how", [copy.copy, lambda cache: pickle.loads(pickle.dumps(cache))])
def test_a_copy_is_a_cache_of_the_same_directory(cache, how):
    cache.signing_keys = ["secret"]
    cache.set("k", 1)
    other = how(cache)
    assert other.get("k") == 1
    assert other.signing_keys == [b"secret"]


def test_deleting_what_is_not_there_succeeds(cache):
    assert cache.delete("k") is True
    assert cache.delete_many("k", "l") == ["k", "l"]


# Values, serializers, bookkeeping keys.


def test_the_serializer_may_change_after_construction(cache):
    cache.set("k", {"a": 1})
    cache.serializer = JSONSerializer()
    cache.set("json", {"a": 1})
    data = path_of(cache, "json").read_bytes()
    assert data[4:] == b'{"a": 1}'
    assert cache.get("json") == {"a": 1}
    assert cache.get("k") is None


def test_a_serializer_that_overrides_only_the_string_forms_pickles(cache):
    cache.serializer = RedisSerializer()
    cache.set("k", 12)
    assert pickle.loads(path_of(cache, "k").read_bytes()[4:]) == 12


def test_keys_like_bookkeeping_are_keys_like_any_other(cache):
    keys = ["__wz_cache_count", "__wz_cache_count\0", "lock.__wz_cache", ".__wz_cache", "victims"]
    for key in keys:
        assert cache.set(key, key)
    for number in range(5):
        cache.set(str(number), number)
    assert cache.get_many(*keys) == keys
    assert cache._file_count == entries(cache) == 10
    for key in keys:
        assert cache.delete(key)
    assert cache._file_count == entries(cache) == 5


def test_an_unstorable_value_leaves_no_file(cache, tmp_path):
    before = sorted(os.listdir(tmp_path))
    assert cache.set("k", lambda: 0) is False
    assert sorted(os.listdir(tmp_path)) == before


def test_a_lifetime_has_fractions(cache):
    with manual_clock() as clock:
        cache.set("k", 1, timeout=0.5)
        clock.advance(0.49)
        assert cache.get("k") == 1
        clock.advance(0.02)
        assert cache.get("k") is None
        assert cache.add("k", 2) is True


def test_an_expiry_past_2106_is_no_overflow(cache):
    century = 100 * 365 * 86400
    cache.set("k", 1, timeout=century)
    assert struct.unpack("I", path_of(cache, "k").read_bytes()[:4]) == (2**32 - 1,)
    with manual_clock() as clock:
        clock.advance(century - 10)
        assert cache.get("k") == 1
        clock.advance(20)
        assert cache.get("k") is None


# The format.


def test_a_file_is_an_expiry_and_a_pickle(cache):
    value = {"a": [1, "two", None]}
    cache.set("k", value, timeout=100)
    data = path_of(cache, "k").read_bytes()
    assert struct.unpack("I", data[:4])[0] == pytest.approx(time.time() + 100, abs=2)
    assert pickle.loads(data[4:]) == value
    cache.set("k", value, timeout=0)
    assert path_of(cache, "k").read_bytes()[:4] == bytes(4)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_files_of_cachelib_are_read(cache, protocol):
    header = struct.pack("I", int(time.time()) + 100)
    path_of(cache, "k").write_bytes(header + pickle.dumps(["v"], protocol))
    assert cache.get("k") == ["v"]
    assert cache.has("k")
    assert cache.add("k", 1) is False
    path_of(cache, "k").write_bytes(struct.pack("I", 100) + pickle.dumps(["v"], protocol))
    assert not cache.has("k")
    assert cache.add("k", 1) is True


def test_damaged_files_give_no_wrong_value_and_no_exception(cache, caplog):
    caplog.set_level(logging.CRITICAL)
    chance = random.Random(17)
    value = {"name": "value", "list": list(range(40)), "text": "x" * 50}
    cache.set("k", value)
    whole = path_of(cache, "k").read_bytes()
    for number in range(2000):
        data = bytearray(whole)
        match number % 5:
            case 0:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            case 1:
                del data[chance.randrange(len(data)) :]
            case 2:
                for _ in range(chance.randrange(1, 20)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
            case 3:
                start = chance.randrange(len(data))
                data[start:] = bytes(len(data) - start)
            case 4:
                data = bytearray(chance.randbytes(chance.randrange(200)))
        path_of(cache, "k").write_bytes(data)
        assert cache._read_many("k")[0] in (value, MISSING)
        assert cache.get("k") in (value, None)
    assert cache.set("k", "new")
    assert cache.get("k") == "new"


def test_a_damaged_file_is_logged_and_removed(cache, caplog):
    cache.set("k", "value")
    path = path_of(cache, "k")
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.get("k") is None
    assert not path.exists()
    (record,) = caplog.records
    assert record.name == "flask_caching.engine"
    assert record.levelno == logging.WARNING
    assert str(path) in record.getMessage()
    assert cache._file_count == 0


@pytest.mark.parametrize("length", [65_535, 65_536, 65_537, 1_000_000])
@pytest.mark.parametrize(
    "wrap",
    [
        bytes,
        bytearray,
        lambda data: [data],
        lambda data: data.decode(),
        lambda data: data.decode() + "\u00e9\U0001f600",
        lambda data: data.decode() + "\udc80",
    ],
)
def test_values_of_many_bytes_are_read_as_they_were(cache, length, wrap):
    value = wrap(b"0123456789" * (length // 10) + b"x" * (length % 10))
    cache.set("k", value)
    assert cache.get("k") == value
    assert type(cache.get("k")) is type(value)
    assert cache.get_many("k", "none") == [value, None]
    # After the expiry and the envelope, what pickle writes.
    assert path_of(cache, "k").read_bytes()[35:] == pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    assert cache._set("k", value, timeout=-1)
    assert not cache.has("k")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_files_of_cachelib_of_many_bytes_are_read(cache, protocol):
    value = b"\x94." * 50_000
    written = pickle.dumps(value, protocol)
    path = path_of(cache, "k")
    for data in (written, pickletools.optimize(written), written[:-1] + b"0\x8c\x03end."):
        path.write_bytes(bytes(4) + data)
        assert cache.get("k") == pickle.loads(data)


def test_a_pickle_that_only_begins_and_ends_like_one_of_bytes_is_not_one(cache):
    # What follows the bytes takes them away again, and leaves None.
    pickled = b"\x80\x05B" + (70_000).to_bytes(4, "little") + bytes(70_000) + b"0N"
    path_of(cache, "k").write_bytes(bytes(4) + pickled + b".")
    assert cache._read("k") is None
    # As long as one of bytes is, but with another end.
    path_of(cache, "k").write_bytes(bytes(4) + pickled[:-1] + b".")
    assert cache._read("k") is MISSING


@pytest.mark.parametrize("at", [12, 20, 38, 39, 45, 50, 40_000, 400_000, -3, -2, -1])
@pytest.mark.parametrize("damage", ["changed", "cut", "longer"])
def test_damage_to_many_bytes_is_seen(cache, caplog, at, damage):
    caplog.set_level(logging.CRITICAL)
    cache.set("k", b"0123456789" * 50_000)
    path = path_of(cache, "k")
    data = bytearray(path.read_bytes())
    if damage == "changed":
        data[at] ^= 0x41
    elif damage == "cut":
        del data[at:]
    else:
        data[at:at] = b"."
    path.write_bytes(data)
    assert cache.get("k") is None
    assert not path.exists()
    assert cache._file_count == 0


def test_many_bytes_that_are_not_signed_are_refused(cache):
    cache.set("k", bytes(100_000))
    cache.signing_keys = ["a key"]
    assert cache.get("k") is None
    cache.set("k", bytes(100_000))
    assert cache.get("k") == bytes(100_000)


def test_a_pickle_of_a_class_that_is_gone_is_removed(cache, caplog):
    path_of(cache, "k").write_bytes(bytes(4) + b"\x80\x02cnowhere\nNothing\n.")
    assert cache.get("k") is None
    assert not path_of(cache, "k").exists()
    assert "nowhere" in caplog.text


# Directories and permissions.


@pytest.mark.parametrize("mode", [0o640, "640", "0640", "0o640"])
def test_the_mode_is_an_int_or_octal_digits(tmp_path, mode):
    umask = os.umask(0o077)
    try:
        cache = FileSystemCache(str(tmp_path), mode=mode)
        cache.set("k", 1)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path_of(cache, "k").stat().st_mode) == 0o640


def test_files_are_private_by_default(tmp_path):
    for mode in ({}, {"mode": None}):
        cache = FileSystemCache(str(tmp_path), **mode)
        cache.set("k", 1)
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [777, 600, -1, 0o1600, 0, 0o200, "rw", "888", "", 1.5, True, b"7"])
def test_a_mode_that_is_none_is_refused(tmp_path, mode):
    with pytest.raises(CacheConfigError, match="mode") as info:
        FileSystemCache(str(tmp_path), mode=mode)
    assert repr(mode) in str(info.value)


@pytest.mark.parametrize("threshold", [-1, 1.5, "many", None, True])
def test_a_threshold_that_is_none_is_refused(tmp_path, threshold):
    with pytest.raises(CacheConfigError, match="CACHE_THRESHOLD"):
        FileSystemCache(str(tmp_path), threshold=threshold)


@pytest.mark.parametrize("directory", [None, 3, "", "nul\0"])
def test_a_directory_that_is_none_is_refused(directory):
    with pytest.raises(CacheConfigError, match="CACHE_DIR"):
        FileSystemCache(directory)


@pytest.mark.parametrize(
    "method", ["sha256", None, int, hashlib.shake_128, lambda key: None, lambda key: 1 / 0]
)
def test_a_hash_that_is_none_is_refused(tmp_path, method):
    with pytest.raises(CacheConfigError, match="CACHE_FILE_HASH_METHOD"):
        FileSystemCache(str(tmp_path), hash_method=method)


def test_a_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CacheConfigError, match=r"CACHE_DIR.*file"):
        FileSystemCache(str(tmp_path / "file"))
    with pytest.raises(CacheConfigError, match=r"CACHE_DIR.*file"):
        FileSystemCache(str(tmp_path / "file" / "below"))


def test_the_deprecated_name_of_an_option_still_works(tmp_path):
    with pytest.warns(DeprecationWarning, match="ignore_errors"):
        cache = FileSystemCache(str(tmp_path), ignore_errors=True)
    assert cache.ignore_delete_many_errors is True


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@as_root
def test_a_directory_of_another_user_is_refused_at_once(tmp_path):
    os.chown(tmp_path, 12345, 12345)
    started = time.monotonic()
    with pytest.raises(CacheConfigError, match="user 12345"):
        FileSystemCache(str(tmp_path))
    assert time.monotonic() - started < 1


@as_root
def test_a_file_of_another_user_is_never_unpickled(cache, caplog):
    cache.set("k", "planted")
    os.chown(path_of(cache, "k"), 12345, 12345)
    assert cache.get("k") is None
    assert not cache.has("k")
    assert "12345" in caplog.text
    assert path_of(cache, "k").exists()
    assert cache.clear() is False
    assert cache.set("k", "own")
    assert cache.get("k") == "own"


@as_root
def test_a_directory_without_permission_is_refused_at_once():
    # Not below pytest's own temporary directory, which only its owner can enter.
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        run = as_user_nobody(f"FileSystemCache({directory!r})")
        below = as_user_nobody(f"FileSystemCache({directory + '/below'!r})")
    for stderr in (run.stderr, below.stderr):
        assert "CacheConfigError" in stderr
        assert directory in stderr
        assert "permission" in stderr.lower()


def as_user_nobody(statement: str) -> subprocess.CompletedProcess[str]:
    code = (
        "from flask_caching.backends.filesystemcache import FileSystemCache\n"
        f"import os\nos.setgid(65534)\nos.setuid(65534)\n{statement}\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


# Many processes.


def run_workers(cache: FileSystemCache, count: int, body: str) -> list[str]:
    """Run ``body`` in ``count`` processes at once, and return what each printed."""
    code = "import sys, os\nfrom flask_caching.backends.filesystemcache import FileSystemCache\n"
    code += f"cache = FileSystemCache({cache._path!r}, threshold={cache._threshold})\n"
    code += "worker = int(sys.argv[1])\nsys.stdin.readline()\n" + textwrap.dedent(body)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * count
    return outputs


def test_processes_lose_no_count_and_one_adds(cache):
    outputs = run_workers(
        cache,
        4,
        """
        for number in range(50):
            cache.inc("n")
        print(sum(cache.add(f"k{number}", worker) for number in range(50)))
        """,
    )
    assert cache.get("n") == 200
    assert sum(map(int, outputs)) == 50


def test_the_threshold_holds_among_processes(tmp_path):
    cache = FileSystemCache(str(tmp_path), threshold=40)
    outputs = run_workers(
        cache,
        4,
        """
        most = 0
        for number in range(100):
            assert cache.set(f"{worker}/{number}", number)
            most = max(most, len(list(cache._list_dir())))
        print(most)
        """,
    )
    assert max(map(int, outputs)) <= 40
    assert cache._file_count == entries(cache) == 40


def test_a_forked_child_uses_the_cache(cache):
    cache.set("k", "parent")
    child = os.fork()
    if child == 0:
        done = cache.get("k") == "parent" and cache.set("k", "child") and cache.inc("n") == 1
        os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.get("k") == "child"


def test_writers_that_are_killed_leave_nothing(cache, tmp_path):
    for _ in range(5):
        code = (
            "from flask_caching.backends.filesystemcache import FileSystemCache\n"
            f"cache = FileSystemCache({cache._path!r})\nprint(flush=True)\n"
            "value = 'x' * 3_000_000\nn = 0\n"
            "while True:\n    n += 1\n    cache.set(str(n % 20), value)\n"
        )
        worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(0.05)
        worker.kill()
        worker.communicate()
        reopened = FileSystemCache(cache._path)
        assert not [name for name in os.listdir(tmp_path) if name.startswith("new-")]
        assert reopened._file_count == entries(cache)
        for key in map(str, range(20)):
            assert cache.get(key) in (None, "x" * 3_000_000)
        assert reopened.set("after", 1)


def test_a_full_disk_leaves_no_old_value(tmp_path, caplog):
    """A limit on the size of files stands in for a disk that takes no more."""
    code = f"""
        import resource, signal
        from flask_caching.backends.filesystemcache import FileSystemCache
        cache = FileSystemCache({str(tmp_path)!r})
        cache.set("k", "old")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        print(cache.set("k", "x" * 20_000), cache.get("k"), cache.set("l", "small"), cache.get("l"))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert run.stdout.split() == ["False", "None", "True", "small"], run.stderr
    assert os.strerror(errno.EFBIG) in run.stderr
    assert not [name for name in os.listdir(tmp_path) if name.startswith("new-")]
