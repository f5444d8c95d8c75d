"""The extension needs the GIL and says so, and nothing runs without it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig

import pytest

free_threaded = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this CPython always has a GIL"
)


def python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHON_GIL", "PYTHONWARNINGS")}
    return subprocess.run(
        [sys.executable, *options, "-c", program], env=environment, capture_output=True, text=True
    )


@free_threaded
def test_importing_it_turns_the_gil_on() -> None:
    done = python(
        "import sys; import flask, blinker, cachelib; before = sys._is_gil_enabled();"
        "import flask_caching; print(before, sys._is_gil_enabled())"
    )
    assert done.stdout.split() == ["False", "True"], done.stderr
    assert "RuntimeWarning: The global interpreter lock (GIL) has been enabled" in done.stderr
    assert "flask_caching._engine" in done.stderr


@free_threaded
def test_it_is_not_imported_where_the_gil_must_stay_off() -> None:
    done = python("import flask_caching", "-X", "gil=0")
    assert "ImportError: flask_caching needs the GIL" in done.stderr


def test_it_is_not_imported_without_a_gil() -> None:
    done = python("import sys; sys._is_gil_enabled = lambda: False; import flask_caching")
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: flask_caching needs the GIL")
    assert "PYTHON_GIL=0" in last
