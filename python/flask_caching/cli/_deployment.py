"""What is known of the processes that will serve an application: what gunicorn or uWSGI is told."""

from __future__ import annotations

import ast
import operator
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["timeout", "workers"]

#: How an option of gunicorn is written on its command line, and in its configuration.
_WORKERS = ("workers", "-w", "--workers")
_TIMEOUT = ("timeout", "-t", "--timeout")

#: A variable of a shell: ``$NAME``, ``${NAME}``, or ``${NAME:-what it is otherwise}``.
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")


def workers() -> float | None:
    """How many processes there will be; None: nobody says."""
    said = _of_gunicorn(*_WORKERS)
    if said is None:
        said = _number(os.environ.get("WEB_CONCURRENCY"))
    return _of_uwsgi("processes", "workers") if said is None else said


def timeout() -> float | None:
    """After how many seconds a worker is ended that is not done; 0: never; None: nobody says."""
    said = _of_gunicorn(*_TIMEOUT)
    return _of_uwsgi("harakiri") if said is None else said


def _of_gunicorn(name: str, *flags: str) -> float | None:
    """An option, by a command, its environment or a file in the current directory."""
    for words in _commands():
        for at, word in enumerate(words):
            flag, equals, value = word.partition("=")
            if flag in flags:
                return _number(value if equals else " ".join(words[at + 1 : at + 2]))
            if len(flag) > 2 and flag[:2] == flags[0] and flag[1] != "-":
                return _number(flag[2:])
    try:
        tree = ast.parse(_text("gunicorn.conf.py"))
    except (SyntaxError, ValueError):
        return None
    known: dict[str, float | None] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            number = None if node.value is None else _value(node.value, known)
            known.update({_name(target): number for target in targets})
    return known.get(name)


def _commands() -> Iterator[list[str]]:
    """The arguments of gunicorn."""
    for line in _text("Procfile").splitlines():
        command, found, arguments = line.partition("gunicorn")
        if found and command.startswith("web:"):
            yield _words(_VARIABLE.sub(_of_variable, arguments))
    yield _words(os.environ.get("GUNICORN_CMD_ARGS", ""))


def _of_uwsgi(*names: str) -> float | None:
    """An option of uWSGI, by its environment or ``uwsgi.ini`` in the current directory."""
    for name in names:
        said = _number(os.environ.get(f"UWSGI_{name.upper()}"))
        found = re.search(rf"^\s*{name}\s*=\s*(\d+)\s*$", _text("uwsgi.ini"), re.MULTILINE)
        if said is not None or found:
            return said if said is not None else _number(found and found[1])
    return None


_ARITHMETIC: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


def _of_variable(found: re.Match[str]) -> str:
    """What a shell has in the place of a variable."""
    return os.environ.get(found[1] or found[2]) or found[3] or ""


def _value(node: ast.expr, known: dict[str, float | None]) -> float | None:
    """A number that is written, in the environment, or reckoned from the number of processors.

    :param known: the numbers that have a name.
    """
    if isinstance(node, ast.Constant) and type(node.value) in (int, float, str):
        return _number(str(node.value))
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Call) and _name(node.func) in ("cpu_count", "process_cpu_count"):
        return float(os.cpu_count() or 1)
    if isinstance(node, ast.Call) and _name(node.func) in ("int", "float") and node.args:
        return _value(node.args[0], known)
    if isinstance(node, ast.Call) and _reads_environment(node.func):
        name, *default = node.args or [node.func]
        said = _number(os.environ.get(str(getattr(name, "value", ""))))
        return _value(default[0], known) if said is None and default else said
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        left, right = _value(node.left, known), _value(node.right, known)
        if left is not None and right is not None:
            return float(_ARITHMETIC[type(node.op)](left, right))
    return None


def _reads_environment(function: ast.expr) -> bool:
    """Whether it is ``os.environ.get``, or ``os.getenv``."""
    owner = getattr(function, "value", None)
    return _name(function) == "getenv" or (_name(function), _name(owner)) == ("get", "environ")


def _name(node: ast.expr | None) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _text(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _words(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError:
        return []


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
