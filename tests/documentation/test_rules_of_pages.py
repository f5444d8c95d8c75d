"""The tests that the documentation of pages names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("tests/pages", "tests/security")

TABLE = (ROOT / "docs/caching/pages.md").read_text().partition("## The rules of HTTP")[2]
RULES = [line for line in TABLE.splitlines() if line.startswith("| RFC")]


def test_the_table_has_rules_of_all_four() -> None:
    for rfc in ("9110", "9111", "9211", "5861"):
        assert any(f"RFC {rfc}" in rule for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.split("|")[1].strip())
def test_each_rule_names_tests_that_are_there(rule: str) -> None:
    named = re.findall(r"`(test_\w+)(\.py)?`", rule.split("|")[3])
    assert any(is_file for _, is_file in named)
    assert any(not is_file for _, is_file in named)
    source = ""
    for name, is_file in named:
        if is_file:
            files = [path for folder in FOLDERS for path in (ROOT / folder).rglob(f"{name}.py")]
            source = files[0].read_text()
        else:
            assert f"def {name}(" in source
