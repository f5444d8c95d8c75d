"""The keys are those of Flask-Caching, for every call that it tells apart."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Worker

CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    {"CACHE_HASH_METHOD": "md5"},
    {"CACHE_HASH_METHOD": "sha512"},
    {"CACHE_SOURCE_CHECK": True},
    {"CACHE_ENABLE_SIGNALS": True},
]


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=str)
def test_keys_are_the_same(config: dict[str, Any], reference: Worker, ours: Worker) -> None:
    theirs = reference.call("keys_table", "keys", config)
    own = ours.call("keys_table", "keys", config)

    assert len(theirs) > 150
    assert own == theirs
