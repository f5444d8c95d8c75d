"""How large files, functions and folders may be: what is larger is not read."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import flask_caching
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = Path(flask_caching.__file__).parent

LINES_OF_A_FILE = 450
LINES_OF_A_FUNCTION = 60
PARAMETERS = 7
MODULES_OF_THE_PACKAGE = 16
FILES_OF_A_FOLDER = 12

#: Signatures that are Flask-Caching's or an application's to read: constructors, and these.
PUBLIC = {"__init__", "cached", "memoize", "page", "_memoize_version"}

RUST_FUNCTION = re.compile(r"( *)(?:[a-z]+(?:\([^)]*\))? )*fn (\w+)")


def docstring_lines(node: ast.AST) -> int:
    """The lines of the docstrings of a function and of those within it."""
    functions = (
        inner
        for inner in ast.walk(node)
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and ast.get_docstring(inner) is not None
    )
    return sum((doc := inner.body[0]).end_lineno - doc.lineno + 1 for inner in functions)  # type: ignore[operator]


def python_functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Name, lines and number of parameters of each function, ``self`` not counted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = node.args
            names = [it.arg for it in given.posonlyargs + given.args + given.kwonlyargs]
            lines = (node.end_lineno or 0) - node.lineno + 1 - docstring_lines(node)
            yield node.name, lines, sum(name not in ("self", "cls") for name in names)


def rust_functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and lines of each function that has a body, as rustfmt writes it."""
    lines = source.splitlines()
    for start, line in enumerate(lines):
        function = RUST_FUNCTION.match(line)
        if function is not None:
            rest = range(start, len(lines))
            opened = next(at for at in rest if lines[at].endswith(("{", "}", ";")))
            if lines[opened].endswith("{"):
                closing = function[1] + "}"
                end = next(at for at in rest[opened - start :] if lines[at].startswith(closing))
                yield function[2], end - start + 1


def is_of_tests(path: Path) -> bool:
    return path.stem.endswith("tests") or bool({"tests", "benches"} & set(path.parts))


def every_source(ending: str) -> dict[str, Path]:
    """The sources of the package or of the crates, by their paths in there."""
    root, pattern = (PACKAGE, "*.py") if ending == "py" else (ROOT / "crates", "src/**/*.rs")
    return {str(path.relative_to(root)): path for path in sorted(root.rglob(pattern))}


def sources(ending: str) -> dict[str, str]:
    """The sources that are no tests, by their paths."""
    return {
        shown: path.read_text(encoding="utf-8")
        for shown, path in every_source(ending).items()
        if not is_of_tests(Path(shown))
    }


@pytest.mark.parametrize("ending", ["py", "rs"])
def test_no_file_is_too_long(ending: str) -> None:
    files = {path: source.count("\n") for path, source in sources(ending).items()}
    assert len(files) > 100
    assert {path for path, lines in files.items() if lines > LINES_OF_A_FILE} == set()


def test_no_function_is_too_long_or_has_too_many_parameters() -> None:
    functions = [
        (path, *function)
        for path, source in sources("py").items()
        for function in python_functions(source)
    ]
    assert len(functions) > 1000
    assert [it for it in functions if it[2] > LINES_OF_A_FUNCTION] == []
    assert [it for it in functions if it[3] > PARAMETERS and it[1] not in PUBLIC] == []


def test_no_function_of_rust_is_too_long() -> None:
    """That none has too many parameters, clippy sees to."""
    functions = [
        (path, *function)
        for path, source in sources("rs").items()
        for function in rust_functions(source)
    ]
    assert len(functions) > 1000
    assert [it for it in functions if it[2] > LINES_OF_A_FUNCTION] == []


def crowded_folders(paths: Iterable[str], limit: int) -> dict[str, int]:
    """The folders that hold more sources side by side, beside what makes a folder a module."""
    folders = Counter(
        str(Path(path).parent)
        for path in paths
        if Path(path).name not in ("__init__.py", "mod.rs", "lib.rs")
    )
    return {folder: files for folder, files in folders.items() if files > limit}


@pytest.mark.parametrize("ending", ["py", "rs"])
def test_folders_can_be_seen_at_a_glance(ending: str) -> None:
    crowded = crowded_folders(every_source(ending), FILES_OF_A_FOLDER)
    assert crowded.pop(".", 0) <= MODULES_OF_THE_PACKAGE
    assert crowded == {}


def test_folders_beside_the_sources_can_be_seen_at_a_glance() -> None:
    """Of whatever kind their files are, as far as git keeps them."""
    command = ["git", "ls-files", "tests", "benches", "tools"]
    try:
        kept = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no clone")
    paths = kept.stdout.splitlines()
    assert len(paths) > 200
    assert crowded_folders(paths, FILES_OF_A_FOLDER) == {}


def test_folders_are_counted() -> None:
    paths = ["a/__init__.py", "a/b.py", "a/c.py", "a/d/mod.rs", "a/d/e.rs", "f.py"]
    assert crowded_folders(paths, 1) == {"a": 2}


def test_functions_are_measured() -> None:
    python = 'def f(self, a, /, b=1, *, c):\n    """Doc.\n\n    More."""\n    return a\n'
    assert list(python_functions(python)) == [("f", 2, 3)]
    rust = (
        "pub(crate) fn one(\n    a: [u8; 2],\n) -> u8 {\n    2\n}\n\n"
        "impl A {\n    const fn two() {\n        three();\n    }\n"
        "    fn four(&self);\n    fn five() {}\n}\n"
    )
    assert list(rust_functions(rust)) == [("one", 5), ("two", 3)]
