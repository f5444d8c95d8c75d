"""Tags of entries that the application stores itself, and their deletion."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.testing import manual_clock


@pytest.fixture(params=["memory", "files", "signed files"])
def cache(request, tmp_path):
    config = {"CACHE_TYPE": "SimpleCache"}
    if request.param != "memory":
        config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    if request.param == "signed files":
        config["CACHE_SIGNING_KEY"] = "secret"
    app = Flask(__name__)
    cache = Cache(app, config=config)
    with app.app_context():
        yield cache


def test_deleting_a_tag_makes_a_miss_of_every_entry_with_it(cache):
    assert cache.set("a", 1, 60, tags=("user:5", "all"))
    assert cache.set("b", "text", tags=["user:6", "all"])
    assert cache.set_many({"c": [1], "d": {}}, tags={"user:5"}) == ["c", "d"]
    assert cache.get_many("a", "b", "c", "d") == [1, "text", [1], {}]

    cache.delete_tags("user:5")

    assert cache.get_many("a", "b", "c", "d") == [None, "text", None, None]
    assert cache.get("a") is None
    assert not cache.has("a")
    assert cache.get_dict("a", "b") == {"a": None, "b": "text"}
    cache.delete_tags("all", "nobody has it")
    assert cache.get("b") is None


@pytest.mark.parametrize("value", ["x" * 100_000, b"x" * 100_000])
def test_a_long_value_with_a_tag(cache, value):
    cache.set("a", value, tags=["t"])
    assert cache.get("a") == value
    cache.delete_tags("t")
    assert cache.get("a") is None


def test_an_add_stores_in_the_place_of_what_a_tag_has_deleted(cache):
    assert cache.add("a", 1, tags=["t"])
    assert not cache.add("a", 2, tags=["t"])
    cache.delete_tags("t")
    assert cache.add("a", 3)
    cache.delete_tags("t")
    assert cache.get("a") == 3


def test_counting_keeps_the_tags_of_a_number(cache):
    cache.set("n", 5, tags=["t"])
    assert cache.inc("n", 2) == 7
    cache.delete_tags("t")
    assert cache.get("n") is None
    assert cache.inc("n") == 1


def test_a_version_that_is_lost_makes_misses(cache):
    cache.set("a", 1, tags=["t"])
    cache.delete("_tag:t")
    assert cache.get("a") is None
    cache.set("b", 2, tags=["t"])
    assert cache.get("a") is None
    assert cache.get("b") == 2


def test_a_version_lives_as_long_as_the_longest_entry(cache):
    with manual_clock() as clock:
        cache.set("short", 1, 10, tags=["t"])
        cache.set("long", 2, 1000, tags=["t"])
        cache.set("short", 3, 10, tags=["t"])
        clock.advance(900)
        assert cache.get("long") == 2


def test_names_that_look_alike_are_different_tags(cache):
    names = ["a b", "a  b", "a:b", "A:b", "é", "x" * 500, "x" * 501, "a/b", "#"]
    for name in names:
        cache.set(name, name, tags=[name])
    for at, name in enumerate(names):
        cache.delete_tags(name)
        assert cache.get_many(*names) == [None] * (at + 1) + names[at + 1 :]


@pytest.mark.parametrize(
    ("tags", "kind"),
    [("user", TypeError), (5, TypeError), ([5], TypeError), ([""], ValueError)],
)
def test_what_is_no_tag_is_refused(cache, tags, kind):
    for store in (cache.set, cache.add):
        with pytest.raises(kind, match="tag"):
            store("a", 1, tags=tags)
    with pytest.raises(kind, match="tag"):
        cache.set_many({"a": 1}, tags=tags)
    assert cache.get("a") is None


def test_an_entry_may_have_so_many_tags_and_no_more(cache):
    cache.set("a", 1, tags=map(str, range(256)))
    assert cache.get("a") == 1
    cache.delete_tags("255")
    assert cache.get("a") is None
    with pytest.raises(ValueError, match="256"):
        cache.set("a", 1, tags=map(str, range(257)))


def test_without_tags_nothing_is_deleted(cache):
    cache.set("a", 1, tags=[])
    cache.delete_tags()
    assert cache.get("a") == 1
