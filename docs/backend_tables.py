"""The tables of backends and of their settings, made of what each backend says about itself.

A page shows one where it has the comment ``<!-- table: backends -->`` or
``<!-- table: settings -->``.
"""

from __future__ import annotations

import re
from typing import Any

from flask_caching.backends import _registry
from flask_caching.backends.spec import Setting

__all__ = ["expand"]

_MARK = re.compile(r"<!-- table: (\w+) -->")


def expand(text: str) -> str:
    """The source of a page, with its tables in the place of the comments.

    :raises KeyError: a comment names no table.
    """
    return _MARK.sub(lambda mark: _TABLES[mark[1]](), text)


def _backends() -> str:
    rows = [(f"`{spec.name}`", _quoted(spec.deprecated), spec.doc) for spec in _registry.specs()]
    return _table(("`CACHE_TYPE`", "old names", "entries live"), rows)


def _settings() -> str:
    known: dict[str, tuple[Setting, list[str]]] = {}
    for spec in _registry.specs():
        for setting in spec.settings:
            known.setdefault(setting.name, (setting, []))[1].append(spec.name)
    rows = [
        (f"`{name}`", ", ".join(names), _default(setting.default), setting.doc)
        for name, (setting, names) in sorted(known.items())
    ]
    return _table(("setting", "of", "default", "meaning"), rows)


_TABLES = {"backends": _backends, "settings": _settings}


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _default(value: Any) -> str:
    if value is None or value == "":
        return "none"
    name = getattr(value, "__name__", None)
    return f"`hashlib.{name.removeprefix('openssl_')}`" if name else f"`{value!r}`"
