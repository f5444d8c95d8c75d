"""Finds backends by their names, and imports no more of them than it has to.

There is no list: a module of one of the packages below is a backend's where a class in it has a
``backend_spec`` of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from .spec import BackendSpec

__all__ = ["find", "modules", "specs"]

_PACKAGES = ("flask_caching.backends", "flask_caching.contrib")


def find(name: str, package: str | None = None) -> Any:
    """The class of the backend called ``name``, now or in former times; None: there is none.

    :param package: look only in this package.
    """
    for backend in _classes(name):
        spec: BackendSpec = backend.backend_spec
        is_here = package is None or backend.__module__.startswith(f"{package}.")
        if is_here and name in (spec.name, *spec.deprecated):
            return backend
    return None


def specs() -> list[BackendSpec]:
    """The specs of all backends, by name."""
    return sorted((backend.backend_spec for backend in _classes("")), key=lambda spec: spec.name)


@cache
def modules() -> list[str]:
    """The names of the modules that may have backends."""
    return [
        f"{package}.{found.name}"
        for package in _PACKAGES
        for found in pkgutil.iter_modules(importlib.import_module(package).__path__)
        if not found.name.startswith("_")
    ]


def _classes(name: str) -> Iterator[Any]:
    """The classes of all backends; first those that most likely are called ``name``."""
    sought = name.lower()

    def place(module: str) -> tuple[bool, bool]:
        stem = module.rpartition(".")[2].removesuffix("cache")
        return stem not in sought, module not in sys.modules

    for module in sorted(modules(), key=place):
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, type) and value.__module__ == module and _has_spec(value):
                yield value


def _has_spec(kind: type) -> bool:
    # Of its own: a class inherits that of its base.
    return isinstance(vars(kind).get("backend_spec"), BackendSpec)
