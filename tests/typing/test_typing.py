"""Decorated functions keep their types, and mistakes in their use are found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def _mistaken_lines() -> set[int]:
    lines = (FOLDER / "mistakes.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if "# mistake" in line}


def _check(checker: str, file: str, tmp_path: Path, *options: str) -> str:
    pytest.importorskip(checker)
    # From elsewhere, so that the configuration of this project does not apply.
    command = [sys.executable, "-m", checker, *options, str(FOLDER / file)]
    if checker == "pyright":  # which otherwise looks for packages with the first Python on PATH
        command += ["--pythonpath", sys.executable]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("checker", "options", "clean"),
    [
        ("mypy", ("--strict", "--python-version=3.11"), "Success"),
        ("pyright", ("--pythonversion=3.11",), "0 errors, 0 warnings"),
    ],
)
def test_type_checkers_accept_what_applications_write(
    checker: str, options: tuple[str, ...], clean: str, tmp_path: Path
) -> None:
    output = _check(checker, "usage.py", tmp_path, *options)
    assert clean in output


@pytest.mark.parametrize(("checker", "options"), [("mypy", ("--strict",)), ("pyright", ())])
def test_type_checkers_find_mistakes(
    checker: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    output = _check(checker, "mistakes.py", tmp_path, *options)
    found = {int(number) for number in re.findall(r"mistakes\.py:(\d+)(?::\d+ -)?.*error", output)}
    assert found == _mistaken_lines(), output
