"""Options that are none, and code of the application that fails: its functions run all the same."""

from __future__ import annotations

import hashlib
import logging
import warnings
from itertools import count
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache
from warned import caught_warnings

OPTIONS = ("unless", "forced_update", "is_stale", "response_filter")
NOT_CALLABLE = [False, True, 0, 1, [], "yes"]


class Mistake(Exception):
    pass


def mistaken(*args: Any, **kwargs: Any) -> Any:
    raise Mistake("no telling")


def cached_view(app: Flask, cache: Cache, **options: Any) -> Any:
    """Returns what asks for the view's page, whose body is the number of the run."""
    runs = count()

    with warnings.catch_warnings():
        # Of the oldest Werkzeug on new Pythons.
        warnings.simplefilter("ignore", DeprecationWarning)

        @app.route("/page")
        @cache.cached(**options)
        def page() -> str:
            return str(next(runs))

    client = app.test_client()
    return lambda query="": client.get("/page" + query)


@pytest.mark.parametrize("given", NOT_CALLABLE)
@pytest.mark.parametrize("option", [*OPTIONS, "make_cache_key"])
def test_an_option_that_cannot_be_called_counts_for_nothing_in_views(
    app: Flask, cache: Cache, option: str, given: Any
) -> None:
    with caught_warnings() as caught:
        page = cached_view(app, cache, **{option: given})
    assert [warning.category for warning in caught] == [UserWarning]
    assert f"{option}={given!r}" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert [page().text for _ in range(2)] == ["0", "0"]


@pytest.mark.parametrize("given", NOT_CALLABLE)
@pytest.mark.parametrize("option", [*OPTIONS, "make_name"])
def test_an_option_that_cannot_be_called_counts_for_nothing_in_functions(
    cache: Cache, in_app: None, option: str, given: Any
) -> None:
    runs = count()
    with caught_warnings() as caught:
        f = cache.memoize(**{option: given})(lambda a: next(runs))
    assert [warning.filename for warning in caught] == [__file__]
    assert [f(1), f(1), f(2)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("given", "bodies"),
    [(0, "000"), (None, "000"), (1, "001"), ("yes", "001")],
)
def test_whether_the_query_string_counts_is_decided_by_truth(
    app: Flask, cache: Cache, given: Any, bodies: str
) -> None:
    page = cached_view(app, cache, query_string=given)
    assert "".join(page(query).text for query in ("?a=1", "?a=1", "?a=2")) == bodies


@pytest.mark.parametrize("query_string", [False, True])
@pytest.mark.parametrize("given", [None, 5, b"bytes"])
def test_a_prefix_that_is_no_text_leaves_the_view_uncached(
    app: Flask, cache: Cache, caplog: Any, given: Any, query_string: bool
) -> None:
    page = cached_view(app, cache, key_prefix=given, query_string=query_string)
    assert [page().text for _ in range(3)] == ["0", "1", "2"]
    (record,) = caplog.records
    assert f"key_prefix={given!r}" in record.getMessage()


def test_a_prefix_that_is_no_text_does_not_matter_beside_a_key(app: Flask, cache: Cache) -> None:
    page = cached_view(app, cache, key_prefix=None, make_cache_key=lambda: "key")
    assert [page().text for _ in range(2)] == ["0", "0"]


@pytest.mark.parametrize("names", [True, 1, 2.5])
def test_names_to_ignore_that_are_none_leave_the_function_uncached(
    cache: Cache, in_app: None, names: Any, caplog: pytest.LogCaptureFixture
) -> None:
    runs = count()
    with pytest.warns(UserWarning, match="args_to_ignore=.* has to be a list of names"):
        f = cache.memoize(args_to_ignore=names)(lambda a: next(runs))
    assert [f(1), f(1)] == [0, 1]
    (record,) = caplog.records
    assert repr(names) in record.getMessage()


def test_names_to_ignore_may_have_others_among_them(cache: Cache, in_app: None) -> None:
    runs = count()
    names: Any = [None, 1, "b"]
    with pytest.warns(UserWarning, match="has None, which is no name"):
        f = cache.memoize(args_to_ignore=names)(lambda a, b: next(runs))
    assert [f(1, 1), f(1, 2), f(2, 2)] == [0, 0, 1]


def test_a_hash_method_that_cannot_be_called_leaves_them_uncached(app: Flask, cache: Cache) -> None:
    runs = count()
    with pytest.warns(UserWarning, match="'md5' cannot be called.*hash_method=hashlib.md5"):
        f = cache.memoize(hash_method="md5")(lambda a: next(runs))  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="'md5' cannot be called"):
        page = cached_view(app, cache, hash_method="md5", query_string=True)
    with app.app_context():
        assert [f(1), f(1)] == [0, 1]
    assert [page().text for _ in range(2)] == ["0", "1"]


def test_a_hash_method_of_views_may_need_what_it_hashes(app: Flask, cache: Cache) -> None:
    page = cached_view(app, cache, hash_method=lambda data: hashlib.md5(data), query_string=True)
    assert [page("?a=1").text, page("?a=1").text, page("?a=2").text] == ["0", "0", "1"]


@pytest.mark.parametrize("timeout", [[], (5,), {"seconds": 5}, b"5", 1j, float("nan")], ids=repr)
def test_a_timeout_that_is_none_leaves_them_uncached(
    app: Flask, cache: Cache, timeout: Any
) -> None:
    runs = count()
    with pytest.warns(UserWarning, match="is no timeout, so nothing is cached"):
        f = cache.memoize(timeout)(lambda a: next(runs))
    with pytest.warns(UserWarning, match="is no timeout, so nothing is cached"):
        page = cached_view(app, cache, timeout=timeout)
    with app.app_context():
        assert [f(1), f(1)] == [0, 1]
    assert [page().text for _ in range(2)] == ["0", "1"]


@pytest.mark.parametrize(("timeout", "said"), [(False, "is 0, and what never"), (True, "is 1 sec")])
def test_a_timeout_that_is_a_bool_is_the_number_that_it_is(
    cache: Cache, in_app: None, timeout: bool, said: str
) -> None:
    runs = count()
    with pytest.warns(UserWarning, match=f"timeout={timeout} {said}"):
        f = cache.memoize(timeout)(lambda a: next(runs))
    assert [f(1), f(1)] == [0, 0]


@pytest.mark.parametrize("timeout", ["'sixty'", "''", "[]"])
def test_a_tag_with_a_timeout_that_is_none_is_rendered(
    cache: Cache, in_app: None, timeout: str
) -> None:
    runs = count()
    source = f"{{% cache {timeout}, 'name' %}}{{{{ run() }}}}{{% endcache %}}"
    rendered = [render_template_string(source, run=lambda: next(runs)) for _ in range(3)]
    assert rendered == ["0", "1", "2"]


# Code of the application that raises an exception.


@pytest.mark.parametrize(
    ("option", "bodies"),
    [
        ("make_cache_key", "012"),
        ("key_prefix", "012"),
        ("forced_update", "012"),
        ("is_stale", "012"),
    ],
)
def test_a_view_runs_uncached_where_the_application_fails_to_answer(
    app: Flask, cache: Cache, caplog: pytest.LogCaptureFixture, option: str, bodies: str
) -> None:
    page = cached_view(app, cache, **{option: mistaken})
    assert "".join(page().text for _ in range(3)) == bodies
    (record,) = (r for r in caplog.records if r.name == "flask_caching")
    assert record.levelno == logging.ERROR
    assert "page" in record.getMessage()
    assert "no telling" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is Mistake


class BrokenRepr:
    def __repr__(self) -> str:
        raise Mistake("no telling")


class BrokenIdentity:
    def __caching_id__(self) -> str:
        raise Mistake("no telling")


@pytest.mark.parametrize("option", ["make_name", "forced_update", "is_stale", "hash_method"])
def test_a_function_runs_uncached_where_the_application_fails_to_answer(
    cache: Cache, in_app: None, caplog: pytest.LogCaptureFixture, option: str
) -> None:
    runs = count()
    f = cache.memoize(**{option: mistaken})(lambda a: next(runs))
    assert [f(1), f(1), f(1)] == [0, 1, 2]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("kind", [BrokenRepr, BrokenIdentity])
def test_a_method_runs_uncached_where_its_object_fails_to_answer(
    cache: Cache, in_app: None, caplog: pytest.LogCaptureFixture, kind: type
) -> None:
    runs = count()

    @cache.memoize()
    def method(self: Any) -> int:
        return next(runs)

    it = kind()
    assert [method(it), method(it)] == [0, 1]
    assert len(caplog.records) == 1


def test_a_value_of_which_nobody_can_say_whether_it_is_stale_stays(
    cache: Cache, in_app: None
) -> None:
    fails: list[Any] = []

    def is_stale(value: Any) -> bool:
        if fails:
            raise Mistake
        return False

    runs = count()
    f = cache.memoize(is_stale=is_stale)(lambda: next(runs))
    assert [f(), f()] == [0, 0]
    fails.append(1)
    assert [f(), f()] == [1, 2]
    fails.clear()
    assert f() == 0


@pytest.mark.parametrize("option", ["forced_update", "is_stale"])
def test_a_coroutine_runs_uncached_likewise(cache: Cache, in_app: None, option: str) -> None:
    import asyncio

    runs = count()

    @cache.memoize(**{option: mistaken})
    async def function() -> int:
        return next(runs)

    async def calls() -> list[int]:
        return [await function(), await function()]

    assert asyncio.run(calls()) == [0, 1]


@pytest.mark.parametrize("option", ["unless", "response_filter"])
def test_what_flask_caching_lets_through_is_let_through(
    cache: Cache, in_app: None, option: str
) -> None:
    f = cache.memoize(**{option: mistaken})(lambda: 1)
    with pytest.raises(Mistake):
        f()
