"""What stands for an argument in a key, where its representation says too little."""

from __future__ import annotations

import gc
import re
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (re.compile("a" * 250), re.compile("a" * 249 + "b")),
        (re.compile(b"a" * 250), re.compile(b"a" * 251)),
        (re.compile("a"), re.compile("a", re.IGNORECASE)),
    ],
    ids=["long", "long-bytes", "flags"],
)
def test_different_patterns_have_different_entries(one: Any, other: Any) -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize()
    def pattern_of(pattern: re.Pattern[Any]) -> Any:
        return pattern.pattern, pattern.flags

    with app.app_context():
        assert pattern_of(one) == (one.pattern, one.flags)
        assert pattern_of(other) == (other.pattern, other.flags)
        assert pattern_of(re.compile(one.pattern, one.flags)) == (one.pattern, one.flags)


def test_a_local_class_keeps_its_identity_when_the_first_of_its_name_is_gone() -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    calls: list[int] = []

    @cache.memoize()
    def number_of(kind: type) -> int:
        calls.append(1)
        return len(calls)

    def make() -> type:
        class Local:
            pass

        return Local

    first, second = make(), make()
    with app.app_context():
        assert (number_of(first), number_of(second)) == (1, 2)
        del first
        gc.collect()
        assert number_of(second) == 2


@pytest.mark.parametrize(("source_check", "answers"), [(None, (1, 2)), (False, (1, 1))])
def test_functions_of_one_name_share_entries_only_without_source_check(
    source_check: bool | None, answers: tuple[int, int]
) -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    def first_and_second() -> tuple[int, int]:
        @cache.memoize(source_check=source_check)
        def function() -> int:
            return 1

        first = function()

        @cache.memoize(source_check=source_check)
        def function() -> int:  # type: ignore[no-redef]
            return 2

        return first, function()

    with app.app_context():
        assert first_and_second() == answers
