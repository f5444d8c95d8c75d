"""Statistics of template fragments: each is counted on its own, by what it is called."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from flask import Flask, render_template, render_template_string
from flask_caching import Cache
from flask_caching.calls.fragments import OTHERS, _Roads
from jinja2 import DictLoader

TEMPLATES = {
    "page.html": (
        '{% cache 60, "sidebar" %}side{% endcache %}\n'
        "{% cache %}unnamed{% endcache %}\n"
        '{% cache 60, "hello " ~ visitor %}{{ visitor }}{% endcache %}'
    ),
    "other.html": '{% cache 60, "sidebar" %}side{% endcache %}{% include "part.html" %}',
    "part.html": '{% cache None, "part", 1 %}part{% endcache %}',
}


@pytest.fixture(params=["SimpleCache", "RedisCache"])
def cache(app: Flask, request: pytest.FixtureRequest) -> Cache:
    config: dict[str, Any] = {"CACHE_TYPE": request.param, "CACHE_THRESHOLD": 2000}
    if request.param == "RedisCache":
        port = request.getfixturevalue("redis_server").port
        config |= {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": port}
    app.jinja_loader = DictLoader(TEMPLATES)  # type: ignore[assignment]
    cache = Cache(app, config=config)
    with app.app_context():
        cache.clear()
    return cache


def counted(cache: Cache) -> dict[str, tuple[int, int]]:
    functions = cache.stats().functions
    assert all(counts.kind == "fragment" for counts in functions.values())
    return {name: (counts.hits, counts.misses) for name, counts in functions.items()}


def test_each_is_counted_by_its_name_or_its_place(app: Flask, cache: Cache) -> None:
    assert counted(cache) == {}
    with app.test_request_context():
        for visitor in ("ann", "bob", "ann", "ann"):
            render_template("page.html", visitor=visitor)
        render_template("other.html")
    assert counted(cache) == {
        "fragment sidebar": (4, 1),
        "fragment page.html:2": (3, 1),
        "fragment page.html:3": (2, 2),
        "fragment part": (0, 1),
    }
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.stored) == (9, 5, 5)
    assert stats.functions["fragment part"].stored == 1


def test_deletions_and_refusals_are_the_fragments_own(app: Flask, cache: Cache) -> None:
    with app.test_request_context():
        for timeout in (60, "del", 60):
            render_template_string('{% cache t, "gone" %}x{% endcache %}', t=timeout)
    counts = cache.stats().functions["fragment gone"]
    assert (counts.misses, counts.deletions, counts.stored) == (2, 1, 2)


def test_names_without_end_are_counted_together(app: Flask, cache: Cache) -> None:
    many = _Roads.LIMIT + 50
    with app.test_request_context():
        for number in range(many):
            # A template that is made at run time.
            render_template_string(f'{{% cache 60, "n{number}" %}}x{{% endcache %}}')
        render_template_string('{% cache 60, "' + "y" * 10_000 + '" %}x{% endcache %}')
        render_template_string('{% cache 60, "n0" %}x{% endcache %}')
    functions = cache.stats().functions
    assert len(functions) == _Roads.LIMIT + 1
    assert max(map(len, functions)) < 150
    assert functions[f"fragment {OTHERS}"].misses == 51
    assert functions["fragment n0"].hits == 1
    assert cache.stats().misses == many + 1


def test_those_of_an_asynchronous_template(app: Flask, cache: Cache) -> None:
    app.jinja_options = {"enable_async": True}
    app.jinja_env.is_async = True
    with app.test_request_context():
        template = app.jinja_env.get_template("part.html")
        for _ in range(3):
            assert asyncio.run(template.render_async()) == "part"
    assert counted(cache) == {"fragment part": (2, 1)}


def test_those_of_many_threads(app: Flask, cache: Cache) -> None:
    def render() -> None:
        with app.test_request_context():
            for visitor in "abab":
                render_template("page.html", visitor=visitor)

    threads = [threading.Thread(target=render) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sums = {name: sum(counts) for name, counts in counted(cache).items()}
    assert sums == {
        "fragment sidebar": 32,
        "fragment page.html:2": 32,
        "fragment page.html:3": 32,
    }
