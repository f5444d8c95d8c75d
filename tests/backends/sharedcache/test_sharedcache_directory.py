"""SharedCache and its directory: what is refused, and what is made anew."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.sharedcache import SharedCache
from flask_caching.errors import CacheConfigError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def store_of(directory: Path) -> Path:
    [store] = directory.glob("store-*")
    return store


def run(program: str, directory: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program that knows the directory as its argument."""
    command = [*before, sys.executable, "-c", program, str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_directory_is_made_for_its_user_alone(directory: Path) -> None:
    SharedCache(str(directory))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_settings_come_from_the_configuration(directory: Path) -> None:
    config = {"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(directory), "CACHE_MAX_BYTES": 1 << 21}
    app = Flask(__name__)
    cache = Cache(app, config=config)
    with app.app_context():
        assert (cache.cache._max_bytes, cache.cache._threshold) == (1 << 21, 0)
        assert cache.set("tea", "green")
        assert cache.get("tea") == "green"
    app = Flask(__name__)
    cache = Cache(app, config={**config, "CACHE_THRESHOLD": 10})
    with app.app_context():
        for number in range(30):
            cache.set(str(number), number)
        assert cache.cache._store.held()[0] == 10


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "CACHE_DIR"),
        ({"CACHE_DIR": ""}, "CACHE_DIR"),
        ({"CACHE_DIR": "\0"}, "CACHE_DIR"),
        ({"CACHE_MAX_BYTES": 1000}, "CACHE_MAX_BYTES"),
        ({"CACHE_MAX_BYTES": "many"}, "CACHE_MAX_BYTES"),
        ({"CACHE_MAX_BYTES": 2**70}, "CACHE_MAX_BYTES"),
        ({"CACHE_THRESHOLD": -1}, "CACHE_THRESHOLD"),
        ({"CACHE_DIR": "/proc/self/nothing"}, "/proc/self/nothing"),
        ({"CACHE_DIR": "/etc/hostname"}, "not a directory"),
    ],
)
def test_what_cannot_be_used_is_said(settings: dict[str, Any], words: str, directory: Path) -> None:
    defaults = {"CACHE_DIR": str(directory)} if settings else {}
    with pytest.raises(Exception, match=words):
        Cache(Flask(__name__), config={"CACHE_TYPE": "SharedCache", **defaults, **settings})


def test_a_directory_of_another_user_is_refused(directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    directory.mkdir()
    os.chown(directory, 12345, 12345)
    with pytest.raises(CacheConfigError, match="another user"):
        SharedCache(str(directory))


def test_a_directory_that_everybody_may_write_to_is_refused(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(CacheConfigError, match="everybody may write"):
        SharedCache(str(directory))


def test_a_removed_directory_is_made_anew(directory: Path) -> None:
    cache = SharedCache(str(directory))
    cache.set("tea", "green")
    shutil.rmtree(directory)
    assert cache.set("tea", "black")
    assert cache.get("tea") == "black"
    # It is the one that others find.
    program = "import sys\nfrom flask_caching.backends.sharedcache import SharedCache as S\n"
    assert run(program + "print(S(sys.argv[1]).get('tea'))", directory).stdout == "black\n"


def test_a_store_of_a_former_boot_is_not_read(directory: Path) -> None:
    program = "import sys\nfrom flask_caching.backends.sharedcache import SharedCache as S\n"
    assert run(program + "S(sys.argv[1]).set('tea', 'green')", directory).returncode == 0
    current = directory / "current"
    words = current.read_text().split()
    words[1] = "another-boot"
    current.write_text(" ".join(words))
    former = store_of(directory)
    assert SharedCache(str(directory)).get("tea") is None
    assert not former.exists()


def test_a_store_that_nobody_has_open_is_found_again(directory: Path) -> None:
    program = "import sys\nfrom flask_caching.backends.sharedcache import SharedCache as S\n"
    assert run(program + "S(sys.argv[1]).set('tea', 'green')", directory).returncode == 0
    assert SharedCache(str(directory)).get("tea") == "green"


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty", "meta", "middle"])
def test_a_damaged_file_is_set_aside(
    damage: str, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = "import sys\nfrom flask_caching.backends.sharedcache import SharedCache as S\n"
    program += "c = S(sys.argv[1])\nfor n in range(2000): c.set(str(n), 'x' * 100)\n"
    assert run(program, directory).returncode == 0
    data = store_of(directory) / "data.mdb"
    if damage == "garbage":
        data.write_bytes(os.urandom(data.stat().st_size))
    elif damage == "middle":
        content = bytearray(data.read_bytes())
        # All that is used, but the two pages at the beginning.
        content[8192:600_000] = os.urandom(600_000 - 8192)
        data.write_bytes(content)
    elif damage == "cut":
        os.truncate(data, 5 * 4096)
    elif damage == "meta":
        content = bytearray(data.read_bytes())
        content[:8192] = b"\xff" * 8192
        data.write_bytes(content)
    else:
        os.truncate(data, 0)
    with caplog.at_level(logging.WARNING, "flask_caching"):
        cache = SharedCache(str(directory))
    assert cache.get("1") is None
    assert cache.set("tea", "green")
    assert cache.get("tea") == "green"
    if damage != "empty":
        [record] = [record for record in caplog.records if str(directory) in record.getMessage()]
        assert "damaged" in record.getMessage()
        assert (directory / "damaged" / "data.mdb").exists()


def test_another_namespace_of_process_ids_is_refused_while_this_one_uses_it(
    directory: Path,
) -> None:
    cache = SharedCache(str(directory))
    cache.set("tea", "green")
    program = """
import sys
from flask_caching.backends.sharedcache import SharedCache
print(SharedCache(sys.argv[1]).get("tea"))
"""
    unshare = ("unshare", "--pid", "--fork")
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("this user may not make a namespace")
    refused = run(program, directory, *unshare)
    assert refused.returncode != 0
    assert "namespace of process ids" in refused.stderr
    # Once nobody here has it open, it may.
    other = directory.with_name("other")
    first = program.replace("print(", "(").replace(".get(", ".set('tea', 'black') or (")
    assert run(first, other).returncode == 0
    assert run(program, other, *unshare).stdout == "black\n"


def test_a_limit_of_file_sizes_is_an_error_and_no_end(directory: Path) -> None:
    program = """
import resource, signal, sys
from flask_caching.backends.sharedcache import SharedCache
from flask_caching.errors import CacheBackendError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
cache = SharedCache(sys.argv[1], max_bytes=64 << 20)
cache.set("tea", "green")
try:
    for number in range(2000):
        cache.set(str(number), b"x" * 10000)
except CacheBackendError as error:
    print("refused", error)
print(cache.get("tea"))
"""
    done = run(program, directory)
    assert "refused" in done.stdout, done
    assert done.stdout.endswith("green\n"), done


def test_a_full_disk_is_an_error_and_no_end(directory: Path) -> None:
    program = """
import os, subprocess, sys
from flask_caching.backends.sharedcache import SharedCache
from flask_caching.errors import CacheBackendError
disk = sys.argv[1]
os.mkdir(disk)
mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk]
if subprocess.run(mount, capture_output=True).returncode != 0:
    sys.exit("no mount")
cache = SharedCache(f"{disk}/cache", max_bytes=128 << 20)
cache.set("tea", "green")

def fill(name):
    for number in range(100_000):
        try:
            cache.set(f"{name} {number}", os.urandom(1000))
        except CacheBackendError as error:
            print("refused", error, file=sys.stderr)
            return number

with open(f"{disk}/other", "wb") as other:
    other.write(bytes(8 << 20))
    stored = fill("first")
    assert 1000 < stored < 20_000, stored
    # What is there can be read, and deleted.
    assert cache.get("tea") == "green"
    assert cache.get("first 7") is not None
    assert all(cache.delete(f"first {number}") for number in range(stored))
    os.remove(other.name)
# There is room again.
assert fill("second") > stored
assert cache.clear()
assert cache.get("tea") is None
print("done")
"""
    unshare = ("unshare", "-m")
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("this user may not make a namespace of mounts")
    done = run(program, directory, *unshare)
    if "no mount" in done.stderr:
        pytest.skip("this user may not mount")
    assert done.stdout == "done\n", done
    assert "No space left on device" in done.stderr
