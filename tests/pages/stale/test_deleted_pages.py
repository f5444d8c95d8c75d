"""Pages: what makes them stale."""

from __future__ import annotations

from typing import Any

import pytest
from flask import request
from paged import Paged

REQUESTS = [
    ("http://one.example", ""),
    ("http://one.example", "?q=1"),
    ("http://two.example", ""),
    ("http://two.example", "?q=1"),
]


def fresh(paged: Paged) -> list[bool]:
    """Which of the requests a page is there for."""
    answers = [paged.get("/page" + query, base_url=base) for base, query in REQUESTS]
    return [" hit" in answer.headers["Cache-Status"] for answer in answers]


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        ({"path": "/page"}, [False, False, False, False]),
        ({"path": "/page", "host": "ONE.example"}, [False, False, True, True]),
        ({"path": "/page", "query": {"q": 1}}, [True, False, True, False]),
        ({"path": "/page", "query": ""}, [False, True, False, True]),
        ({"path": "/page?q=1", "host": "two.example"}, [True, True, True, False]),
        ({"path": "http://one.example/page"}, [False, False, True, True]),
        ({"path": "/other"}, [True, True, True, True]),
        ({"path": "/pag%65"}, [False, False, False, False]),
    ],
)
def test_a_page_is_deleted_with_its_variants(options: dict[str, Any], stays: list[bool]) -> None:
    paged = Paged(vary=("Accept",))
    fresh(paged)
    assert fresh(paged) == [True] * 4
    paged.cache.delete_page(**options)
    assert fresh(paged) == stays


@pytest.mark.parametrize("in_front", [True, False], ids=["in_front", "in_place"])
def test_every_store_forgets_what_is_named_and_no_more(
    store: dict[str, Any], in_front: bool
) -> None:
    paged = Paged(settings=store, vary=("Accept",), in_front=in_front)
    paged.app.add_url_rule("/page", "change", lambda: "changed", methods=["POST"])
    fresh(paged)
    deletions: list[tuple[dict[str, Any], list[bool]]] = [
        ({"query": {"q": 1}}, [True, False, True, False]),
        ({"host": "one.example"}, [False, False, True, True]),
        ({"query": "", "host": "two.example"}, [True, True, False, True]),
        ({}, [False, False, False, False]),
    ]
    for options, stays in deletions:
        assert fresh(paged) == [True] * 4
        paged.cache.delete_page("/page", **options)
        assert fresh(paged) == stays
    paged.client.post("/page?z=1", base_url="http://one.example")
    assert fresh(paged) == [False, False, True, True]


@pytest.mark.parametrize("options", [{"host": "one.example"}, {"query": "q=1"}])
def test_a_page_that_all_share_is_among_them(options: dict[str, Any]) -> None:
    paged = Paged(host=False, query=())
    paged.get()
    paged.cache.delete_page("/page", **options)
    assert paged.get().data == b"run 2"


@pytest.mark.parametrize(
    "query",
    [
        "a=1&utm=x",
        "utm=x&%61=1&b=2;c=3",
        {"a": 1, "utm": "x", "b": "2;c=3"},
        "a=1&b=2%3Bc%3D3",
        "a=1&b=2;c=3&\xe9=\u20ac",
    ],
)
def test_arguments_that_are_no_part_of_the_page_do_not_count(query: Any) -> None:
    paged = Paged(query=("b", "a"))
    paged.get("/page?utm=y&a=1" + ("&b=2;c=3" if "b" in query else ""))
    paged.get("/page?a=2")
    paged.cache.delete_page("/page", query=query)
    again = paged.get("/page?a=1" + ("&b=2;c=3" if "b" in query else ""))
    assert again.data == b"run 3"
    assert paged.get("/page?a=2").data == b"run 2"


def test_a_page_is_deleted_by_a_query_that_is_not_escaped() -> None:
    paged = Paged()
    paged.get("/page?q=%C3%A9")
    paged.cache.delete_page("/page?q=\xe9")
    assert paged.get("/page?q=%C3%A9").data == b"run 2"


@pytest.mark.parametrize("host", ["one.example", "one.example:80"])
def test_a_page_is_deleted_by_its_host_with_the_default_port_and_without(host: str) -> None:
    paged = Paged()
    for _ in range(2):
        paged.get(environ_overrides={"HTTP_HOST": host})
        paged.cache.delete_page("/page", host="one.example:80")
    assert paged.runs == 2


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/a\tb", "/a\tb"),
        ("/a\tb", "/a%09b"),
        ("//a/b", "//a/b"),
        ("//a", "//a"),
        ("/a%b", "/a%25b"),
        ("/a?b", "/a%3Fb"),
        ("/a;b", "/a;b"),
        ("/a b", "/a b"),
        ("/\xe9", "/%E9"),
        ("/\xc3\xa9", "/\xe9"),
        ("/[a]@b:c\\", "/[a]@b:c\\"),
    ],
)
def test_a_page_is_deleted_by_any_path_and_no_other_is(path: str, given: str) -> None:
    paged = Paged()
    paged.app.url_map.merge_slashes = False
    view: Any = paged.app.view_functions["page"]
    paged.app.add_url_rule("/<path:rest>", "any", lambda rest: view())
    answers = []
    for _ in range(2):
        for one in (path, "/ab", "/b"):
            answers.append(paged.get("/", environ_overrides={"PATH_INFO": one}).data)
        paged.cache.delete_page(given)
    assert answers[3] != answers[0]
    assert answers[4:] == answers[1:3]


@pytest.mark.parametrize("sent", ["xn--bcher-kva.example:8080", "B\xfccher.example:8080"])
def test_a_page_is_deleted_by_a_host_in_any_letters(sent: str) -> None:
    paged = Paged()
    for _ in range(2):
        paged.get(environ_overrides={"HTTP_HOST": sent})
        paged.cache.delete_page("/page", host="b\xfccher.example:8080")
    assert paged.runs == 2


@pytest.mark.parametrize("path", ["page", "", None, 7])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match="path"):
        Paged().cache.delete_page(path)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(("status", "is_stale"), [(200, True), (303, True), (400, False)])
def test_a_change_makes_the_pages_of_its_url_stale(
    method: str, status: int, is_stale: bool
) -> None:
    paged = Paged()
    paged.app.add_url_rule(
        "/page",
        "change",
        lambda: ("changed", status),
        methods=[method],
        provide_automatic_options=False,
    )
    paged.get("/page?a=1")
    paged.client.open("/page", method=method)
    assert (paged.get("/page?a=1").data == b"run 2") is is_stale


@pytest.mark.parametrize(
    ("base", "host", "is_same"),
    [
        ("http://one.example", "one.example:80", True),
        ("http://one.example", "one.example:443", False),
        ("https://one.example", "one.example:443", True),
        ("http://one.example:8080", "one.example", False),
    ],
)
def test_the_default_port_of_a_scheme_counts_as_none(base: str, host: str, is_same: bool) -> None:
    paged = Paged()
    paged.app.add_url_rule("/page", "change", lambda: "changed", methods=["POST"])
    named = [base.partition("://")[2], host]
    for kept, changed in (named, named[::-1]):
        paged.cache.clear()
        before = paged.runs
        paged.get(base_url=base, environ_overrides={"HTTP_HOST": kept})
        paged.client.post("/page", base_url=base, environ_overrides={"HTTP_HOST": changed})
        paged.get(base_url=base, environ_overrides={"HTTP_HOST": kept})
        assert paged.runs - before == (2 if is_same else 1)


def test_a_change_elsewhere_makes_nothing_stale() -> None:
    paged = Paged()
    paged.app.add_url_rule("/other", "change", lambda: "changed", methods=["POST"])
    paged.get()
    paged.client.post("/other")
    paged.client.post("/page", base_url="http://other.example")
    assert paged.get().data == b"run 1"


def test_clear_forgets_pages() -> None:
    paged = Paged()
    paged.get()
    paged.cache.clear()
    assert paged.get().data == b"run 2"


def test_an_answer_from_before_a_deletion_is_not_stored() -> None:
    def view(run: int) -> str:
        if run == 1:
            paged.cache.delete_page(request.path)
        return f"run {run}"

    paged = Paged(view)
    assert [paged.get().data for _ in range(3)] == [b"run 1", b"run 2", b"run 2"]
