"""Who gets in, and who presses a button."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from dashboards import Shop, press
from flask import Flask, Response, abort, redirect
from flask_caching import Cache, CacheConfigError, dashboard

PAGES = ["", "data", "assets/page.js", "assets/uplot.css", "assets/none"]
BUTTONS = ["look-up", "delete"]


def test_without_authorize_it_is_refused_outside_debug_mode(app: Flask, cache: Cache) -> None:
    with pytest.raises(CacheConfigError, match="outside debug mode it needs authorize="):
        app.register_blueprint(dashboard.blueprint(cache), url_prefix="/_cache")


def test_an_authorize_that_cannot_be_called_is_refused(cache: Cache) -> None:
    with pytest.raises(CacheConfigError, match="must be a function"):
        dashboard.blueprint(cache, authorize=True)  # type: ignore[arg-type]


def test_in_debug_mode_it_may_go_without_and_closes_when_that_ends(
    app: Flask, cache: Cache
) -> None:
    app.debug = True
    app.register_blueprint(dashboard.blueprint(cache), url_prefix="/_cache")
    client = app.test_client()
    assert client.get("/_cache/data").status_code == 200

    app.debug = False
    assert client.get("/_cache/data").status_code == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:5000", 200),
        ("shop.localhost", 200),
        ("127.0.0.1:5000", 200),
        ("[::1]:5000", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ],
)
def test_without_authorize_a_name_that_leads_here_from_elsewhere_does_not_get_in(
    app: Flask, cache: Cache, host: str, status: int
) -> None:
    app.debug = True
    app.register_blueprint(dashboard.blueprint(cache), url_prefix="/_cache")

    response = app.test_client().get("/_cache/data", headers={"Host": host})

    assert response.status_code == status


def _raises() -> bool:
    raise LookupError("who is this?")


async def _says_no() -> bool:
    return False


NOES: dict[str, Any] = {
    "False": lambda: False,
    "None": lambda: None,
    "an exception": _raises,
    "a redirection, which is true": lambda: redirect("/login"),
    "a name, which is true": lambda: "anonymous",
    "a coroutine": _says_no,
    "a coroutine that nobody awaits": lambda: object(),
}


@pytest.mark.parametrize("no", NOES)
def test_whatever_is_not_true_is_no_for_every_page_and_button(
    no: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    shop = Shop(authorize=NOES[no])
    shop.cache.set("k", "secret")
    client = shop.client

    answers = [client.get(f"/_cache/{page}") for page in PAGES]
    answers += [client.post(f"/_cache/{path}", json={"what": "everything"}) for path in BUTTONS]

    assert {answer.status_code for answer in answers} == {403}
    assert all(answer.get_data(as_text=True).startswith("Not allowed") for answer in answers)
    assert shop.cache.get("k") == "secret"


def test_it_is_asked_each_time_also_for_the_files() -> None:
    asked: list[str] = []

    def authorize() -> bool:
        from flask import request

        asked.append(request.path)
        return True

    client = Shop(authorize=authorize).client
    for page in PAGES:
        client.get(f"/_cache/{page}")

    assert asked == [f"/_cache/{page}" for page in PAGES]


def test_a_coroutine_function_may_say_yes() -> None:
    async def authorize() -> bool:
        return True

    assert Shop(authorize=authorize).client.get("/_cache/").status_code == 200


def test_a_no_may_say_how_to_log_in() -> None:
    def authorize() -> bool:
        abort(Response("Who?", 401, headers={"WWW-Authenticate": "Basic"}))

    answer = Shop(authorize=authorize).client.get("/_cache/")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Basic"


def test_a_true_that_is_none_is_explained(caplog: pytest.LogCaptureFixture) -> None:
    Shop(authorize=lambda: "yes").client.get("/_cache/")

    assert "must return True or False, not a str" in caplog.text


def test_a_button_works_with_the_token_of_the_page() -> None:
    shop = Shop()
    shop.cache.set("k", 1)

    answer = press(shop.client, "delete", {"what": "key", "name": "k"})

    assert answer.status_code == 200
    assert shop.cache.get("k") is None


FORGERIES: dict[str, dict[str, str]] = {
    "no token": {"X-Cache-Token": ""},
    "another token": {"X-Cache-Token": "x" * 43},
    "no ASCII": {"X-Cache-Token": "ü" * 43},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another port of this site": {"Sec-Fetch-Site": "same-site"},
    "typed in": {"Sec-Fetch-Site": "none"},
    "another origin, of a browser that says no more": {"Origin": "https://evil.example"},
    "an origin that is none": {"Origin": "null"},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_button_cannot_be_pressed_from_elsewhere(forgery: str) -> None:
    shop = Shop()
    shop.cache.set("k", 1)

    answer = press(shop.client, "delete", {"what": "everything"}, **FORGERIES[forgery])

    assert answer.status_code == 403
    assert shop.cache.get("k") == 1


@pytest.mark.parametrize("page", PAGES[:-1])
def test_a_script_of_another_site_reads_nothing_and_a_link_leads_here(page: str) -> None:
    client = Shop().client
    by_script = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    by_link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    assert client.get(f"/_cache/{page}", headers=by_script).status_code == 403
    assert client.get(f"/_cache/{page}", headers=by_link).status_code == 200


def test_a_form_of_another_site_cannot_press_a_button() -> None:
    shop = Shop()
    client = shop.client
    client.get("/_cache/data")
    shop.cache.set("k", 1)

    answer = client.post("/_cache/delete", data='{"what": "everything"}', content_type="text/plain")

    assert answer.status_code == 403
    assert shop.cache.get("k") == 1


def test_a_token_without_its_cookie_is_none() -> None:
    shop = Shop()
    token = shop.client.get("/_cache/data").get_json()["token"]

    answer = shop.client.post(
        "/_cache/delete", json={"what": "everything"}, headers={"X-Cache-Token": token}
    )

    assert answer.status_code == 403


def test_a_get_presses_no_button() -> None:
    assert Shop().client.get("/_cache/delete").status_code == 405


def test_below_another_root_the_cookie_comes_back() -> None:
    client = Shop().client
    answer = client.get("/_cache/data", environ_overrides={"SCRIPT_NAME": "/shop"})

    assert "Path=/shop/_cache/" in answer.headers["Set-Cookie"]


def test_the_cookie_goes_to_the_dashboard_of_this_site_only() -> None:
    answer = Shop().client.get("/_cache/data", base_url="https://shop.example")

    [cookie] = answer.headers.getlist("Set-Cookie")
    assert {"Secure", "HttpOnly", "Path=/_cache/", "SameSite=Strict"} <= set(cookie.split("; "))
