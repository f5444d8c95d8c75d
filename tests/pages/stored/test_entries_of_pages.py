"""Pages in the in-process store: one entry each, whatever they can be deleted by."""

from __future__ import annotations

from typing import Any

import pytest
from paged import Paged

#: As many entries as the store keeps.
MOST = 60


def hits(paged: Paged, count: int) -> int:
    """How many of so many URLs a page answers."""
    answers = [paged.get(f"/page?q={number}") for number in range(count)]
    return sum(" hit" in answer.headers["Cache-Status"] for answer in answers)


@pytest.mark.parametrize("options", [{}, {"stale_if_error": 5}, {"tags": ("all",), "vary": ("A",)}])
@pytest.mark.parametrize("in_front", [True, False], ids=["in_front", "in_place"])
def test_a_page_is_one_entry(in_front: bool, options: dict[str, Any]) -> None:
    settings = {"CACHE_THRESHOLD": MOST, "CACHE_PAGES_IN_FRONT": True}
    paged = Paged(settings=settings, in_front=in_front, **options)
    # Tags, and the key that stands for all of them, are entries too.
    count = MOST - 2
    assert hits(paged, count) == 0
    assert hits(paged, count) == count
    names = [key for key, *_ in paged.cache.cache._entries()]
    assert sum(name.startswith("page:") for name in names) == count
    assert not any(name.endswith("_memver") for name in names)
    paged.cache.delete_page("/page", query={"q": 7})
    assert hits(paged, count) == count - 1
    paged.cache.delete_page("/page")
    assert len(paged.cache.cache._entries()) <= 2
    assert hits(paged, 3) == 0


def test_a_deleted_page_leaves_no_variant() -> None:
    paged = Paged(vary=("Accept",))
    paged.get("/page")
    assert "vary-miss" in paged.get("/page", headers={"Accept": "a"}).headers["Cache-Status"]
    paged.cache.delete_page("/page")
    assert "uri-miss" in paged.get("/page", headers={"Accept": "b"}).headers["Cache-Status"]
    assert "vary-miss" in paged.get("/page", headers={"Accept": "c"}).headers["Cache-Status"]


def test_a_store_whose_methods_are_the_applications_own_has_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may keep entries elsewhere, where nothing is deleted with another one."""
    paged = Paged()
    stored: dict[str, Any] = {}
    backend = type(paged.cache.cache)
    own = backend.set

    def set(self: Any, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        stored[key] = value
        return own(self, key, value, *args, **kwargs)

    monkeypatch.setattr(backend, "set", set)
    paged.get("/page")
    assert " hit" in paged.get("/page").headers["Cache-Status"]
    assert len(stored) == 1
    paged.cache.delete_page("/page")
    assert " hit" not in paged.get("/page").headers["Cache-Status"]
    assert " hit" in paged.get("/page").headers["Cache-Status"]
    monkeypatch.undo()
    # What was stored in the other way is deleted in the usual one.
    paged.cache.delete_page("/page")
    assert " hit" not in paged.get("/page").headers["Cache-Status"]
    assert " hit" in paged.get("/page").headers["Cache-Status"]
    assert len(stored) == 2


def test_what_a_page_depends_on_is_weighed_with_it() -> None:
    paged = Paged(settings={"CACHE_MAX_BYTES": 1 << 20})
    paged.get("/page")
    backend = paged.cache.cache
    (page,) = (key for key, *_ in backend._entries() if key.startswith("page:"))
    # The same and a little more, and no page.
    backend.set("longer", (*backend.get(page), "x"))
    assert backend._details(page)[0] > backend._details("longer")[0]
