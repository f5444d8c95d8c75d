"""What a cached view does with an HTTPException that it raises or returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from flask import Flask, abort
from flask_caching import Cache
from werkzeug.exceptions import Gone, HTTPException


def _raising() -> NoReturn:
    abort(410, description="it is gone")


def _returning() -> HTTPException:
    return Gone(description="it is gone")


@pytest.mark.parametrize("view", [_raising, _returning])
@pytest.mark.parametrize("wanted", [True, False])
def test_it_is_filtered_once_stored_and_raised(
    app: Flask, cache: Cache, view: Callable[[], Any], wanted: bool
) -> None:
    ran: list[None] = []
    filtered: list[int] = []

    def response_filter(response: Any) -> bool:
        filtered.append(response.status_code)
        return wanted

    @app.route("/")
    @cache.cached(response_filter=response_filter)
    def cached_view() -> Any:
        ran.append(None)
        return view()

    client = app.test_client()
    answers = [client.get("/") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert all("it is gone" in answer.text for answer in answers)
    times = 1 if wanted else 2
    assert len(ran) == times
    assert filtered == [410] * times


def test_one_that_a_response_filter_raises_is_no_answer_of_the_view(
    app: Flask, cache: Cache
) -> None:
    filtered: list[None] = []

    def response_filter(response: Any) -> bool:
        filtered.append(None)
        abort(410)

    @app.route("/")
    @cache.cached(response_filter=response_filter)
    def view() -> str:
        return "fine"

    assert app.test_client().get("/").status_code == 410
    assert len(filtered) == 1
