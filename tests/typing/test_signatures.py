"""What an editor shows of the methods of a cache: names, defaults and words."""

from __future__ import annotations

import inspect

import pytest
from flask_caching import Cache

SIGNATURES = {
    "get": "key",
    "set": "key, value, timeout=None, tags=None",
    "add": "key, value, timeout=None, tags=None",
    "has": "key",
    "delete": "key",
    "delete_many": "*keys",
    "unlink": "*keys",
    "get_many": "*keys",
    "get_dict": "*keys",
    "set_many": "mapping, timeout=None, tags=None",
    "inc": "key, delta=1",
    "dec": "key, delta=1",
    "clear": "",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_method_says_what_it_takes(name: str) -> None:
    for method in (getattr(Cache, name), getattr(Cache(), name)):
        parameters = [
            parameter.replace(annotation=inspect.Parameter.empty)
            for parameter in inspect.signature(method).parameters.values()
            if parameter.name != "self"
        ]
        assert ", ".join(map(str, parameters)) == SIGNATURES[name]


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_method_says_what_it_does(name: str) -> None:
    words = inspect.getdoc(getattr(Cache, name)) or ""
    first, *rest = words.splitlines()
    assert first.endswith(".")
    for parameter in inspect.signature(getattr(Cache, name)).parameters:
        assert parameter == "self" or parameter in words or "otherwise as" in words
    assert "eturn" in words or "otherwise as" in words or first.startswith(("The ", "Whether "))
    assert rest
