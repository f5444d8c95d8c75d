"""The dashboard in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, show, waited
from dashboards import Shop, serving
from flask import Flask
from redis_servers import RedisServer

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driven:
        yield driven


@pytest.fixture
def shop() -> Shop:
    return Shop(show_values=True)


def _open(browser: Any, address: str) -> None:
    browser.get(address)
    waited(browser, lambda b: b.find_element("id", "live").text.startswith("Live"))


def _text(browser: Any, selector: str) -> str:
    text: str = browser.find_element("css selector", selector).text
    return text


def _complaints(browser: Any) -> list[str]:
    """What the browser has logged since it was last asked: errors, and breaches of the policy."""
    return [entry["message"] for entry in browser.get_log("browser")]


def test_it_shows_what_was_counted_and_the_browser_has_no_complaint(
    browser: Any, shop: Shop
) -> None:
    for _ in range(4):
        shop.price(1)
    _complaints(browser)
    browser.get_log("performance")
    with serving(shop.app) as address:
        _open(browser, address)

        assert _text(browser, "#ratio") == "75.0 %"
        assert "price" in _text(browser, "#rows")
        assert _text(browser, "#whereabouts").startswith("shop · SimpleCache")
        assert len(browser.find_elements("css selector", "canvas")) == 4
        assert _complaints(browser) == []
        asked = [
            message["params"]["request"]["url"]
            for entry in browser.get_log("performance")
            for message in [json.loads(entry["message"])["message"]]
            if message["method"] == "Network.requestWillBeSent"
        ]
        assert len(asked) > 5
        assert all(url.startswith(address) for url in asked)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_as_wide_as_a_telephone(browser: Any, shop: Shop, dark: bool) -> None:
    shop.price(1)
    show(browser, width=400, dark=dark)
    try:
        with serving(shop.app) as address:
            _open(browser, address)
            width = browser.execute_script("return document.documentElement.scrollWidth")
            paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    finally:
        show(browser)

    assert width == 400
    assert (int(paper.strip("rgb()").split(",")[0]) < 128) is dark


def test_markup_stays_text(browser: Any, redis_server: Any) -> None:
    shop = Shop(
        {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": redis_server.port}, show_values=True
    )

    def priced() -> int:
        return 1

    priced.__qualname__ = HOSTILE
    # What is not kept is not shown.
    kept = shop.cache.memoize()(priced)
    assert kept() == 1
    shop.cache.set(HOSTILE, HOSTILE)
    with serving(shop.app) as address:
        _open(browser, address)
        title = browser.title
        browser.find_element("id", "key").send_keys(HOSTILE + "\n")
        waited(browser, lambda b: b.find_elements("css selector", "#entry pre"))

        assert HOSTILE in _text(browser, "#rows")
        assert HOSTILE in _text(browser, "#entry")
        assert _text(browser, "#entry pre") == repr(HOSTILE)
        assert browser.find_elements("css selector", "img") == []
        # The question before a deletion names it as well.
        browser.find_element("css selector", "#entry button").click()
        assert HOSTILE in _text(browser, "#confirm-text")
        browser.find_element("css selector", "#confirm button[value=yes]").click()
        waited(browser, lambda b: HOSTILE in b.find_element("id", "toast").text)
        assert browser.find_elements("css selector", "img") == []
        assert browser.title == title
    assert shop.cache.get(HOSTILE) is None


def test_the_table_is_sorted_by_keyboard(browser: Any, shop: Shop) -> None:
    for product in range(3):
        shop.price(product)
    with serving(shop.app) as address:
        _open(browser, address)
        button = browser.find_element("css selector", "[data-column=name]")
        browser.execute_script("arguments[0].focus()", button)
        names = []
        for _ in range(2):
            browser.switch_to.active_element.send_keys("\n")
            cells = browser.find_elements("css selector", "#rows td:first-child")
            names.append([cell.text for cell in cells])

        assert names[0] == names[1][::-1]
        heading = browser.find_element("css selector", "th[aria-sort=descending]")
        assert heading.text.endswith("Function")
        assert browser.switch_to.active_element.get_attribute("data-column") == "name"


def test_nothing_is_deleted_without_a_yes(browser: Any, shop: Shop) -> None:
    shop.cache.set("k", 1)
    with serving(shop.app) as address:
        _open(browser, address)
        everything = browser.find_element("css selector", "#delete-all button")
        everything.click()
        assert _text(browser, "#confirm-title") == "Delete everything?"
        # Enter presses what has the focus at first.
        assert browser.switch_to.active_element.text == "Cancel"
        browser.switch_to.active_element.send_keys("\n")
        assert shop.cache.get("k") == 1

        everything.click()
        browser.find_element("css selector", "#confirm button[value=yes]").click()
        waited(browser, lambda b: b.find_element("id", "toast").text == "Everything is deleted.")
    assert shop.cache.get("k") is None


def test_the_results_of_a_function_are_deleted_from_its_row(browser: Any, shop: Shop) -> None:
    shop.price(1)
    with serving(shop.app) as address:
        _open(browser, address)
        browser.find_element("css selector", "[data-forget=price]").click()
        browser.find_element("css selector", "#confirm button[value=yes]").click()
        waited(browser, lambda b: "price" in b.find_element("id", "toast").text)
    shop.price(1)
    assert shop.computed == 2


def test_a_server_that_ends_is_seen(browser: Any, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    shop = Shop({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": server.port})
    shop.price(1)
    try:
        with serving(shop.app) as address:
            _open(browser, address)
            assert _text(browser, "#servers .state") == "well"
            server.kill()
            assert shop.price(1) == 3
            waited(browser, lambda b: b.find_elements("css selector", "#servers .failing"))
            assert f":{server.port} failed" in _text(browser, "#servers .detail:last-child")
    finally:
        server.kill()


def test_another_site_presses_no_button(browser: Any, shop: Shop) -> None:
    shop.cache.set("k", 1)
    attack = Flask("attack")

    with serving(shop.app) as address:

        @attack.get("/_cache/")
        def page() -> str:
            return f"""<title>trying</title><script>
              const body = '{{"what": "everything"}}';
              const ways = [
                {{mode: "no-cors", headers: {{"Content-Type": "text/plain"}}}},
                {{headers: {{"Content-Type": "application/json", "X-Cache-Token": "x"}}}},
              ];
              Promise.allSettled(ways.map((way) => fetch("{address}delete",
                {{method: "POST", credentials: "include", body, ...way}})))
                .then(() => {{ document.title = "tried"; }});
            </script>"""

        # Of the same site, but for the port: the cookie goes with it.
        _open(browser, address)
        with serving(attack) as elsewhere:
            browser.get(elsewhere)
            waited(browser, lambda b: b.title == "tried")
    assert shop.cache.get("k") == 1


def test_when_the_application_ends_the_page_says_so(browser: Any, shop: Shop) -> None:
    with serving(shop.app) as address:
        _open(browser, address)
    waited(browser, lambda b: b.find_element("id", "live").text == "Not connected")
    assert browser.find_element("id", "trouble").is_displayed()
