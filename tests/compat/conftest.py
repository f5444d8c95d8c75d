"""Two worker processes: one with Flask-Caching from PyPI, one with this package."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .reference import Unavailable, Unsupported, reference_python
from .under_either.worker import read_frame, write_frame

PROGRAMS = Path(__file__).parent / "under_either"


class Worker:
    """Runs functions of files of ``under_either`` under one interpreter.

    :param python: the interpreter, with either package installed.
    """

    TIMEOUT = 60.0

    def __init__(self, python: Path | str) -> None:
        self._process = subprocess.Popen(
            [str(python), str(PROGRAMS / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )

    def call(self, module: str, function: str, *arguments: Any) -> Any:
        """What ``function(*arguments)`` of ``<module>.py`` returns there.

        :raises AssertionError: with the traceback of the other process when it raised there.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        write_frame(self._process.stdin, (str(PROGRAMS / f"{module}.py"), function, arguments))
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            ready = selector.select(self.TIMEOUT)
        assert ready, f"{module}.{function} has not answered for {self.TIMEOUT} s"
        succeeded, answer = read_frame(self._process.stdout)
        assert succeeded, answer
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def reference() -> Iterator[Worker]:
    """Flask-Caching as published; skips where it cannot run or be installed (fails under CI)."""
    try:
        python = reference_python()
    except Unsupported as error:
        pytest.skip(str(error))
    except Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"the reference cannot be installed: {error}")
        pytest.skip(f"the reference cannot be installed: {error}")
    worker = Worker(python)
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def ours() -> Iterator[Worker]:
    """This package, in a process of its own."""
    worker = Worker(sys.executable)
    yield worker
    worker.close()
