"""Pages with tags."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response, make_response
from flask_caching import Cache
from paged import Paged


@pytest.mark.parametrize("in_front", [True, False])
def test_a_tag_is_deleted_with_its_pages(store: dict[str, Any], in_front: bool) -> None:
    paged = Paged(None, store, tags=("one", "two"), in_front=in_front)
    assert paged.is_stored()
    paged.cache.delete_tags("other")
    assert paged.get().data == b"run 1"
    paged.cache.delete_tags("two")
    assert paged.get().data == b"run 2"
    assert paged.get().data == b"run 2"


@pytest.mark.parametrize("in_front", [True, False])
def test_tags_are_said_of_the_answer_and_the_views_arguments(
    store: dict[str, Any], in_front: bool
) -> None:
    app = Flask("tagged")
    app.config.update(store)
    cache = Cache(app)
    asked: list[Any] = []
    runs: list[str] = []

    def tags(response: Response, slug: str) -> list[str]:
        asked.append((response.status_code, response.headers["X-Kind"], slug))
        return [f"article:{slug}", response.headers["X-Kind"]]

    @app.get("/articles/<slug>")
    @cache.page(timeout=60, tags=tags, in_front=in_front)
    def article(slug: str) -> Response:
        runs.append(slug)
        response = make_response(slug)
        response.headers["X-Kind"] = slug[0]
        return response

    client = app.test_client()

    def ask() -> list[str]:
        del runs[:]
        for slug in ("ants", "apes", "bees"):
            assert client.get(f"/articles/{slug}").get_data(True) == slug
        return list(runs)

    assert ask() == ["ants", "apes", "bees"]
    assert ask() == []
    assert asked[0] == (200, "a", "ants")
    cache.delete_tags("article:ants")
    assert ask() == ["ants"]
    cache.delete_tags("a")
    assert ask() == ["ants", "apes"]


def test_tags_of_the_answer_alone() -> None:
    paged = Paged(tags=lambda response: [response.get_data(True)])
    paged.get()
    paged.cache.delete_tags("run 1")
    assert paged.get().data == b"run 2"


def test_tags_that_cannot_be_had_keep_it_from_being_stored(caplog: Any) -> None:
    paged = Paged(tags=lambda response: 1 / 0)
    assert not paged.is_stored()
    assert paged.status() == "flask-caching; fwd=uri-miss; detail=tags"
    assert "tags" in caplog.text


@pytest.mark.parametrize("in_front", [True, False])
def test_a_tag_that_is_deleted_while_the_view_runs_wins(
    store: dict[str, Any], in_front: bool
) -> None:
    def view(run: int) -> str:
        if run == 1:
            paged.cache.delete_tags("one")
        return f"run {run}"

    paged = Paged(view, store, tags=lambda response: ["one"], in_front=in_front)
    assert [paged.get().data for _ in range(3)] == [b"run 1", b"run 2", b"run 2"]
