"""Pages: each known way to poison or deceive a cache. No visitor gets the page of another."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from flask import Flask, g, request, session, url_for
from flask_caching import Cache
from paged import Paged
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.middleware.proxy_fix import ProxyFix


def paged_at(rule: str, view: Any, in_front: bool, **options: Any) -> Paged:
    """An application with a page at a rule of its own."""
    paged = Paged(settings={"CACHE_PAGES_IN_FRONT": True})
    decorate = paged.cache.page(timeout=60, in_front=in_front, **options)
    paged.app.add_url_rule(rule, "own", decorate(view))
    return paged


def visible() -> str:
    """All of the URL that the application sees."""
    return "|".join((request.scheme, request.host, request.script_root, request.path))


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Host", "X-Forwarded-Server"])
def test_unkeyed_header_host(header: str, in_front: bool) -> None:
    paged = paged_at("/x", visible, in_front)
    poisoned = paged.get("/x", headers={header: "evil.example"}).data
    assert b"evil" not in poisoned
    assert paged.get("/x").data == poisoned


def test_unkeyed_header_host_behind_a_proxy(in_front: bool) -> None:
    paged = paged_at("/x", visible, in_front)
    app: Any = paged.app
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_proto=1, x_prefix=1)
    for header in ("X-Forwarded-Host", "X-Forwarded-Prefix"):
        paged.get("/x", headers={header: "/evil"})
        assert b"evil" not in paged.get("/x").data


def from_a_hook() -> str:
    return str(g.read)


@pytest.mark.parametrize(
    ("view", "header", "values"),
    [
        (lambda: request.headers.get("X-Forwarded-Host", "-"), "X-Forwarded-Host", "ab"),
        (lambda: request.headers.get("X-Api-Key", "-"), "X-API-KEY", "ab"),
        (lambda: str("X-A" in request.headers and request.headers["X-A"]), "X-A", "ab"),
        (lambda: request.accept_languages.best_match(["de", "fr"], "-"), "Accept-Language", "df"),
        (lambda: request.user_agent.string, "User-Agent", "ab"),
        (lambda: str(request.is_json), "Content-Type", "ab"),
        (from_a_hook, "X-Read", "ab"),
    ],
    ids=["get", "key", "in", "languages", "agent", "json", "hook"],
)
def test_unkeyed_headers_that_are_read(in_front: bool, view: Any, header: str, values: str) -> None:
    paged = paged_at("/x", view, in_front)

    @paged.app.before_request
    def read() -> None:
        if view is from_a_hook:
            g.read = request.headers.get("X-Read", "-")
        # It notes who asks, which changes no page.
        assert request.user_agent.string != request.headers.get("X-Request-ID", "-")

    for value in (*values, "", *values, *values, ""):
        given = {header: value or "-", "X-Request-ID": f"{value}1"}
        with paged.app.test_request_context("/x", headers=given):
            paged.app.preprocess_request()
            expected = view()
        assert paged.get("/x", headers=given).data.decode() == expected
    given = {header: values[0], "X-Request-ID": "2"}
    assert "hit" in paged.get("/x", headers=given).headers["Cache-Status"]


def test_headers_that_a_hook_after_the_view_reads(in_front: bool) -> None:
    paged = paged_at("/x", lambda: "x", in_front)

    @paged.app.after_request
    def allow(response: Any) -> Any:
        # It says no `Vary`, and notes who asks.
        if origin := request.headers.get("Origin"):
            response.headers["Access-Control-Allow-Origin"] = origin
        assert request.user_agent.string != request.headers.get("X-Request-ID", "-")
        return response

    for origin in ("a", "", "b", "a", "", "b"):
        headers = {"Origin": origin, "X-Request-ID": origin * 2}
        answer = paged.get("/x", headers=headers)
        assert answer.headers.get("Access-Control-Allow-Origin", "") == origin
    assert "hit" in answer.headers["Cache-Status"]


@pytest.mark.parametrize(
    ("view", "detail"),
    [
        (lambda: dict(request.headers)["X-A"], "headers-read"),
        (lambda: str(request.headers.getlist("X-A")), "headers-read"),
        (lambda: request.headers.get("Cookie", "-"), "cookies-read"),
        (lambda: (len(request.cookies), request.headers.get("Cookie", "-"))[1], "cookies-read"),
        (lambda: str(request.remote_addr), "address-read"),
        (lambda: str(list(request.access_route)), "address-read"),
    ],
    ids=["all", "list", "cookie", "cookies", "address", "route"],
)
def test_who_asks_is_no_part_of_a_page(in_front: bool, view: Any, detail: str) -> None:
    paged = paged_at("/x", view, in_front)
    for who in ("1", "2", "1"):
        visitor = {"headers": {"X-A": who, "Cookie": f"a={who}"}}
        environ = {"REMOTE_ADDR": f"10.0.0.{who}"}
        with paged.app.test_request_context("/x", environ_overrides=environ, **visitor):
            expected = view()
        answer = paged.get("/x", environ_overrides=environ, **visitor)
        assert answer.data.decode() == expected
        assert "hit" not in answer.headers["Cache-Status"]
    assert answer.headers["Cache-Status"].endswith(f"detail={detail}")


@pytest.mark.parametrize("header", ["X-Original-URL", "X-Rewrite-URL"])
def test_unkeyed_header_path(header: str, in_front: bool) -> None:
    paged = paged_at("/<path:rest>", lambda rest: rest, in_front)
    paged.get("/public", headers={header: "/admin"})
    assert paged.get("/public").data == b"public"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/account/x.css",
            "/account;x.css",
            "/account;/x.css",
            "/account%2Fx.css",
            "/account%00.css",
        ),
        *(
            "/account/%2e%2e/x",
            "/account/../x",
            "/account/./x",
            "/account//x",
            "/Account",
            "/account/",
        ),
        *("/account%252fx", "/account%3Fx=1", "/account%23x", "/account%0d%0aX-Evil:%201"),
    ],
)
def test_path_confusion(path: str, in_front: bool) -> None:
    paged = paged_at("/<path:rest>", lambda rest: f"<{rest}>", in_front)
    for one in ("/account", path, "/account", path):
        answer = paged.get(one)
        alone = paged_at("/<path:rest>", lambda rest: f"<{rest}>", in_front).get(one)
        assert (answer.status_code, answer.data) == (alone.status_code, alone.data)


@pytest.mark.parametrize(
    "host",
    ["shop.example.", "SHOP.example", "shop.example:80", "shop.example:8080", "evil.example"],
)
def test_host_confusion(host: str, in_front: bool) -> None:
    paged = paged_at("/x", visible, in_front)
    for one in ("shop.example", host, "shop.example", host):
        answer = paged.get("/x", environ_overrides={"HTTP_HOST": one})
        assert answer.data.decode().split("|")[1] in (one, one.removesuffix(":80"))


@pytest.mark.parametrize(
    "query",
    ["a=1;b=2", "a=1%26b=2", "b=2;a=1", "a=1&a=2", "a=2&a=1", "a%3D1=", "a=1&b", "a=1%00", "A=1"],
)
def test_parameter_cloaking(query: str, in_front: bool) -> None:
    def view() -> str:
        return repr(sorted(request.args.items(multi=True), key=lambda pair: pair[0]))

    paged = paged_at("/x", view, in_front)
    for one in ("a=1&b=2", "a=1", query, "a=1&b=2", "a=1", query):
        with paged.app.test_request_context(f"/x?{one}"):
            expected = view()
        assert paged.get(f"/x?{one}").data.decode() == expected


def test_parameter_cloaking_of_ignored_arguments(in_front: bool) -> None:
    paged = paged_at("/x", lambda: request.args.get("page", "-"), in_front, query=("page",))
    paged.get("/x?page=1&utm_content=x;page=evil")
    assert paged.get("/x?page=1").data == b"1"


@pytest.mark.parametrize(
    "read",
    [
        lambda: request.args.get("utm"),
        lambda: request.values.get("utm"),
        lambda: request.args.getlist("utm"),
        lambda: dict(request.args),
        lambda: request.url,
        lambda: request.full_path,
        lambda: request.query_string,
        lambda: "utm" in request.args and request.args["utm"],
        lambda: url_for(str(request.endpoint), **request.args),
    ],
    ids=["args", "values", "list", "all", "url", "path", "query", "item", "url_for"],
)
@pytest.mark.parametrize("hook", [False, True], ids=["", "read before"])
def test_unkeyed_arguments_that_are_read(in_front: bool, read: Any, hook: bool) -> None:
    paged = paged_at("/x", lambda: f"{request.args['page']} {read()}", in_front, query=("page",))
    if hook:
        # What a hook notes of the request, as for a log, is no part of the page.
        paged.app.before_request(lambda: (request.url, request.values.get("utm"))[2:] or None)
    for _ in range(2):
        answer = paged.get("/x?page=1&utm=evil")
        assert "evil" in answer.text
        assert answer.headers["Cache-Status"] == "flask-caching; fwd=uri-miss; detail=query-read"
    assert "evil" not in paged.get("/x?page=1").text
    for path in ("/x?page=1", "/x?page=1&utm=evil"):
        answer = paged.get(path)
        assert "evil" not in answer.text
        assert "hit" in answer.headers["Cache-Status"]


def test_arguments_that_nobody_reads_are_no_part_of_a_page(in_front: bool) -> None:
    def view() -> str:
        # The second is not there.
        found = request.args["page"], request.args.get("sort"), type(request.args).__name__
        return f"{found} {isinstance(request.args, ImmutableMultiDict)} {request.base_url}"

    paged = paged_at("/x", view, in_front, query=("page",))
    with paged.app.test_request_context("/x?page=1"):
        expected = view()
    for path in ("/x?page=1&utm=1", "/x?page=1&utm=2", "/x?page=1"):
        answer = paged.get(path)
        assert answer.text == expected
    assert "hit" in answer.headers["Cache-Status"]


def test_spellings_of_a_query_that_is_shown_as_it_is(in_front: bool) -> None:
    # No browser sends the first, which would be a script in the page of who sends the second.
    paged = paged_at("/x", lambda: request.query_string.decode(), in_front)
    for query in ("a=<script>", "a=%3Cscript%3E", "%61=<script>", "a=%3cscript%3e"):
        environ: dict[str, Any] = {"QUERY_STRING": query}
        assert paged.get("/x", environ_overrides=environ).data.decode() == query


def test_fat_get(in_front: bool) -> None:
    paged = paged_at("/x", lambda: request.get_data(as_text=True) or "-", in_front)
    assert paged.get("/x", data="evil").data == b"evil"
    assert paged.get("/x").data == b"-"
    assert paged.get("/x", data="evil").data == b"evil"


def test_method_override(in_front: bool) -> None:
    paged = paged_at("/x", lambda: request.method, in_front)
    paged.get("/x", headers={"X-HTTP-Method-Override": "DELETE"})
    assert paged.get("/x").data == b"GET"
    assert paged.client.post("/x").status_code == 405
    assert paged.get("/x").data == b"GET"


def test_header_names_of_odd_case(in_front: bool) -> None:
    paged = paged_at("/x", lambda: request.headers.get("X-Kind", "-"), in_front, vary=("x-KIND",))
    for name in ("X-Kind", "x-kind", "X-KIND"):
        for value in ("a", "b"):
            assert paged.get("/x", headers={name: value}).data.decode() == value
    assert paged.get("/x").data == b"-"


def test_response_splitting(in_front: bool) -> None:
    def view() -> Any:
        return "x", 200, {"X-Echo": request.args.get("echo", "-")}

    paged = paged_at("/x", view, in_front)
    answer = paged.get("/x?echo=a%0d%0aSet-Cookie:%20evil=1")
    assert "Set-Cookie" not in answer.headers
    assert paged.get("/x").headers["X-Echo"] == "-"


def test_oversized_header(in_front: bool) -> None:
    def view() -> Any:
        return ("too large", 400) if len(request.headers.get("X-Big", "")) > 1000 else "fine"

    paged = paged_at("/x", view, in_front)
    assert paged.get("/x", headers={"X-Big": "x" * 2000}).status_code == 400
    assert paged.get("/x").data == b"fine"


@pytest.mark.parametrize(
    "path", ["/x HTTP/1.1", "/x\r\nHost: evil", "http://evil.example/x", "*", ""]
)
def test_leftovers_of_smuggling_in_the_path(path: str, in_front: bool) -> None:
    paged = paged_at("/x", visible, in_front)
    first = paged.get("/x").data
    paged.client.open("/x", environ_overrides={"PATH_INFO": path})
    assert paged.get("/x").data == first


def test_partial_content(in_front: bool) -> None:
    def view() -> Any:
        if "Range" in request.headers:
            return "he", 206, {"Content-Range": "bytes 0-1/5"}
        return "hello"

    paged = paged_at("/x", view, in_front)
    assert paged.get("/x", headers={"Range": "bytes=0-1"}).status_code == 206
    assert paged.get("/x").data == b"hello"
    assert paged.get("/x", headers={"Range": "bytes=0-1"}).data == b"he"
    assert paged.get("/x", headers={"If-None-Match": "*"}).status_code == 304


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_cached_redirects(status: int, in_front: bool) -> None:
    def view() -> Any:
        return "", status, {"Location": f"//{request.host}/y?{request.query_string.decode()}"}

    paged = paged_at("/x", view, in_front)
    paged.get("/x", base_url="http://evil.example")
    assert "evil" not in paged.get("/x").headers["Location"]
    paged.get("/x?next=evil")
    assert "evil" not in paged.get("/x").headers["Location"]


def test_cached_404(in_front: bool) -> None:
    found: list[int] = []
    paged = paged_at("/x", lambda: "found" if found else ("nothing", 404), in_front)
    assert paged.get("/x").status_code == 404
    assert paged.get("/x?other").status_code == 404
    found.append(1)
    assert paged.get("/x?third").data == b"found"
    paged.cache.delete_page("/x")
    assert paged.get("/x").data == b"found"


def test_login_between_two_requests(in_front: bool) -> None:
    paged = paged_at("/x", lambda: f"hello {session.get('user', 'nobody')}", in_front)
    paged.app.add_url_rule("/in/<name>", "in", lambda name: session.update(user=name) or "in")
    ann, bob = paged.app.test_client(), paged.app.test_client()
    assert ann.get("/x").data == b"hello nobody"
    ann.get("/in/ann")
    assert ann.get("/x").data == b"hello ann"
    assert bob.get("/x").data == b"hello nobody"
    bob.get("/in/bob")
    assert [client.get("/x").data for client in (ann, bob)] == [b"hello ann", b"hello bob"]


def test_cookies_that_nobody_named(in_front: bool) -> None:
    paged = paged_at("/x", lambda: request.cookies.get("user", "nobody"), in_front)
    assert paged.get("/x", headers={"Cookie": "user=ann"}).data == b"ann"
    assert paged.get("/x").data == b"nobody"
    assert paged.get("/x", headers={"Cookie": "user=bob"}).data == b"bob"


def test_cookies_that_a_hook_reads(in_front: bool) -> None:
    paged = paged_at("/x", lambda: str(g.language), in_front)

    @paged.app.before_request
    def choose() -> None:
        g.language = request.cookies.get("language", "en")

    for _ in range(2):
        assert paged.get("/x", headers={"Cookie": "language=de"}).data == b"de"
        assert paged.get("/x").data == b"en"
    assert paged.get("/x").headers["Cache-Status"].endswith("detail=cookies-read")


@pytest.mark.parametrize(
    "read",
    [
        lambda cookies: cookies.get("user", "nobody"),
        lambda cookies: ("user" in cookies and cookies["user"]) or "nobody",
        lambda cookies: dict(cookies).get("user", "nobody"),
        lambda cookies: {**cookies}.get("user", "nobody"),
        lambda cookies: ", ".join(cookies.getlist("user")) or "nobody",
        lambda cookies: [*cookies.values()][-1],
    ],
    ids=["get", "item", "dict", "unpacked", "getlist", "values"],
)
def test_cookies_beside_those_that_are_named(in_front: bool, read: Any) -> None:
    paged = paged_at("/x", lambda: read(request.cookies), in_front, cookies=("a",))
    assert paged.get("/x", headers={"Cookie": "a=1; user=ann"}).data == b"ann"
    assert paged.get("/x", headers={"Cookie": "a=1; user=bob"}).data == b"bob"
    assert paged.get("/x", headers={"Cookie": "a=nobody"}).data == b"nobody"


@pytest.mark.parametrize(
    "odd",
    [
        "\xc2\xa0a=evil",
        "\x0ba=evil",
        "\x0ca=evil",
        "\x1ca=evil",
        "a\xc2\x85=evil",
        "a\x0c",
        'b="; a=evil; c="',
        'b="\\"; a=evil; c=\\""',
    ],
)
def test_cookies_that_are_named_in_an_odd_way(in_front: bool, odd: str) -> None:
    # Versions of Werkzeug differ in what they take for a space, and in where a value ends.
    paged = paged_at("/x", lambda: request.cookies.get("a", "none"), in_front, cookies=("a",))
    for raw, expected in (("", b"none"), ("a=evil", b"evil")):
        paged.get("/x", environ_overrides={"HTTP_COOKIE": odd})
        assert paged.get("/x", environ_overrides={"HTTP_COOKIE": raw}).data == expected
        paged.cache.clear()


def test_cookies_stay_what_they_are(in_front: bool) -> None:
    def view() -> str:
        copies = (pickle.loads(pickle.dumps(request.cookies)), copy.deepcopy(request.cookies))
        assert all(isinstance(it, ImmutableMultiDict) for it in (request.cookies, *copies))
        return repr((*copies, request.cookies, len(request.cookies), request.cookies.to_dict()))

    paged = paged_at("/x", view, in_front)
    with paged.app.test_request_context("/x", headers={"Cookie": "a=1; b=2"}):
        expected = view()
    assert paged.get("/x", headers={"Cookie": "a=1; b=2"}).data.decode() == expected


def test_named_cookies_may_be_read(in_front: bool) -> None:
    paged = paged_at("/x", lambda: request.cookies.get("a", "-"), in_front, cookies=("a",))
    paged.app.before_request(lambda: request.cookies.get("a") and None)
    for value in ("1", "2"):
        paged.get("/x", headers={"Cookie": f"a={value}; user=ann"})
        answer = paged.get("/x", headers={"Cookie": f"user=bob; a={value}"})
        assert answer.data.decode() == value
        assert answer.headers["Cache-Status"].startswith("flask-caching; hit")


def test_authorization(in_front: bool) -> None:
    paged = paged_at("/x", lambda: request.headers.get("Authorization", "nobody"), in_front)
    for who in ("Bearer a", "Bearer b", "Bearer a"):
        assert paged.get("/x", headers={"Authorization": who}).data.decode() == who
    assert paged.get("/x").data == b"nobody"


def test_a_login_that_the_server_before_has_seen_to(in_front: bool) -> None:
    paged = paged_at("/x", lambda: request.remote_user or "nobody", in_front)
    for who in ("ann", "bob", "ann"):
        assert paged.get("/x", environ_overrides={"REMOTE_USER": who}).data.decode() == who
    for nobody in ({"REMOTE_USER": ""}, {}):
        assert paged.get("/x", environ_overrides=nobody).data == b"nobody"
    answer = paged.get("/x", environ_overrides={"REMOTE_USER": "ann"})
    assert answer.headers["Cache-Status"].endswith("detail=authorization")
    assert "hit" in paged.get("/x").headers["Cache-Status"]


def test_logins_here_and_before_are_not_the_same(in_front: bool) -> None:
    def view() -> Any:
        said = f"{'Authorization' in request.headers} {request.remote_user is not None}"
        return said, {"Cache-Control": "public, max-age=60"}

    paged = paged_at("/x", view, in_front)
    for environ in ({}, {"REMOTE_USER": "a"}, {"HTTP_AUTHORIZATION": "Basic dTpw"}, {}):
        for _ in range(2):
            expected = f"{'HTTP_AUTHORIZATION' in environ} {'REMOTE_USER' in environ}"
            assert paged.get("/x", environ_overrides=environ).data.decode() == expected


def test_hosts_that_choose_the_view(in_front: bool) -> None:
    """Where the application routes by host, hosts share no page, whatever ``host`` says."""
    app = Flask("routed", subdomain_matching=True)
    app.config.update(
        CACHE_TYPE="SimpleCache", CACHE_PAGES_IN_FRONT=True, SERVER_NAME="example.org"
    )
    cache = Cache(app)

    def of(user: str) -> str:
        return f"of {user}"

    page = cache.page(timeout=60, host=False, in_front=in_front)(of)
    app.add_url_rule("/", "of", page, subdomain="<user>")
    client = app.test_client()
    for _ in range(3):
        for user in ("ann", "bob"):
            assert client.get("/", base_url=f"http://{user}.example.org").text == f"of {user}"
    cache.delete_page("/", host="ann.example.org")
    answers = [client.get("/", base_url=f"http://{user}.example.org") for user in ("ann", "bob")]
    assert [" hit;" in answer.headers["Cache-Status"] for answer in answers] == [False, True]
