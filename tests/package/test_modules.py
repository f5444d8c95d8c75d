"""How the modules of the package hang together."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flask_caching
import pytest

PACKAGE = Path(flask_caching.__file__).parent


def module_names() -> dict[str, Path]:
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = module_names()


#: Whatever is imported of the package, the package is first, with what it imports. The others are
#: each imported after that, in a child that has none of them.
PROGRAM = """
import importlib, os, sys, traceback
import flask_caching
for name in sys.argv[1:]:
    if name in sys.modules:
        continue
    if os.fork() == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f"{name} cannot be imported first")
"""


def test_every_module_can_be_imported_first() -> None:
    """Whatever is imported first, nothing is half made."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, *MODULES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def imports(name: str, path: Path) -> Iterator[str]:
    """The modules of the package that a module imports, wherever in its code."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending.extend(node.orelse)
            continue
        pending.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        if isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(relative, package) if node.level else node.module
            for alias in node.names:
                if f"{source}.{alias.name}" in MODULES:
                    yield f"{source}.{alias.name}"
                elif source in MODULES:
                    yield source


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that import each other."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        pending, seen = [start], set()
        while pending:
            for target in graph[pending.pop()] - seen:
                seen.add(target)
                pending.append(target)
        reached[start] = seen
    groups = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in graph
        if name in reached[name]
    }
    return [set(group) for group in groups]


def test_no_modules_import_each_other() -> None:
    graph = {name: set(imports(name, path)) for name, path in MODULES.items()}
    assert graph["flask_caching.config.made"] >= {
        "flask_caching.errors",
        "flask_caching.backends.spec",
    }
    found = cycles(graph)
    assert not found, "\n".join(", ".join(sorted(group)) for group in found)


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": {"b"}, "b": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [{"a", "b", "c"}]),
        ({"a": {"a"}}, [{"a"}]),
    ],
)
def test_cycles_are_found(graph: dict[str, set[str]], expected: list[set[str]]) -> None:
    assert cycles(graph) == expected
