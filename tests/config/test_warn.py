"""Warnings point at the line of the application that set the cache up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cachelib.serializers import SimpleSerializer
from flask import Flask
from flask_caching import Cache
from warned import caught_warnings

QUIET = {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}


def _by_constructor(config: dict[str, Any]) -> None:
    Cache(Flask(__name__), config=config)


def _by_init_app(config: dict[str, Any]) -> None:
    cache = Cache()
    cache.init_app(Flask(__name__), config)


@pytest.mark.parametrize("set_up", [_by_constructor, _by_init_app])
@pytest.mark.parametrize(
    ("config", "category"),
    [
        ({}, UserWarning),
        ({"CACHE_TYPE": "simple"}, DeprecationWarning),
        ({**QUIET, "CACHE_SERIALIZER": SimpleSerializer}, UserWarning),
    ],
    ids=["null", "deprecated", "serializer"],
)
def test_a_warning_names_the_file_of_the_application(
    set_up: Callable[[dict[str, Any]], None], config: dict[str, Any], category: type[Warning]
) -> None:
    with caught_warnings() as caught:
        set_up(config)

    assert [(warning.category, warning.filename) for warning in caught] == [(category, __file__)]
