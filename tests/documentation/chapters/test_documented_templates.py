"""The documentation's chapter on Jinja2 snippets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from flask import Flask, render_template
from flask_caching import Cache, make_template_fragment_key
from flask_caching.testing import manual_clock
from jinja2 import DictLoader

Render = Callable[..., str]


@pytest.fixture
def app() -> Flask:
    return Flask(__name__)


@pytest.fixture
def cache(app: Flask) -> Iterator[Cache]:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.test_request_context():
        yield cache


@pytest.fixture
def render(app: Flask, cache: Cache) -> Render:
    """Render a template; ``{{ n() }}`` is a new number each time."""
    numbers = count(1)
    templates: dict[str, str] = {}
    app.jinja_loader = DictLoader(templates)  # type: ignore[misc]

    def render(template: str, **context: object) -> str:
        name = (
            f"template{len(templates)}.html"
            if template not in templates.values()
            else next(name for name, text in templates.items() if text == template)
        )
        templates[name] = template
        return render_template(name, n=lambda: next(numbers), **context)

    return render


def test_a_block_is_cached_for_a_time(render: Render) -> None:
    template = "{% cache 60*5 %}{{ n() }}{% endcache %}"
    with manual_clock() as clock:
        assert [render(template), render(template)] == ["1", "1"]
        clock.advance(300)
        assert render(template) == "2"


def test_blocks_of_other_templates_and_lines_are_others(render: Render) -> None:
    two_lines = "{% cache 60 %}{{ n() }}{% endcache %}\n{% cache 60 %}{{ n() }}{% endcache %}"
    assert render(two_lines).split() == ["1", "2"]
    assert render("{% cache 60 %}{{ n() }}{% endcache %}") == "3"


def test_none_means_no_timeout(render: Render) -> None:
    template = '{% cache None, "key" %}{{ n() }}{% endcache %}'
    with manual_clock() as clock:
        assert render(template) == "1"
        clock.advance(10**9)
        assert render(template) == "1"


def test_a_named_block_is_one_entry_in_every_template(render: Render) -> None:
    assert render('{% cache 60, "menu" %}{{ n() }}{% endcache %}') == "1"
    assert render('here too: {% cache 60, "menu" %}{{ n() }}{% endcache %}') == "here too: 1"


def test_del_forgets_the_block(render: Render) -> None:
    assert render('{% cache 60, "key1" %}{{ n() }}{% endcache %}') == "1"
    render("{% cache 'del', \"key1\" %}{{ n() }}{% endcache %}")
    assert int(render('{% cache 60, "key1" %}{{ n() }}{% endcache %}')) > 1


def test_a_block_varies_on_its_keys_and_is_deleted_by_them(cache: Cache, render: Render) -> None:
    template = '{% cache 60, "key1", a, b %}{{ n() }}{% endcache %}'
    assert render(template, a="key2", b="key3") == "1"
    assert render(template, a="key2", b="other") == "2"
    cache.delete(make_template_fragment_key("key1", vary_on=["key2", "key3"]))
    assert render(template, a="key2", b="key3") == "3"
    assert render(template, a="key2", b="other") == "2"


def test_macros_work_inside_a_block(render: Render) -> None:
    template = (
        "{% macro field(name) %}<input name={{ name }} id={{ n() }}>{% endmacro %}"
        "{% cache 60*5 %}<form>{{ field('user') }}</form>{% endcache %}"
    )
    assert [render(template) for _ in range(2)] == ["<form><input name=user id=1></form>"] * 2


def test_the_extension_can_be_left_out() -> None:
    app = Flask(__name__)
    Cache(app, with_jinja2_ext=False, config={"CACHE_TYPE": "SimpleCache"})
    assert not any("CacheExtension" in name for name in app.jinja_env.extensions)
