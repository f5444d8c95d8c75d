"""The dashboard in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import Window, chromium
from dashboards import Shop, serving
from flask import Flask
from flask_caching import dashboard
from redis_servers import RedisServer
from servers import wait_until
from werkzeug.middleware.dispatcher import DispatcherMiddleware

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def browser() -> Iterator[Callable[[], Window]]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def window(browser: Callable[[], Window]) -> Iterator[Window]:
    opened = browser()
    yield opened
    opened.page.context.close()


@pytest.fixture
def shop() -> Shop:
    return Shop(show_values=True)


def expect(found: Any) -> Any:
    from playwright.sync_api import expect

    return expect(found)


def show(window: Window, address: str) -> Any:
    """The page, once it shows what was counted."""
    window.page.goto(address)
    expect(window.page.locator("#live")).to_contain_text("Live")
    return window.page


def yes(page: Any) -> None:
    page.click("#confirm button[value=yes]")


def test_it_shows_what_was_counted_and_the_browser_has_no_complaint(
    window: Window, shop: Shop
) -> None:
    for _ in range(4):
        shop.price(1)
    with serving(shop.app) as address:
        page = show(window, address)

        expect(page.locator("#ratio")).to_have_text("75.0 %")
        expect(page.locator("#rows")).to_contain_text("price")
        assert page.inner_text("#whereabouts").startswith("shop · SimpleCache")
        assert window.complaints == []
        assert len(window.asked) > 5
        assert all(url.startswith(address) for url in window.asked)


_INK = """canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value) => value > 0);
}"""


def test_all_four_plots_are_live(window: Window, redis_server: Any) -> None:
    shop = Shop({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": redis_server.port})
    shop.cache.clear()
    shop.price(1)
    with serving(shop.app) as address:
        page = show(window, address)
        plots = page.locator("canvas")
        assert plots.count() == 4
        # A second point, of calls that came after the first, makes a line.
        for _ in range(60):
            shop.price(1)
            page.wait_for_timeout(100)
            if all(plot.evaluate(_INK) for plot in plots.all()):
                break
        assert [plot.evaluate(_INK) for plot in plots.all()] == [True] * 4


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_as_wide_as_a_telephone(window: Window, shop: Shop, dark: bool) -> None:
    shop.price(1)
    window.look(width=400, dark=dark)
    with serving(shop.app) as address:
        page = show(window, address)
        width = page.evaluate("document.documentElement.scrollWidth")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert width == 400
    assert (int(paper.strip("rgb()").split(",")[0]) < 128) is dark


def test_markup_stays_text(window: Window, redis_server: Any) -> None:
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
        page = show(window, address)
        title = page.title()
        page.fill("#key", HOSTILE)
        page.keyboard.press("Enter")

        expect(page.locator("#entry pre")).to_have_text(repr(HOSTILE))
        expect(page.locator("#rows")).to_contain_text(HOSTILE)
        expect(page.locator("#entry")).to_contain_text(HOSTILE)
        # The question before a deletion names it as well.
        page.click("#entry button")
        expect(page.locator("#confirm-text")).to_contain_text(HOSTILE)
        yes(page)
        expect(page.locator("#toast")).to_contain_text(HOSTILE)
        assert page.locator("img").count() == 0
        assert page.title() == title
    assert shop.cache.get(HOSTILE) is None


def test_markup_in_a_tag_an_address_an_error_and_a_refusal_stays_text(window: Window) -> None:
    shop = Shop({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": HOSTILE})
    refused = shop.cache.memoize(response_filter=lambda _: False)(lambda: 1)
    refused._flask_caching_policy.name = HOSTILE
    refused()
    with serving(shop.app) as address:
        page = show(window, address)
        page.fill("#tag", HOSTILE)
        page.keyboard.press("Enter")
        expect(page.locator("#confirm-title")).to_contain_text(HOSTILE)
        yes(page)
        # Nobody has this name: the error says so, with the name in it.
        expect(page.locator("#toast")).to_contain_text(HOSTILE)
        for place in ("#whereabouts", "#servers .name", "#servers .detail >> nth=-1", "#rows"):
            expect(page.locator(place)).to_contain_text(HOSTILE)
        assert page.locator("img").count() == 0
        assert page.title() == "Cache · shop"


def test_the_table_is_sorted_by_keyboard(window: Window, shop: Shop) -> None:
    for product in range(3):
        shop.price(product)
    with serving(shop.app) as address:
        page = show(window, address)
        names = []
        for direction in ("ascending", "descending"):
            window.focus("[data-column=name]")
            page.keyboard.press("Enter")
            expect(page.locator(f"th[aria-sort={direction}]")).to_contain_text("Function")
            names.append(page.locator("#rows td:first-child").all_inner_texts())

        assert len(names[0]) > 1
        assert names[0] == names[1][::-1]
        assert page.evaluate("document.activeElement.dataset.column") == "name"


def test_which_miss_most_and_which_cost_most_come_first(window: Window, shop: Shop) -> None:
    for product in range(5):
        shop.price(product)
    shop.client.get("/")
    with serving(shop.app) as address:
        page = show(window, address)
        window.focus("[data-order=misses]")
        page.keyboard.press("Space")
        expect(page.locator("#rows tr").first).to_contain_text("price")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.locator("th[aria-sort=descending]")).to_contain_text("Computing")


def test_of_many_functions_some_are_shown_and_the_others_found(window: Window, shop: Shop) -> None:
    kept = []
    for number in range(200):
        made = shop.cache.memoize()(lambda: 1)
        made._flask_caching_policy.name = f"shop.function_{number}"
        kept.append(made)
    with serving(shop.app) as address:
        page = show(window, address)
        rows = page.locator("#rows tr")
        expect(rows).to_have_count(25)
        page.click("#more button")
        expect(rows).to_have_count(125)
        page.fill("#filter", "FUNCTION_19")
        expect(rows).to_have_count(11)
        expect(page.locator("#more")).to_be_hidden()


def test_a_key_is_looked_up(window: Window, shop: Shop) -> None:
    shop.cache.set("k", [1, 2], timeout=0, tags=["user:5", "carts"])
    with serving(shop.app) as address:
        page = show(window, address)
        window.focus("#key")
        page.keyboard.type("k")
        page.keyboard.press("Enter")
        entry = page.locator("#entry")
        for text in ("list", "never", "carts, user:5", "[1, 2]"):
            expect(entry).to_contain_text(text)


def test_nothing_is_deleted_without_a_yes(window: Window, shop: Shop) -> None:
    shop.cache.set("k", 1)
    with serving(shop.app) as address:
        page = show(window, address)
        window.focus("#delete-all button")
        page.keyboard.press("Enter")
        expect(page.locator("#confirm-title")).to_have_text("Delete everything?")
        # Enter presses what has the focus at first; Escape is no as well.
        expect(page.locator("#confirm button[value=no]")).to_be_focused()
        for no in ("Enter", "Escape"):
            page.keyboard.press(no)
            expect(page.locator("#confirm")).to_be_hidden()
            assert shop.cache.get("k") == 1
            page.click("#delete-all button")

        yes(page)
        expect(page.locator("#toast")).to_have_text("Everything is deleted.")
    assert shop.cache.get("k") is None


def test_the_results_of_a_function_are_deleted_from_its_row(window: Window, shop: Shop) -> None:
    shop.price(1)
    with serving(shop.app) as address:
        page = show(window, address)
        page.click("[data-forget=price]")
        yes(page)
        expect(page.locator("#toast")).to_contain_text("price")
    shop.price(1)
    assert shop.computed == 2


def test_a_question_leads_back_to_its_button_whatever_was_counted_meanwhile(
    window: Window, shop: Shop
) -> None:
    shop.price(1)
    with serving(shop.app) as address:
        page = show(window, address)
        window.focus("[data-forget=price]")
        page.keyboard.press("Enter")
        expect(page.locator("#confirm")).to_be_visible()
        for _ in range(2):
            with page.expect_response("**/data"):
                shop.price(2)
        page.keyboard.press("Escape")
        expect(page.locator("[data-forget=price]")).to_be_focused()


def test_what_has_a_tag_is_deleted(window: Window, shop: Shop) -> None:
    shop.cache.set("k", 1, tags=["user:5"])
    shop.cache.set("other", 1)
    with serving(shop.app) as address:
        page = show(window, address)
        page.fill("#tag", "user:5")
        page.keyboard.press("Enter")
        yes(page)
        expect(page.locator("#toast")).to_contain_text("user:5")
    assert shop.cache.get("k") is None
    assert shop.cache.get("other") == 1


def test_a_server_that_ends_is_seen(window: Window, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    shop = Shop({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": server.port})
    shop.price(1)
    try:
        with serving(shop.app) as address:
            page = show(window, address)
            expect(page.locator("#servers .state")).to_have_text("well")
            server.kill()
            assert shop.price(1) == 3
            expect(page.locator("#servers .failing")).to_have_count(1)
            expect(page.locator("#servers .detail").last).to_contain_text(f":{server.port} failed")
    finally:
        server.kill()


def test_copies_nearby_are_among_what_is_well_or_not(window: Window, redis_server: Any) -> None:
    shop = Shop(
        {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_PORT": redis_server.port,
            "CACHE_KEY_PREFIX": "near:",
            "CACHE_NEAR": True,
        }
    )
    shop.cache.clear()
    shop.cache.set("k", 1)
    wait_until(lambda: shop.cache.get("k") and shop.cache.health().near.is_current, "copies")
    shop.price(1)
    wait_until(lambda: shop.price(1) and shop.cache.stats().near_hits, "a hit nearby")
    with serving(shop.app) as address:
        page = show(window, address)
        near = page.locator("#servers li", has_text="copies nearby")
        expect(near.locator(".state")).to_have_text("current")
        expect(near.locator(".detail")).to_contain_text("in this process")
        expect(page.locator("#counts")).to_contain_text("From copies nearby")


def test_another_site_presses_no_button(window: Window, shop: Shop) -> None:
    shop.cache.set("k", 1)
    attack = Flask("attack")

    with serving(shop.app) as address:

        @attack.get("/_cache/")
        def page() -> str:
            return f"""<title>trying</title>
            <iframe name=inside></iframe>
            <form method=post action="{address}delete" target=inside enctype=text/plain>
              <input name='{{"what": "everything", "x": "' value='"}}'></form>
            <script>
              const body = '{{"what": "everything"}}';
              const ways = [
                {{mode: "no-cors", headers: {{"Content-Type": "text/plain"}}}},
                {{headers: {{"Content-Type": "application/json", "X-Cache-Token": "x"}}}},
              ];
              document.forms[0].submit();
              navigator.sendBeacon("{address}delete", body);
              Promise.allSettled(ways.map((way) => fetch("{address}delete",
                {{method: "POST", credentials: "include", body, ...way}})))
                .then(() => {{ document.title = "tried"; }});
            </script>"""

        # Of the same site, but for the port: the cookie goes with it.
        show(window, address)
        with serving(attack) as elsewhere:
            window.page.goto(elsewhere)
            expect(window.page).to_have_title("tried")
    assert shop.cache.get("k") == 1


def test_below_a_root_and_a_prefix_that_have_to_be_quoted_it_works(window: Window) -> None:
    shop = Shop(name="quoted")
    made = dashboard.blueprint(shop.cache, authorize=lambda: True, name="elsewhere")
    shop.app.register_blueprint(made, url_prefix="/a b/é")
    mounted = Flask("root")
    mounted.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        Flask("none"), {"/_cache": shop.app}
    )
    with serving(mounted) as address:
        page = show(window, f"{address}a%20b/%C3%A9/")
        page.click("#delete-all button")
        yes(page)
        expect(page.locator("#toast")).to_have_text("Everything is deleted.")
        assert window.complaints == []


def test_when_the_application_ends_the_page_says_so(window: Window, shop: Shop) -> None:
    with serving(shop.app) as address:
        page = show(window, address)
    expect(page.locator("#live")).to_have_text("Not connected")
    expect(page.locator("#trouble")).to_be_visible()
