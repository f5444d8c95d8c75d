"""The API page lists every method of a cache, and every backend."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import flask_caching
from flask_caching import Cache
from flask_caching.backends import _registry

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_every_backend_is_listed() -> None:
    for spec in _registry.specs():
        backend = _registry.find(spec.name)
        assert f".. autoclass:: {backend.__module__}.{backend.__name__}\n" in PAGE


def test_the_methods_of_a_cache_are_listed_wherever_they_are_defined() -> None:
    listed = PAGE.partition(".. autoclass:: flask_caching.Cache\n")[2].partition("\n\n")[0]
    assert ":members:" in listed
    assert ":inherited-members:" in listed
    for name in dir(Cache):
        if not name.startswith("_"):
            assert getattr(Cache, name).__doc__, name


def test_what_is_public_is_listed() -> None:
    listed = {
        name.rpartition(".")[2] for name in re.findall(r"auto(?:class|function|data):: (\S+)", PAGE)
    }
    modules = re.findall(r"automodule:: (\S+)\n   :members:", PAGE)
    for module in map(importlib.import_module, modules):
        listed.update(module.__all__)
    modules_of_it = {"backends", "signals", "utils"}
    assert set(flask_caching.__all__) - listed <= modules_of_it
    for name in ("errors", "stats", "health", "entry", "signals", "testing", "utils"):
        assert f"flask_caching.{name}" in modules


def test_the_page_leads_to_every_setting() -> None:
    assert "[Configuration](configuration.md)" in PAGE


def test_the_package_says_what_it_is() -> None:
    text = flask_caching.__doc__ or ""
    for name in re.findall(r"``(\w+)``", text):
        assert hasattr(Cache, name), name
