"""What README and docs show is true: their Python code runs, their templates compile."""

from __future__ import annotations

import contextvars
import re
import sys
from pathlib import Path

import jinja2
import pytest
from flask_caching.jinja2ext import CacheExtension

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts),
]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The blocks of one language, each with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start("code")) + 1, match["code"])
        for match in BLOCK.finditer(text)
        if match["language"] == language
    ]


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


@pytest.fixture
def module_of_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """A namespace that the blocks of one page share, as if they were one module."""
    monkeypatch.chdir(tmp_path)
    module = type(sys)("page")
    monkeypatch.setitem(sys.modules, "page", module)
    return module.__dict__


@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_run_in_order(page: Path, module_of_the_page: dict[str, object]) -> None:
    # A copy of the context: an application context that a page pushes ends with the page.
    context = contextvars.copy_context()
    for line, code in blocks(page, "python"):
        # Blank lines in front, so that a traceback names the line of the page.
        block = compile("\n" * (line - 1) + code, str(page), "exec")
        context.run(exec, block, module_of_the_page)


@pytest.mark.parametrize("page", pages_with("jinja"), ids=lambda page: str(page.relative_to(ROOT)))
def test_jinja_blocks_compile(page: Path) -> None:
    environment = jinja2.Environment(extensions=[CacheExtension])
    for _, code in blocks(page, "jinja"):
        environment.from_string(code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page} links to {target}"


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        assert name == "index" or f"\n{name}\n" in index


def test_tests_that_are_named_are_there() -> None:
    named = 0
    for page in PAGES:
        file = ""
        for name in re.findall(r"`(test_\w+(?:\.py)?)`", page.read_text(encoding="utf-8")):
            if name.endswith(".py"):
                (path,) = (ROOT / "tests").rglob(name)
                file = path.read_text(encoding="utf-8")
            else:
                named += 1
                assert f"def {name}(" in file, f"{page} names {name}"
    assert named
