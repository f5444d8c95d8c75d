"""Fragments that are quickly found: as if they had been rendered, and with nothing done twice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, render_template, render_template_string
from flask_caching import Cache, make_template_fragment_key
from flask_caching.jinja2ext import CacheExtension
from flask_caching.testing import manual_clock
from jinja2 import DictLoader, Environment
from shown import shown


@pytest.fixture(autouse=True)
def request_context(app: Flask, cache: Cache) -> Iterator[None]:
    with app.test_request_context():
        yield


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The names of the fragments that took the ordinary path."""
    taken: list[Any] = []
    render = CacheExtension._cache

    def noted(self: Any, timeout: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
        taken.append(name)
        return render(self, timeout, name, *args, **kwargs)

    # Not on the class: a subclass's own is another case.
    monkeypatch.setattr(CacheExtension, "_cache", noted)
    return taken


@pytest.mark.parametrize(
    "tag",
    [
        "cache",
        "cache 60, 'name'",
        "cache None, 'name'",
        "cache 1.5, 'name', 'k'",
        "cache 60, 'name', 1, none, true, 1.5",
        "cache 60, 7, user",
    ],
)
def test_a_fragment_that_was_rendered_takes_no_ordinary_path(
    app: Flask, ordinary: list[Any], tag: str
) -> None:
    template = app.jinja_env.from_string("{% " + tag + " %}<b>{{ n() }}</b>{% endcache %}")
    numbers = itertools.count()
    first = template.render(n=lambda: next(numbers), user="ada")
    assert len(ordinary) == 1
    assert template.render(n=lambda: next(numbers), user="ada") == first == "<b>0</b>"
    assert len(ordinary) == 1


def test_the_expressions_of_a_tag_are_evaluated_once() -> None:
    calls: list[str] = []

    def note(what: str, value: Any) -> Any:
        calls.append(what)
        return value

    source = (
        "{% cache note('timeout', 60), note('name', 'x'), note('key', 'k') %}body{% endcache %}"
    )
    for _ in range(3):
        calls.clear()
        assert render_template_string(source, note=note) == "body"
        assert calls == ["timeout", "name", "key"]


def test_deletion_and_expiry_are_seen_by_the_next_rendering(cache: Cache) -> None:
    source = "{% cache 60, 'x', 1 %}{{ n() }}{% endcache %}"
    numbers = itertools.count()

    def rendered() -> str:
        return render_template_string(source, n=lambda: next(numbers))

    with manual_clock() as clock:
        assert rendered() == rendered() == "0"
        assert cache.delete(make_template_fragment_key("x", ["1"]))
        assert rendered() == rendered() == "1"
        clock.advance(61)
        assert rendered() == rendered() == "2"
        cache.clear()
        assert rendered() == rendered() == "3"
        cache.set(make_template_fragment_key("x", ["1"]), "written")
        assert rendered() == "written"


def test_a_key_whose_text_changes_is_read_each_time() -> None:
    class User:
        name = "ada"

        def __str__(self) -> str:
            return self.name

    user = User()
    source = "{% cache 60, 'x', user %}{{ user }}{% endcache %}"
    assert render_template_string(source, user=user) == "ada"
    assert render_template_string(source, user=user) == "ada"
    user.name = "bob"
    assert render_template_string(source, user=user) == "bob"


@pytest.mark.parametrize("number", [1, True, 1.0, "1"], ids=shown)
def test_keys_are_identified_by_their_text(number: Any) -> None:
    source = "{% cache 60, 'x', key %}{{ key }}{% endcache %}"
    for key in (1, True, 1.0, "1", number):
        assert render_template_string(source, key=key) == str(key)


def test_a_hit_appears_where_a_rendering_does(app: Flask) -> None:
    pages = {
        "base.html": "<{% block body %}{% endblock %}>",
        "child.html": "{% extends 'base.html' %}{% cache 60, 'top' %}top{% endcache %}"
        "{% block body %}{% cache 60, 'in' %}in{% endcache %}{% endblock %}",
        "chosen.html": "{% if base %}{% extends base %}{% endif %}"
        "{% cache 60, 'chosen' %}chosen{% endcache %}",
    }
    app.jinja_loader = DictLoader(pages)  # type: ignore[assignment]
    for name, values in (("child.html", {}), ("chosen.html", {"base": "base.html"})):
        first = render_template(name, **values)
        assert render_template(name, **values) == first
    assert render_template("chosen.html", base=None) == "chosen"
    assert render_template("chosen.html", base=None) == "chosen"


def test_what_is_put_out_is_not_escaped_or_finalized_again(app: Flask) -> None:
    app.jinja_env.finalize = lambda value: f"({value})"
    source = "{% cache 60, 'x' %}<b>{{ text }}</b>{% endcache %}"
    for _ in range(3):
        assert render_template_string(source, text="&") == "<b>(&amp;)</b>"
    unescaped = "{% autoescape false %}{% cache 60, 'y' %}<b>&</b>{% endcache %}{% endautoescape %}"
    for _ in range(3):
        assert render_template_string(unescaped) == "<b>&</b>"


def test_a_variable_of_the_block_stays_in_it() -> None:
    source = "{% set x = 'out' %}{% cache 60, 'x' %}{% set x = 'in' %}{{ x }}{% endcache %}{{ x }}"
    assert [render_template_string(source) for _ in range(3)] == ["inout"] * 3


def test_an_asynchronous_environment() -> None:
    app = Flask("asynchronous")
    app.jinja_options = {"enable_async": True}
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    numbers = itertools.count()

    async def number(fail: bool) -> int:
        await asyncio.sleep(0)
        if fail:
            raise LookupError
        return next(numbers)

    template = app.jinja_env.from_string("{% cache 60, 'x' %}<b>{{ n(fail) }}</b>{% endcache %}")

    def rendered(fail: bool = False) -> str:
        return asyncio.run(template.render_async(n=number, fail=fail))

    with app.test_request_context():
        with pytest.raises(LookupError):
            rendered(fail=True)
        assert rendered() == rendered() == "<b>0</b>"
        cache.delete(make_template_fragment_key("x"))
        assert rendered() == rendered() == "<b>1</b>"
    assert not cache.stats().under_way


def test_an_extension_of_the_applications_own_is_called_each_time(app: Flask) -> None:
    languages: list[str] = []

    class Localized(CacheExtension):
        def _cache(self, timeout: Any, fragment_name: Any, vary_on: Any, caller: Any) -> Any:  # type: ignore[override]
            languages.append("de")
            return super()._cache(timeout, fragment_name, [*vary_on, "de"], caller=caller)

    environment = Environment(extensions=[Localized])
    environment._template_fragment_cache = app.jinja_env._template_fragment_cache  # type: ignore[attr-defined]
    template = environment.from_string("{% cache 60, 'x' %}body{% endcache %}")
    for _ in range(3):
        assert template.render() == "body"
    assert len(languages) == 3


def test_a_get_of_the_applications_own_is_asked(app: Flask, cache: Cache) -> None:
    source = "{% cache 60, 'x' %}body{% endcache %}"
    assert render_template_string(source) == "body"
    cache.get = lambda *args: "own"  # type: ignore[method-assign,assignment]
    assert render_template_string(source) == "own"
