"""Pages of requests that come at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Response, make_response
from paged import Paged

MANY = 6


def together(paged: Paged, is_waiting: threading.Event) -> list[Any]:
    """The answers to many requests of which none is answered before all are there."""
    arrived = threading.Barrier(MANY)

    def request(_: int) -> Any:
        arrived.wait(60)
        return paged.app.test_client().get("/page")

    with ThreadPoolExecutor(MANY) as pool:
        answers = pool.map(request, range(MANY))
        is_waiting.set()
        return list(answers)


@pytest.mark.parametrize("in_front", [True, False])
def test_one_computes_and_the_others_get_its_page(in_front: bool) -> None:
    go_on = threading.Event()

    def view(run: int) -> str:
        go_on.wait(60)
        return f"run {run}"

    paged = Paged(view, {"CACHE_PAGES_IN_FRONT": True}, in_front=in_front)
    answers = together(paged, go_on)
    assert {answer.data for answer in answers} == {b"run 1"}
    assert {len(answer.headers.getlist("ETag")) for answer in answers} == {1}


def test_an_answer_that_is_not_stored_is_nobody_elses() -> None:
    go_on = threading.Event()

    def view(run: int) -> Response:
        go_on.wait(60)
        response = make_response(f"run {run}")
        response.set_cookie("visitor", str(run))
        return response

    paged = Paged(view)
    answers = together(paged, go_on)
    assert len({answer.data for answer in answers}) == MANY
    assert len({answer.headers["Set-Cookie"] for answer in answers}) == MANY


@pytest.mark.parametrize("in_front", [True, False])
def test_with_a_lease_one_process_computes_and_the_others_get_its_page(
    store: dict[str, Any], in_front: bool
) -> None:
    if store["CACHE_TYPE"] == "SimpleCache":
        pytest.skip("it is one process's own")
    go_on = threading.Event()
    has_begun = threading.Event()

    def view(run: int) -> str:
        has_begun.set()
        assert go_on.wait(60)
        return f"run {run}"

    # Each application has a backend of its own, as each process has.
    one, other = (Paged(view, store, in_front=in_front, lease=True) for _ in range(2))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.get)
        assert has_begun.wait(60)
        second = pool.submit(other.get)
        go_on.set()
        answers = [first.result(), second.result()]
    assert [answer.data for answer in answers] == [b"run 1", b"run 1"]
    assert (one.runs, other.runs) == (1, 0)
    assert answers[1].headers["Cache-Status"].startswith("flask-caching; hit")


def test_a_page_that_is_not_stored_lets_go_of_its_lease(store: dict[str, Any]) -> None:
    def view(run: int) -> Response:
        response = make_response(f"run {run}")
        response.set_cookie("visitor", str(run))
        return response

    one, other = (Paged(view, store, lease=True) for _ in range(2))
    for paged in (one, other, one):
        assert "Set-Cookie" in paged.get().headers
    assert (one.runs, other.runs) == (2, 1)
