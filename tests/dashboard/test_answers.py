"""What the dashboard says, and what its buttons do."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import flask_caching.dashboard
import pytest
from dashboards import Shop, press
from flask import Flask
from flask_caching import Cache, dashboard
from flask_caching.testing import manual_clock

STATIC = Path(flask_caching.dashboard.__file__).parent / "static"
HOSTILE = '</script><img src=x onerror="alert(1)">&\'"'


def test_the_page_is_small_and_asks_no_other_host() -> None:
    files = list(STATIC.iterdir())
    text = "".join(path.read_text() for path in files if path.suffix in (".html", ".css", ".js"))

    assert sum(path.stat().st_size for path in files) < 100_000
    assert "http://" not in text
    assert text.replace("https://github.com/leeoniya/uPlot", "").count("https://") == 0
    assert (STATIC / "uplot.LICENSE.txt").read_text().startswith("The MIT License")


def test_no_file_needs_more_than_the_policy_allows() -> None:
    html = (STATIC / "page.html").read_text()
    script = (STATIC / "page.js").read_text() + (STATIC / "plots.js").read_text()

    assert "<style" not in html
    assert " style=" not in html
    assert " on" not in html.replace(" one", "").replace(" only", "")
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert sink not in script


@pytest.mark.parametrize("page", ["", "data", "assets/page.js", "assets/none"])
def test_every_answer_says_what_a_browser_may_do_with_it(page: str) -> None:
    headers = Shop().client.get(f"/_cache/{page}").headers

    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_files_of_the_page_are_all_there() -> None:
    client = Shop().client
    html = client.get("/_cache/").get_data(as_text=True)

    for word in html.split('"'):
        if word.startswith("assets/"):
            assert client.get(f"/_cache/{word}").status_code == 200, word
    assert client.get("/_cache/assets/..%2F_guard.py").status_code == 404
    assert client.get("/_cache/assets/page.html").status_code == 404


def test_the_data_is_what_was_counted() -> None:
    shop = Shop()
    client = shop.client
    for _ in range(3):
        shop.price(1)
        client.get("/")

    data = client.get("/_cache/data").get_json()

    assert data["app"] == "shop"
    assert data["totals"]["hits"] == 4
    assert data["totals"]["misses"] == 2
    by_name = {function["name"]: function for function in data["functions"]}
    assert by_name["price"]["hits"] == 2
    assert by_name["price"]["can_forget"]
    assert not by_name["Shop.front"]["can_forget"]
    assert data["health"]["backend"] == "SimpleCache"


def test_refusals_are_shown_by_function_and_reason_the_newest_first() -> None:
    shop = Shop()
    kept = {}
    with manual_clock() as clock:
        for name, times in (("first", 1), ("later", 3)):
            # Of a function that is kept by nobody, how often it was refused is forgotten.
            refused = shop.cache.memoize(response_filter=lambda _: False)
            function = kept[name] = refused(lambda _: 1)
            function._flask_caching_policy.name = name
            for number in range(times):
                clock.advance(10)
                function(number)
        clock.advance(5)
        refusals = shop.client.get("/_cache/data").get_json()["refusals"]
        kept.clear()
        gc.collect()
        of_none = shop.client.get("/_cache/data").get_json()["refusals"]

    assert [refusal["name"] for refusal in refusals] == ["later", "first"]
    assert "response_filter" in refusals[0]["reason"]
    assert [refusal["count"] for refusal in refusals] == [3, 1]
    assert [refusal["age"] for refusal in refusals] == pytest.approx([5, 35], abs=0.1)
    assert [refusal["name"] for refusal in of_none] == ["later", "first"]


def test_a_server_that_is_down_is_shown_and_breaks_nothing(tmp_path: Path) -> None:
    shop = Shop({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": 1, "CACHE_BREAKER_FAILURES": 1})
    client = shop.client
    assert shop.price(1) == 3

    [server] = client.get("/_cache/data").get_json()["health"]["servers"]
    assert server["is_left_alone"]
    assert ":1 failed" in server["last_error"]
    assert client.get("/_cache/").status_code == 200
    answer = press(client, "look-up", {"key": "k"})
    assert answer.status_code == 502
    assert ":1 failed" in answer.get_json()["error"]
    assert press(client, "delete", {"what": "everything"}).status_code == 502


def test_a_key_is_looked_up_without_its_value() -> None:
    shop = Shop()
    shop.cache.set("k", {"card": "4111"}, tags=["user:5", "carts"])

    found = press(shop.client, "look-up", {"key": "k"}).get_json()

    assert (found["found"], found["type"]) == (True, "dict")
    assert found["size"] > 10
    assert 299 < found["expires_in"] <= 300
    assert found["tags"] == ["carts", "user:5"]
    assert "4111" not in json.dumps(found)
    assert press(shop.client, "look-up", {"key": "other"}).get_json()["found"] is False


def test_none_that_is_stored_is_found() -> None:
    shop = Shop()
    shop.cache.set("k", None)

    assert press(shop.client, "look-up", {"key": "k"}).get_json()["type"] == "NoneType"


class _Broken:
    def __repr__(self) -> str:
        raise ValueError("4111")


class _Endless:
    def __repr__(self) -> str:
        return repr(self)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": [1]}, "{'a': [1]}"),
        (HOSTILE, repr(HOSTILE)),
        (_Broken(), "<_Broken instance at "),
        (_Endless(), "<_Endless instance at "),
        (10**5000, ""),
    ],
    ids=["a dict", "markup", "a broken repr", "an endless repr", "a long number"],
)
def test_a_value_is_shown_where_that_was_asked_for(value: Any, shown: str) -> None:
    shop = Shop(show_values=True)
    shop.cache.set("k", value)

    found = press(shop.client, "look-up", {"key": "k"}).get_json()

    assert found["value"].startswith(shown)


@pytest.mark.parametrize("value", ["x" * 10**6, b"x" * 10**6, list(range(10**6))])
def test_a_large_value_is_shown_shortened(value: Any) -> None:
    shop = Shop(show_values=True)
    shop.cache.set("k", value)

    assert len(press(shop.client, "look-up", {"key": "k"}).get_json()["value"]) <= 20_001


def test_the_results_of_a_function_are_deleted_and_no_others() -> None:
    shop = Shop()
    shop.cache.set("k", 1)
    for _ in range(2):
        shop.price(1)
    assert shop.computed == 1

    done = press(shop.client, "delete", {"what": "function", "name": "price"}).get_json()

    assert "price" in done["done"]
    shop.price(1)
    assert shop.computed == 2
    assert shop.cache.get("k") == 1


def test_what_has_a_tag_is_deleted_and_nothing_else() -> None:
    shop = Shop()
    shop.cache.set("k", 1, tags=["user:5"])
    shop.cache.set("other", 1, tags=["user:6"])

    assert press(shop.client, "delete", {"what": "tag", "name": "user:5"}).status_code == 200

    assert shop.cache.get("k") is None
    assert shop.cache.get("other") == 1


def test_a_page_is_deleted_by_its_path() -> None:
    shop = Shop()
    made: list[int] = []

    @shop.app.get("/page")
    @shop.cache.page(300)
    def page() -> str:
        made.append(1)
        return "A page."

    client = shop.client
    for _ in range(2):
        client.get("/page")
    assert len(made) == 1

    assert press(client, "delete", {"what": "page", "name": "/page"}).status_code == 200
    client.get("/page")
    assert len(made) == 2


def test_everything_is_deleted() -> None:
    shop = Shop()
    shop.cache.set("k", 1)

    assert press(shop.client, "delete", {"what": "everything"}).status_code == 200
    assert shop.cache.get("k") is None


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"what": "key"},
        {"what": "key", "name": ""},
        {"what": "key", "name": 5},
        {"what": "page", "name": "products"},
        {"what": "function", "name": "nobody"},
        {"what": "function", "name": "Shop.front"},
        {"what": ["key"], "name": "k"},
        {"what": "the sun", "name": "k"},
        [],
        "everything",
    ],
    ids=str,
)
def test_nonsense_is_answered_with_a_sentence(asked: Any) -> None:
    answer = press(Shop().client, "delete", asked)

    assert answer.status_code == 400
    assert answer.get_json()["error"].endswith(".")


@pytest.mark.parametrize("body", ["{", "[" * 50_000, '"' + "x" * 70_000 + '"', "\udcff"])
def test_what_is_no_json_is_a_bad_request(body: str) -> None:
    client = Shop().client
    token = client.get("/_cache/data").get_json()["token"]
    headers = {"X-Cache-Token": token, "Content-Type": "application/json"}

    data = body.encode("utf-8", "surrogateescape")
    assert client.post("/_cache/look-up", data=data, headers=headers).status_code == 400


def test_an_application_can_have_two() -> None:
    app = Flask("two")
    for name in ("one", "other"):
        cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
        made = dashboard.blueprint(cache, authorize=lambda: True, name=name)
        app.register_blueprint(made, url_prefix=f"/{name}")
        cache.set("k", name)

    assert app.test_client().get("/one/data").status_code == 200
    assert app.test_client().get("/other/").status_code == 200


def test_functions_of_one_name_are_deleted_by_their_module() -> None:
    shop = Shop()
    kept, computed = {}, []
    for module in ("blog", "news"):

        def index(number: int, module: str = module) -> int:
            computed.append(module)
            return number

        index.__module__, index.__qualname__ = module, "index"
        kept[module] = shop.cache.memoize(300)(index)
        kept[module](1)
    client = shop.client
    rows = client.get("/_cache/data").get_json()["functions"]
    answers = [
        press(client, "delete", {"what": "function", "name": name})
        for name in ("index", "blog:index", "blog:index (function)")
    ]
    computed.clear()
    for function in kept.values():
        function(1)

    assert {"blog:index", "news:index"} <= {row["name"] for row in rows if row["can_forget"]}
    assert [answer.status_code for answer in answers] == [400, 200, 200]
    assert computed == ["blog"]


def test_a_function_that_is_a_view_as_well_can_be_deleted() -> None:
    shop = Shop()
    shop.app.get("/price")(shop.cache.cached(60, key_prefix="price")(shop.price))

    rows = {row["name"]: row for row in shop.client.get("/_cache/data").get_json()["functions"]}

    assert rows["price (function)"]["can_forget"]
    assert not rows["price (view)"]["can_forget"]
