"""The Jinja tag: which blocks share a fragment, and how fragments are read and deleted."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template, render_template_string
from flask_caching import Cache, make_template_fragment_key
from flask_caching.calls.fragments import _Aliases
from flask_caching.testing import ManualClock, manual_clock
from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader
from json_serializer import JSONSerializer


@pytest.fixture(autouse=True)
def request_context(app: Flask, cache: Cache) -> Iterator[None]:
    with app.test_request_context():
        yield


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    with manual_clock() as clock:
        yield clock


def _render(source: str, **values: Any) -> str:
    return render_template_string(source, **values)


def _twice(source: str, **values: Any) -> bool:
    """Whether a block is rendered again."""
    numbers = itertools.count()
    one = _render(source, n=lambda: next(numbers), **values)
    return one == _render(source, n=lambda: next(numbers), **values)


@pytest.mark.parametrize(
    "tag",
    [
        "cache",
        "cache 60",
        "cache 60, 'name'",
        "cache 60, 'name', 'k1', 'k2'",
        "cache None",
        "cache None, 'name'",
        "cache 30 * 2, 'name', 1, none, [1], {'a': 1}, 1.5, value",
        "cache timeout, name, value",
        "cache delta, name",
        "cache 0, name",
        "cache 1.5, name",
        "cache 60, name ~ value",
        "cache (60 if value else 30), name",
    ],
)
def test_every_form_of_the_tag_caches(tag: str) -> None:
    source = "{% " + tag + " %}{{ n() }}{% endcache %}"
    values = {"timeout": 60, "name": "frag", "value": object(), "delta": timedelta(seconds=60)}
    assert _twice(source, **values)


@pytest.mark.parametrize("tag", ["cache undefined_name", "cache 'del', 'name'", "cache -1, 'x'"])
def test_forms_that_do_not_cache(tag: str) -> None:
    assert not _twice("{% " + tag + " %}{{ n() }}{% endcache %}")


@pytest.mark.parametrize(
    ("tag", "after_default"),
    [("cache None, 'x'", True), ("cache 0, 'x'", True), ("cache", False), ("cache 60", False)],
)
def test_no_timeout_is_for_ever_and_an_absent_one_the_default(
    clock: ManualClock, tag: str, after_default: bool
) -> None:
    source = "{% " + tag + " %}{{ n() }}{% endcache %}"
    numbers = itertools.count()
    first = _render(source, n=lambda: next(numbers))
    clock.advance(50)
    assert _render(source, n=lambda: next(numbers)) == first
    clock.advance(100_000)
    assert (_render(source, n=lambda: next(numbers)) == first) is after_default


def test_a_timedelta_is_its_seconds(clock: ManualClock) -> None:
    source = "{% cache delta, 'x' %}{{ n() }}{% endcache %}"
    numbers = itertools.count()
    values = {"n": lambda: next(numbers), "delta": timedelta(minutes=10)}
    first = _render(source, **values)
    clock.advance(599)
    assert _render(source, **values) == first
    clock.advance(2)
    assert _render(source, **values) != first


PARTS: list[tuple[Any, ...]] = [
    ("a", "b_c"),
    ("a", "b", "c"),
    ("a_b", "c"),
    ("a_b_c",),
    ("a", "b_c", ""),
    ("a", "", "b", "c"),
    ("a_", "b", "c"),
    ("a",),
    ("a", ""),
    ("a_",),
]


def test_fragments_of_other_names_and_keys_are_other_fragments() -> None:
    for number, parts in enumerate(PARTS):
        tag = ", ".join(repr(part) for part in parts)
        assert _render(f"{{% cache 60, {tag} %}}{number}{{% endcache %}}") == str(number)
    for number, parts in enumerate(PARTS):
        tag = ", ".join(repr(part) for part in parts)
        assert _render(f"{{% cache 60, {tag} %}}again{{% endcache %}}") == str(number)


@pytest.mark.parametrize("form", ["delete", "delete by name", "delete_many", "unlink", "del"])
def test_a_fragment_is_deleted_by_its_public_key_and_no_other(cache: Cache, form: str) -> None:
    for parts in PARTS:
        tags = {p: ", ".join(repr(part) for part in p) for p in PARTS}
        for p in PARTS:
            _render(f"{{% cache 60, {tags[p]} %}}old{{% endcache %}}")
        key = make_template_fragment_key(parts[0], list(parts[1:]))
        assert cache.get(key) == "old"
        assert cache.has(key)
        if form == "delete":
            assert cache.delete(key)
        elif form == "delete by name":
            assert cache.delete(key=key)
        elif form == "del":
            _render(f"{{% cache 'del', {tags[parts]} %}}{{% endcache %}}")
        else:
            assert list(getattr(cache, form)(key)) == [key]
        assert cache.get(key) is None
        assert not cache.has(key)
        for p in PARTS:
            expected = "new" if p == parts else "old"
            assert _render(f"{{% cache 60, {tags[p]} %}}new{{% endcache %}}") == expected
        cache.clear()


def test_the_public_key_is_what_it_always_was(cache: Cache) -> None:
    assert make_template_fragment_key("fragment1") == "_template_fragment_cache_fragment1"
    key = make_template_fragment_key("fragment1", vary_on=["key1", "key2"])
    assert key == "_template_fragment_cache_fragment1_key1_key2"
    assert make_template_fragment_key("a", [1, None]) == "_template_fragment_cache_a_1_None"  # type: ignore[list-item]


@pytest.mark.parametrize("parts", [("plain", "key"), ("with_underscore",), ("plain",)])
def test_a_key_that_was_written_by_hand_reaches_the_fragment(
    cache: Cache, parts: tuple[str, ...]
) -> None:
    tag = ", ".join(repr(part) for part in parts)
    source = f"{{% cache 60, {tag} %}}old{{% endcache %}}"
    _render(source)
    written = "_template_fragment_cache_" + "_".join(parts)
    assert cache.get(written) == "old"
    assert cache.get_many(written) == ["old"]
    assert cache.get_dict(written) == {written: "old"}
    assert cache.delete(written)
    assert _render(source.replace("old", "new")) == "new"


def test_every_proxy_reads_and_writes_the_same_fragment(cache: Cache) -> None:
    source = "{% cache 60, 'a_b', 'c' %}rendered{% endcache %}"
    key = make_template_fragment_key("a_b", ["c"])
    for write in (
        lambda: cache.set(key, "written"),
        lambda: cache.set(key=key, value="written"),
        lambda: cache.add(key, "written"),
        lambda: cache.set_many({key: "written"}),
    ):
        assert write()
        assert _render(source) == "written"
        assert cache.get(key) == cache.get(key=key) == "written"
        assert cache.get_many(key, "other") == ["written", None]
        assert cache.get_dict(key, "other") == {key: "written", "other": None}
        assert cache.has(key)
        assert cache.delete(key)
        assert cache.get_many(key) == [None]
    assert cache.set_many({key: "written", "other": 1}) == [key, "other"]
    assert sorted(cache.delete_many(key, "other")) == sorted([key, "other"])


def test_unnamed_blocks_are_told_apart(app: Flask, tmp_path: Path) -> None:
    one_line = "{% cache 60 %}one{% endcache %}{% cache 60 %}two{% endcache %}"
    assert _render(one_line) == _render(one_line) == "onetwo"
    assert _render("{% cache %}first{% endcache %}") == "first"
    assert _render("{% cache %}second{% endcache %}") == "second"
    assert _render("{% cache %}first{% endcache %}") == "first"


def test_unnamed_blocks_of_templates_without_a_file_are_told_apart(app: Flask) -> None:
    block = "{% cache %}{{ who }}{% endcache %}"
    app.jinja_loader = ChoiceLoader([DictLoader({"a.html": block, "b.html": block})])  # type: ignore[assignment]
    assert render_template("a.html", who="a") == "a"
    assert render_template("b.html", who="b") == "b"
    assert render_template("a.html", who="c") == "a"


def test_unnamed_blocks_of_files_inherit_include_and_import(app: Flask, tmp_path: Path) -> None:
    files = {
        "base.html": "{% cache %}base{% endcache %} {% block body %}{% endblock %}",
        "child.html": "{% extends 'base.html' %}{% block body %}"
        "{% cache %}{{ n() }}{% endcache %} {% include 'part.html' %} "
        "{% from 'macros.html' import m %}{{ m('x') }} {{ m('y') }}{% endblock %}",
        "part.html": "{% cache %}part{% endcache %}",
        "macros.html": "{% macro m(a) %}{% cache 60, 'm', a %}m{{ a }}{% endcache %}{% endmacro %}",
        "sub/part.html": "{% cache %}subpart{% endcache %}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    app.jinja_loader = FileSystemLoader(tmp_path)  # type: ignore[assignment]
    numbers = itertools.count(1)
    for _ in range(2):
        rendered = render_template("child.html", n=lambda: next(numbers))
        assert rendered == "base 1 part mx my"
        assert render_template("sub/part.html") == "subpart"
        app.jinja_env.cache.clear()


def test_a_block_in_a_loop_varies_by_its_keys() -> None:
    source = "{% for i in range(3) %}{% cache 60, 'loop', i %}{{ i }}{% endcache %}{% endfor %}"
    assert _render(source) == _render(source) == "012"


def test_nested_blocks() -> None:
    source = (
        "{% cache 60, 'outer' %}[{{ n() }}{% cache 60, 'inner' %}{{ n() }}{% endcache %}]"
        "{% endcache %}"
    )
    assert _twice(source)


def test_what_is_escaped_is_escaped_once(app: Flask, cache: Cache) -> None:
    source = "{% cache 60, 'e' %}<b>{{ text }}</b>{% endcache %}"
    for _ in range(3):
        assert _render(source, text="<&>") == "<b>&lt;&amp;&gt;</b>"


@pytest.mark.parametrize("debug", [False, True])
def test_a_serializer_without_markup_stores_fragments(
    caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    app = Flask("json")
    app.debug = debug
    Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_SERIALIZER": JSONSerializer})
    source = "{% cache 60, 'e' %}<b>{{ text }}</b>{% endcache %}"
    with app.test_request_context():
        assert _render(source, text="<1>") == "<b>&lt;1&gt;</b>"
        assert _render(source, text="<2>") == "<b>&lt;1&gt;</b>"
    assert not caplog.records


def test_a_failing_body_is_rendered_once_and_not_stored() -> None:
    runs = []

    def body(fail: bool) -> str:
        runs.append(fail)
        if fail:
            raise LookupError
        return "good"

    source = "{% cache 60, 'f' %}{{ body(fail) }}{% endcache %}"
    with pytest.raises(LookupError):
        _render(source, body=body, fail=True)
    assert runs == [True]
    assert _render(source, body=body, fail=False) == "good"


def test_an_empty_body_is_a_fragment() -> None:
    runs = []
    source = "{% cache 60, 'f' %}{{ body() or '' }}{% endcache %}"
    for _ in range(2):
        assert _render(source, body=lambda: runs.append(1)) == ""
    assert len(runs) == 1


def test_a_name_that_is_no_string() -> None:
    for name in (1, None, (2, 1), 1.5):
        source = "{% cache 60, name %}{{ name }}{% endcache %}"
        assert _render(source, name=name) == _render(source, name=name) == str(name)


@pytest.mark.parametrize("timeout", ["abc", "1h"])
def test_a_timeout_that_is_no_number_is_an_error_in_debug_mode(app: Flask, timeout: Any) -> None:
    app.debug = True
    with pytest.raises(ValueError, match=timeout):
        _render("{% cache timeout, 'x' %}body{% endcache %}", timeout=timeout)


def test_blocks_on_two_applications(cache: Cache) -> None:
    other = Flask("other")
    cache.init_app(other, {"CACHE_TYPE": "SimpleCache"})
    source = "{% cache 60, 'x' %}{{ who }}{% endcache %}"
    assert _render(source, who="one") == "one"
    with other.test_request_context():
        assert _render(source, who="two") == "two"
    assert _render(source, who="three") == "one"


def test_threads_that_name_ever_more_blocks_do_not_disturb_each_other() -> None:
    aliases = _Aliases()

    def name(thread: int) -> None:
        for number in range(10_000):
            aliases.note(f"{thread} {number}", "place")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(name, range(4)))
    finally:
        sys.setswitchinterval(before)
    assert len(aliases) < _Aliases.LIMIT + 4
