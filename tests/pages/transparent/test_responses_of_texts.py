"""What a view has returned becomes the response that Flask makes of it, whoever has a say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from flask import Flask, Response, request_finished
from flask_caching import Cache
from flask_caching.pages.made import model_of
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.sansio.response import Response as SansioResponse

TEXTS = ["", "text", "\xe4\u20ac\U0001f600", "a\r\nb", b"", b"\xff\x00bytes", "x" * 100_000]


def seen_by_hooks(app: Flask, returned: Any) -> Any:
    """The response of a view that is a page, as a hook after it has it."""
    seen: list[Any] = []
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.add_url_rule("/", view_func=cache.page(60)(lambda: returned))
    app.after_request(lambda response: seen.append(show(response)) or response)
    # The second answer of a view is made as the first one was.
    for query in ("", "?again"):
        app.test_client().get(f"/{query}")
    return seen[1]


def show(response: Response) -> Any:
    """All that a response is made of, in its order."""
    values = dict(vars(response))
    headers = values.pop("headers")
    kind = type(headers), list(vars(headers)), type(headers._list), list(headers)
    return type(response), kind, [(name, type(it), it) for name, it in values.items()]


def alike(make: Callable[[], Flask], returned: Any) -> None:
    app = make()
    with app.test_request_context("/"):
        wanted = app.make_response(returned)
    assert seen_by_hooks(make(), returned) == show(wanted)


@pytest.mark.parametrize("returned", TEXTS, ids=range(len(TEXTS)))
def test_of_flasks_own_class(returned: Any) -> None:
    alike(lambda: Flask("alike"), returned)


@given(st.text() | st.binary())
def test_of_any_text(returned: Any) -> None:
    app = Flask("any")
    with app.test_request_context("/"):
        try:
            wanted = show(app.make_response(returned))
        except UnicodeEncodeError:
            return
    assert seen_by_hooks(Flask("any"), returned) == wanted


def test_what_cannot_be_encoded_is_the_error_that_it_is() -> None:
    app = Flask("surrogates")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.add_url_rule("/", view_func=cache.page(60)(lambda: "\ud800"))
    app.testing = True
    with pytest.raises(UnicodeEncodeError):
        app.test_client().get("/")


class Plain(Response):
    default_mimetype = "text/plain"


class Unmeasured(Response):
    automatically_set_content_length = False


class Created(Response):
    default_status = 201


class WithInit(Response):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.headers["X-Made"] = "by its class"


class WithData(Response):
    def set_data(self, value: Any) -> None:
        super().set_data(value.upper())


class WithStatus(Response):
    @property
    def status(self) -> str:
        return "203 X"

    @status.setter
    def status(self, value: Any) -> None:
        self._status, self._status_code = "203 X", 203


class WithAttributes(Response):
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        super().__setattr__("number", len(vars(self)))


class Counted(Response):
    """Each is of another kind than the one before."""

    made = 0

    @property
    def default_mimetype(self) -> str:  # type: ignore[override]
        Counted.made += 1
        return f"text/x-{Counted.made % 2}"


class Between(SansioResponse):
    """Stands between Werkzeug's classes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.headers["X-Between"] = "yes"


class Around(Response, Between):
    """Of which Flask's own class is not the last."""


class ByMeta(type(Response)):  # type: ignore[misc]
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        response = super().__call__(*args, **kwargs)
        response.headers["X-Meta"] = "yes"
        return response


class OfMeta(Response, metaclass=ByMeta):
    """Whose class makes it."""


@pytest.mark.parametrize(
    "cls",
    [Around, OfMeta, Plain, Unmeasured, Created, WithInit, WithData, WithStatus, WithAttributes],
)
def test_of_a_class_of_the_applications_own(cls: type[Response]) -> None:
    class Application(Flask):
        response_class = cls

    alike(lambda: Application("own"), "text")


def test_of_a_class_that_says_something_of_each() -> None:
    class Application(Flask):
        response_class = Counted

    app = Application("each")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.add_url_rule("/", view_func=cache.page(60)(lambda: "text"))
    kinds = [app.test_client().get(f"/?{number}").mimetype for number in range(3)]
    assert kinds[0] != kinds[1] != kinds[2]


def test_an_application_makes_its_responses_itself() -> None:
    class Application(Flask):
        def make_response(self, rv: Any) -> Response:
            response = super().make_response(rv)
            response.headers["X-Made"] = "by its application"
            return response

    alike(lambda: Application("itself"), "text")


def test_the_maker_of_responses_is_replaced_later() -> None:
    app = Flask("later")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.add_url_rule("/", view_func=cache.page(60)(lambda: "text"))
    client = app.test_client()
    assert client.get("/?1").text == "text"
    make = app.make_response
    app.make_response = lambda rv: make("own")  # type: ignore[method-assign]
    assert client.get("/?2").text == "own"
    del app.make_response
    assert client.get("/?3").text == "text"
    with mock.patch.object(Flask, "make_response", side_effect=lambda rv: Response("patched")):
        assert client.get("/?4").text == "patched"
    init = Response.__init__

    def traced(self: Response, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.headers["X-Traced"] = "yes"

    with mock.patch.object(Response, "__init__", traced):
        assert client.get("/?5").headers["X-Traced"] == "yes"
    set_data = Response.set_data
    with mock.patch.object(
        Response, "set_data", autospec=True, side_effect=lambda self, data: set_data(self, "set")
    ):
        assert client.get("/?set").text == "set"
    app.response_class = Plain
    assert client.get("/?6").mimetype == "text/plain"
    app.response_class = Response
    assert client.get("/?7").mimetype == "text/html"


def test_no_two_responses_have_anything_in_common() -> None:
    app = Flask("apart")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.add_url_rule("/", view_func=cache.page(60)(lambda: "text"))

    @app.after_request
    def add(response: Response) -> Response:
        response.headers.add("X-Seen", "once")
        response.call_on_close(lambda: None)
        response.response.append(b"!")  # type: ignore[attr-defined]
        return response

    for number in range(3):
        answer = app.test_client().get(f"/?{number}")
        assert answer.headers.getlist("X-Seen") == ["once"]
        assert answer.data == b"text!"
    assert isinstance(answer.headers, Headers)


def test_flasks_own_responses_need_not_be_asked_for() -> None:
    model = model_of(Flask("model"))
    assert model is not None
    assert model.pairs == (("Content-Type", "text/html; charset=utf-8"), ("Content-Length", None))


class Late(Headers):
    """Headers that add something when they are sent."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from [*super().__iter__(), ("X-Late", "yes")]

    def items(self, lower: bool = False) -> Any:
        return iter(self)


def with_headers_of_their_own(response: Response) -> Response:
    response.headers = Late(response.headers)
    return response


def with_a_method_of_its_own(response: Response) -> Response:
    made = response.get_wsgi_headers

    def get_wsgi_headers(environ: Any) -> Headers:
        headers = made(environ)
        headers["X-Late"] = "yes"
        return headers

    response.get_wsgi_headers = get_wsgi_headers  # type: ignore[method-assign]
    return response


@pytest.mark.parametrize("hook", [with_headers_of_their_own, with_a_method_of_its_own])
def test_what_is_added_when_a_response_is_sent(hook: Any) -> None:
    app = Flask("late")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.add_url_rule("/", view_func=cache.page(60)(lambda: "text"))
    app.after_request(hook)
    for _ in ("miss", "hit"):
        assert app.test_client().get("/").headers["X-Late"] == "yes"


def test_a_receiver_changes_the_body_within_what_is_sent() -> None:
    app = Flask("finished")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.add_url_rule("/", view_func=cache.page(60)(lambda: "text"))

    def receive(sender: Flask, response: Any, **rest: Any) -> None:
        response.response[0] = b"TEXT"

    with request_finished.connected_to(receive, app):
        for _ in ("miss", "hit"):
            assert app.test_client().get("/").text == "TEXT"
