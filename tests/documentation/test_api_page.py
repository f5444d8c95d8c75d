"""The API page lists every method of a cache, and every backend."""

from __future__ import annotations

from pathlib import Path

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
