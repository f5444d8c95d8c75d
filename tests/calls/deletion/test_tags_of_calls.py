"""Tags of decorated functions and views, and deletions while they run."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_caching import Cache


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def cache(request, tmp_path):
    app = Flask(__name__)
    config = {"CACHE_TYPE": request.param}
    if request.param == "FileSystemCache":
        config["CACHE_DIR"] = str(tmp_path)
    cache = Cache(app, config=config)
    with app.app_context():
        yield cache


def test_tags_that_are_known_beforehand(cache):
    calls = []

    @cache.memoize(60, tags=["users"])
    def f(n):
        calls.append(n)
        return n

    assert [f(1), f(1), f(2), f(2)] == [1, 1, 2, 2]
    assert calls == [1, 2]
    cache.delete_tags("other")
    f(1)
    assert calls == [1, 2]
    cache.delete_tags("users")
    assert [f(1), f(1), f(2)] == [1, 1, 2]
    assert calls == [1, 2, 1, 2]


@pytest.mark.parametrize("takes_more", [False, True])
def test_tags_that_the_result_says(cache, takes_more):
    calls = []
    of_result = lambda rv: [f"user:{rv}"]  # noqa: E731
    of_call = lambda rv, n: [f"user:{n}"]  # noqa: E731

    @cache.memoize(60, tags=of_call if takes_more else of_result)
    def f(n):
        calls.append(n)
        return n

    assert [f(1), f(2), f(1), f(2)] == [1, 2, 1, 2]
    assert calls == [1, 2]
    cache.delete_tags("user:1")
    assert [f(1), f(2), f(1), f(2)] == [1, 2, 1, 2]
    assert calls == [1, 2, 1]


def test_tags_that_cannot_be_had_keep_a_result_out(cache, caplog):
    calls = []

    @cache.memoize(60, tags=lambda rv: rv)
    def f():
        calls.append(1)
        return "a text is no collection of tags"

    f()
    f()
    assert len(calls) == 2
    assert "tags" in caplog.text


@pytest.mark.parametrize("tags", [["t"], lambda rv: ["t"]], ids=["known", "told"])
def test_a_deletion_while_it_is_computed_wins(cache, tags):
    calls = []

    @cache.memoize(60, tags=tags)
    def f():
        calls.append(1)
        if len(calls) == 1:
            cache.delete_tags("t")
        return len(calls)

    assert [f(), f(), f()] == [1, 2, 2]


def test_views(cache):
    calls = []

    @cache.app.get("/")
    @cache.cached(60, tags=["pages"])
    def page():
        calls.append(1)
        return str(len(calls))

    client = cache.app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["1", "1"]
    cache.delete_tags("pages")
    assert [client.get("/").text for _ in range(2)] == ["2", "2"]


def test_a_key_of_the_applications_own(cache):
    calls = []

    @cache.cached(60, key_prefix="mine", tags=lambda rv: ["a", "b"])
    def f():
        calls.append(1)
        return len(calls)

    assert [f(), f()] == [1, 1]
    assert cache.get("mine") == 1
    cache.delete_tags("b")
    assert cache.get("mine") is None
    assert [f(), f()] == [2, 2]


def test_coroutine_functions(cache):
    import asyncio

    calls = []

    @cache.memoize(60, tags=lambda rv: ["t"])
    async def f():
        calls.append(1)
        return len(calls)

    async def twice():
        return [await f(), await f()]

    assert asyncio.run(twice()) == [1, 1]
    cache.delete_tags("t")
    assert asyncio.run(twice()) == [2, 2]


def test_a_method_that_was_replaced_keeps_tagged_results_out(tmp_path, caplog):
    class Own(Cache):
        def get(self, *args, **kwargs):
            return super().get(*args, **kwargs)

    app = Flask(__name__)
    cache = Own(app, config={"CACHE_TYPE": "SimpleCache"})
    calls = []

    @cache.memoize(60, tags=["t"])
    def f():
        calls.append(1)

    with app.app_context():
        f()
        f()
    assert len(calls) == 2
    assert len([r for r in caplog.records if "keeps no metadata" in r.getMessage()]) == 1


def test_fragments(cache):
    from flask import render_template_string

    numbers = iter(range(100))
    tag = '{% cache 60, "name", key, tags=["user:%s" | format(key), "all"] %}'
    source = tag + "{{ next() }}{% endcache %}"

    def render(key):
        return render_template_string(source, key=key, next=lambda: next(numbers))

    assert [render(1), render(1), render(2), render(2)] == ["0", "0", "1", "1"]
    cache.delete_tags("user:1")
    assert [render(1), render(1), render(2)] == ["2", "2", "1"]
    cache.delete_tags("all")
    assert [render(1), render(2)] == ["3", "4"]
