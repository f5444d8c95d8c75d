"""The documentation lists every backend and every setting."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from flask_caching.backends import _registry
from flask_caching.config import GENERAL

DOCS = Path(__file__).parents[2] / "docs"
expand = runpy.run_path(str(DOCS / "backend_tables.py"))["expand"]


def page(name: str) -> str:
    return str(expand((DOCS / name).read_text(encoding="utf-8")))


def test_every_backend_is_listed_with_its_former_names() -> None:
    text = page("backends/index.md")
    for spec in _registry.specs():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{spec.name}` |"))
        assert all(f"`{name}`" in row for name in spec.deprecated)
        assert spec.doc in row


def test_every_setting_is_listed_once_with_its_backends() -> None:
    text = page("configuration.md")
    rows = re.findall(r"^\| `(CACHE_\w+)` \|.*$", text, re.MULTILINE)
    for setting in GENERAL:
        assert rows.count(setting.name) == 1, setting.name
    for spec in _registry.specs():
        for setting in spec.settings:
            assert rows.count(setting.name) == 1, setting.name
            assert re.search(rf"^\| `{setting.name}` \|[^|]*\b{spec.name}\b", text, re.MULTILINE)


def test_a_default_is_shown_as_it_is_written() -> None:
    text = page("configuration.md")
    assert re.search(r"\| `CACHE_FILE_HASH_METHOD` \| FileSystemCache \| `hashlib.sha256` \|", text)
    assert re.search(r"\| `CACHE_REDIS_PORT` \| RedisCache \| `6379` \|", text)
    assert re.search(r"\| `CACHE_DIR` \| FileSystemCache, SharedCache \| none \|", text)


def test_a_table_that_is_none_is_an_error() -> None:
    with pytest.raises(KeyError):
        expand("<!-- table: nothing -->")


@pytest.mark.parametrize("name", ["backends/index.md", "configuration.md"])
def test_a_page_has_no_table_left_to_make(name: str) -> None:
    assert "<!-- table" not in page(name)
