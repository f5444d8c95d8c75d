"""The files and folders that ARCHITECTURE.md names are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("python", "crates", "tests", "docs", "benches", "examples", "tools", "fuzz")
NAMED = re.compile(r"`([\w./-]+(?:/|\.(?:rs|py|md)))`")


def places() -> Iterator[str]:
    """The paths of all folders and files, those of folders with a slash at their end."""
    for folder in FOLDERS:
        yield f"/{folder}/"
        for path in (ROOT / folder).rglob("*"):
            yield f"/{path.relative_to(ROOT)}" + "/" * path.is_dir()


def test_what_the_architecture_names_is_there() -> None:
    named = set(NAMED.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")))
    assert len(named) > 50
    there = list(places())
    gone = {name for name in named if not any(path.endswith(f"/{name}") for path in there)}
    assert gone == set()
