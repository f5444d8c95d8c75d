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
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
REQUIREMENTS = ROOT / "tests" / "requirements-reference.txt"


class Unavailable(Exception):
    """PyPI cannot be reached, or does not have what was asked for."""


class Unsupported(Exception):
    """The reference does not run with the Flask of this process."""


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

    It is the Python of this process, with its Flask: keys and answers depend on both.
    ``FLASK_CACHING_REFERENCE_PYTHON`` names one that may be that already.

    :raises Unavailable: when there is none and none can be made.
    :raises Unsupported: when there can be none.
    """
    if int(version("Flask").partition(".")[0]) < 3:
        raise Unsupported(f"Flask-Caching 2.5.1 needs Flask 3, this is {version('Flask')}")
    named = os.environ.get("FLASK_CACHING_REFERENCE_PYTHON")
    if named and _versions(named) == _versions(sys.executable):
        return Path(named)
    wanted = _versions(sys.executable)
    # A changed list of requirements makes a new environment.
    tag = hashlib.sha256(REQUIREMENTS.read_bytes() + wanted.encode()).hexdigest()[:8]
    home = CACHE / f"reference-{tag}"
    python = home / "bin" / "python"
    complete = home / "complete"
    with _only_one_process("reference"):
        if not complete.exists():
            venv.create(home, clear=True, with_pip=True)
            pins = wanted.split()[1:]
            _run_pip(python, "install", "--quiet", *pins, "--requirement", str(REQUIREMENTS))
            complete.touch()
    return python


def _versions(python: Path | str) -> str:
    """The versions of an interpreter, its Flask and its Werkzeug, as pip writes them."""
    code = (
        "import sys; from importlib.metadata import version;"
        "print(*sys.version_info[:2], sep='.', end=' ');"
        "print(*(f'{name}=={version(name)}' for name in ('Flask', 'Werkzeug')))"
    )
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def published_tests(release: str) -> Path:
    """The ``tests`` directory of the source distribution of one Flask-Caching release.

    :raises Unavailable: when it cannot be fetched.
    """
    home = CACHE / f"sdist-{release}"
    with _only_one_process("sdist"):
        if not home.exists():
            fetched = CACHE / f"fetch-{release}"
            _run_pip(
                sys.executable, "download", "--quiet", "--no-deps", "--no-binary", ":all:",
                "--dest", str(fetched), f"Flask-Caching=={release}",
            )  # fmt: skip
            (archive,) = fetched.glob("*.tar.gz")
            with tarfile.open(archive) as opened:
                opened.extractall(fetched, filter="data")
            (unpacked,) = (path for path in fetched.iterdir() if path.is_dir())
            unpacked.rename(home)
    return home / "tests"
