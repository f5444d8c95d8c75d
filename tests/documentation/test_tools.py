"""What the scripts of ``tools/`` and the gallery say where they cannot work: a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def complaint(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """What a command that fails says last."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def toolchain(folder: Path, version: str, *others: str) -> str:
    """A PATH with a ``rustc`` of that version before what there is."""
    folder.mkdir()
    for name in ("cargo", "cc", "rustc", *others):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} {version}'\n")
        program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


NEED_CARGO = ("bash", "-c", "source tools/support/lib.sh; need_cargo")


@pytest.mark.parametrize("version", ["1.78.0 (9b00956e5 2024-04-29)", "1.9.0-nightly", "0.99.1"])
def test_an_old_toolchain_is_told_what_is_needed(tmp_path: Path, version: str) -> None:
    needed = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    short = ".".join(version.split(".")[:2])
    path = toolchain(tmp_path / "bin", version, "rustup")
    assert complaint(*NEED_CARGO, PATH=path) == (
        f"Rust {needed['rust-version']} or newer is needed, this is {short}: rustup update"
    )


@pytest.mark.parametrize("version", ["1.90.0", "1.100.3-nightly (x)", "2.0.0"])
def test_a_new_toolchain_is_enough(tmp_path: Path, version: str) -> None:
    path = toolchain(tmp_path / "bin", version)
    subprocess.run(NEED_CARGO, cwd=ROOT, check=True, env={**os.environ, "PATH": path})


def test_without_a_toolchain_it_is_said_where_to_get_one(tmp_path: Path) -> None:
    if shutil.which("cargo", path="/usr/bin:/bin"):
        pytest.skip("the system has a cargo of its own")
    said = complaint(*NEED_CARGO, PATH="/usr/bin:/bin", HOME=str(tmp_path))
    assert said.startswith("cargo is missing: install Rust")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("tools/bench",), "usage: tools/bench compare|growth|smoke"),
        (("tools/bench", "everything"), "usage: tools/bench compare|growth|smoke"),
        (("tools/wheel", "--sdits"), "usage: tools/wheel [--sdist | --for PYTHON]"),
        (("tools/wheel", "--for"), "usage: tools/wheel [--sdist | --for PYTHON]"),
        (("tools/demo", "--serve", "http"), "PORT has to be a whole number, not 'http'"),
        (("env", "SECONDS_EACH=1m", "tools/fuzz"), "SECONDS has to be a whole number, not '1m'"),
        (("env", "SECONDS_EACH=-1", "tools/soak"), "SECONDS has to be a whole number, not '-1'"),
        ((sys.executable, "tools/support/pythons.py", "soon"), "a version such as 3.14, not soon"),
        ((sys.executable, "tools/support/pythons.py", "3.0"), "no CPython >= 3.11 and below 3.0"),
        ((sys.executable, "-S", "tools/support/versions.py"), "flask is not installed for"),
        ((sys.executable, "-S", "tools/support/installed_check.py"), "cannot be imported by"),
    ],
    ids=lambda value: " ".join(map(str, value[-2:])) if isinstance(value, tuple) else None,
)
def test_a_script_fails_with_a_sentence(command: tuple[str, ...], said: str) -> None:
    found = complaint(*command)
    assert said in found
    assert "\n" not in found


@pytest.mark.parametrize("python", [sys.executable, "/no/such/python"])
def test_an_interpreter_with_a_gil_is_no_free_threaded_one(python: str) -> None:
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this is a free-threaded one")
    said = complaint("tools/test", FLASK_CACHING_FREE_THREADED_PYTHON=python)
    assert f"FLASK_CACHING_FREE_THREADED_PYTHON={python} is no free-threaded CPython" in said


def test_an_interpreter_that_does_not_run_is_none(tmp_path: Path) -> None:
    for version in (11, 12):
        (tmp_path / f"python3.{version}").symlink_to(tmp_path / "nothing")
    found = subprocess.run(
        [sys.executable, "tools/support/pythons.py"],
        cwd=ROOT,
        env={**os.environ, "PYENV_ROOT": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert found.stderr == ""


def test_the_gallery_says_at_once_what_is_not_installed() -> None:
    said = complaint(sys.executable, "-S", "-m", "gallery", cwd=ROOT / "examples").splitlines()
    assert "pip install gunicorn" in said[0]
    assert "pip install flask-caching-rs" in said[1]


def test_a_laboratory_without_the_other_side() -> None:
    command = (sys.executable, "-m", "laboratory", "--reference", "/no/such/python")
    said = complaint(*command, cwd=ROOT / "examples")
    assert said.endswith("argument --reference: /no/such/python is no program")


def test_without_make_it_is_said_that_it_is_missing(tmp_path: Path) -> None:
    said = complaint(sys.executable, "tools/support/try_serve.py", PATH=str(tmp_path))
    assert said == "make is missing: install it, then run this again"


def test_the_gallery_says_that_a_port_cannot_be_served() -> None:
    command = (sys.executable, "-m", "gallery", "--serve", "99999")
    assert "port 99999 cannot be served" in complaint(*command, cwd=ROOT / "examples")


def test_a_checkout_that_cannot_be_written_to() -> None:
    # Not `tmp_path`, which nobody else may enter.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "a checkout"
        shutil.copytree(ROOT / "tools", root / "tools")
        for path in (root, root.parent):
            path.chmod(0o555)
        done = subprocess.run(
            ["bash", root / "tools" / "develop"],
            cwd="/",
            capture_output=True,
            text=True,
            user=None if os.geteuid() else "nobody",
        )
        root.parent.chmod(0o755)
        root.chmod(0o755)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{root} cannot be written to by ")
    assert "\n" not in done.stderr.strip()
