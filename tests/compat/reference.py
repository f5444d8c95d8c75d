"""The real Flask-Caching in a virtual environment of its own, and its published test suites.

Both come from PyPI on first use and are kept under ``.cache/``. Nothing of them is committed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
PYTHON_TAG = f"py{sys.version_info.major}{sys.version_info.minor}"
REQUIREMENTS = ROOT / "tests" / "requirements-reference.txt"


class Unavailable(Exception):
    """PyPI cannot be reached, or does not have what was asked for."""


@contextmanager
def _only_one_process(name: str) -> Iterator[None]:
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_pip(python: Path | str, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")


def reference_python() -> Path:
    """The interpreter of a virtual environment that holds the reference.

    ``FLASK_CACHING_REFERENCE_PYTHON`` names one that is there already.

    :raises Unavailable: when it cannot be installed.
    """
    named = os.environ.get("FLASK_CACHING_REFERENCE_PYTHON")
    if named:
        return Path(named)
    # A changed list of requirements makes a new environment.
    tag = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:8]
    home = CACHE / f"reference-{PYTHON_TAG}-{tag}"
    python = home / "bin" / "python"
    complete = home / "complete"
    with _only_one_process("reference"):
        if not complete.exists():
            venv.create(home, clear=True, with_pip=True)
            _run_pip(python, "install", "--quiet", "--requirement", str(REQUIREMENTS))
            complete.touch()
    return python


def published_tests(version: str) -> Path:
    """The ``tests`` directory of the source distribution of one Flask-Caching release.

    :raises Unavailable: when it cannot be fetched.
    """
    home = CACHE / f"sdist-{version}"
    with _only_one_process("sdist"):
        if not home.exists():
            fetched = CACHE / f"fetch-{version}"
            _run_pip(
                sys.executable, "download", "--quiet", "--no-deps", "--no-binary", ":all:",
                "--dest", str(fetched), f"Flask-Caching=={version}",
            )  # fmt: skip
            (archive,) = fetched.glob("*.tar.gz")
            with tarfile.open(archive) as opened:
                opened.extractall(fetched, filter="data")
            (unpacked,) = (path for path in fetched.iterdir() if path.is_dir())
            unpacked.rename(home)
    return home / "tests"
