"""What is read before a view, after it, or of what others have handed on, counts for its page: each
application answers as it does without the cache."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import (
    Flask,
    Request,
    Response,
    abort,
    flash,
    g,
    get_flashed_messages,
    render_template_string,
    request,
    session,
)
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_caching import Cache
from flask_caching.requests.context import SESSION, active_request_context, session_of
from werkzeug.datastructures import ImmutableList, ImmutableMultiDict, LanguageAccept
from werkzeug.exceptions import Gone
from werkzeug.user_agent import UserAgent
from werkzeug.utils import cached_property

Prepare = Callable[[Flask], Any]


def this_request() -> Any:
    return request._get_current_object()  # type: ignore[attr-defined]


def application(
    view: Callable[[], Any],
    prepare: Prepare,
    has_pages: bool,
    app: Flask | None = None,
    **page: Any,
) -> Flask:
    app = app or Flask("around")
    app.secret_key = "secret"
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_PAGES_IN_FRONT": True})
    app.add_url_rule("/", "view", cache.page(60, **page)(view) if has_pages else view)
    prepare(app)
    return app


def is_like_without(
    view: Callable[[], Any],
    requests: list[Mapping[str, Any]],
    prepare: Prepare = lambda app: None,
    make: Callable[[], Flask | None] = lambda: None,
    **page: Any,
) -> None:
    """Several requests are answered as they are without pages."""
    answers = []
    for has_pages in (False, True):
        client = application(view, prepare, has_pages, make(), **page).test_client()
        got = [client.get(**{"path": "/", **each}) for each in requests]
        answers.append([(it.status, it.text, it.headers.get("X-Hook")) for it in got])
    assert answers[1] == answers[0]


def with_headers(name: str) -> list[Mapping[str, Any]]:
    return [{"headers": {name: value}} for value in ("de", "fr", "de", "fr")]


FROM_ADDRESSES: list[Mapping[str, Any]] = [
    {"environ_overrides": {"REMOTE_ADDR": address}} for address in ("1.1.1.1", "2.2.2.2") * 2
]


WITH_ARGUMENTS: list[Mapping[str, Any]] = [
    {"path": f"/?a=1&utm={value}"} for value in ("one", "two", "one", "two")
]


class Looking(SecureCookieSessionInterface):
    """It looks at its visitor, and requests keep what they have made of that."""

    def open_session(self, app: Any, request: Any) -> Any:
        str((request.accept_languages, request.user_agent, request.access_route))
        return super().open_session(app, request)


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("Accept-Language", lambda: str(request.accept_languages)),
        ("User-Agent", lambda: request.user_agent.string),
        ("X-Forwarded-For", lambda: str(request.access_route)),
    ],
    ids=["languages", "agent", "route"],
)
def test_what_a_session_interface_has_read(
    header: str, read: Callable[[], str], in_front: bool
) -> None:
    def prepare(app: Flask) -> None:
        app.session_interface = Looking()

    is_like_without(read, with_headers(header), prepare, in_front=in_front)


class Own(Request):
    """It keeps what it has found out about its visitor."""

    @property
    def user_agent(self) -> Any:
        return super().user_agent

    @property
    def ip(self) -> Any:
        return self.remote_addr

    @cached_property
    def is_local(self) -> bool:
        return any(self.remote_addr == address for address in ("1.1.1.1",))

    @cached_property
    def place(self) -> str:
        return f"place of {self.ip}"

    @cached_property
    def theme(self) -> str:
        return self.cookies.get("theme", "-")

    @cached_property
    def utm(self) -> str:
        return self.args.get("utm", "-")

    @cached_property
    def agent(self) -> str:
        return self.user_agent.string.lower()

    @functools.cached_property
    def country(self) -> str:
        return f"country of {self.remote_addr}"


def of_requests(cls: type[Request]) -> Flask:
    app = Flask("around")
    app.request_class = cls
    return app


def of_own_requests() -> Flask:
    return of_requests(Own)


@pytest.mark.parametrize(
    ("name", "requests", "page"),
    [
        ("agent", with_headers("User-Agent"), {}),
        ("user_agent", with_headers("User-Agent"), {}),
        ("country", FROM_ADDRESSES, {}),
        ("is_local", FROM_ADDRESSES, {}),
        ("place", FROM_ADDRESSES, {}),
        ("theme", [{"headers": {"Cookie": f"theme={it}"}} for it in ("dark", "light") * 2], {}),
        ("utm", WITH_ARGUMENTS, {"query": ("a",)}),
    ],
    ids=["agent", "user_agent", "country", "is_local", "place", "theme", "utm"],
)
@pytest.mark.parametrize("asking", ["hook", "session interface"])
def test_what_others_have_asked_a_property_that_keeps_it(
    name: str, requests: list[Mapping[str, Any]], page: dict[str, Any], asking: str, in_front: bool
) -> None:
    class Asking(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            str(getattr(request, name))
            return super().open_session(app, request)

    def prepare(app: Flask) -> None:
        if asking == "hook":
            app.before_request(lambda: getattr(request, name) and None)
        else:
            app.session_interface = Asking()

    def view() -> str:
        return str(getattr(request, name))

    is_like_without(view, requests, prepare, of_own_requests, in_front=in_front, **page)


def test_what_a_hook_has_put_in_the_place_of_an_own_property(in_front: bool) -> None:
    def hook() -> None:
        this_request().agent = request.remote_addr

    is_like_without(
        lambda: str(this_request().agent),
        FROM_ADDRESSES,
        lambda app: app.before_request(hook),
        of_own_requests,
        in_front=in_front,
    )


def test_what_unless_has_asked_a_property_that_keeps_it() -> None:
    is_like_without(
        lambda: str(this_request().agent),
        with_headers("User-Agent"),
        make=of_own_requests,
        unless=lambda: this_request().agent == "nobody",
    )


def test_a_property_that_only_hooks_ask_does_not_count() -> None:
    def prepare(app: Flask) -> None:
        app.before_request(lambda: this_request().agent and None)

    app = application(lambda: "same", prepare, True, of_own_requests())
    client = app.test_client()
    for agent in ("one", "two"):
        answer = client.get("/", headers={"User-Agent": agent})
    assert "hit" in answer.headers["Cache-Status"]


def test_what_a_property_keeps_can_be_changed_and_forgotten() -> None:
    def view() -> str:
        own = this_request()
        own.agent = "changed"
        changed = own.agent
        del own.agent
        return f"{changed} {own.agent}"

    is_like_without(view, with_headers("User-Agent"), make=of_own_requests)


class Agent:
    is_mobile = True


class Telling(Request):
    """It tells where a request goes, and comes from, in ways of its own."""

    @property
    def url(self) -> Any:
        return f"to {super().url}"

    @property
    def remote_addr(self) -> Any:
        return f"from {self.__dict__['remote_addr']}"

    @remote_addr.setter
    def remote_addr(self, address: Any) -> None:
        self.__dict__["remote_addr"] = address


@pytest.mark.parametrize("name", ["url", "remote_addr"])
def test_properties_in_the_place_of_attributes(name: str, in_front: bool) -> None:
    def view() -> str:
        return f"{getattr(request, name)}, {getattr(request, name)}"

    def make() -> Flask:
        return of_requests(Telling)

    is_like_without(view, WITH_ARGUMENTS, make=make, query=("a",), in_front=in_front)
    is_like_without(
        view, FROM_ADDRESSES, make=lambda: of_requests(Telling), query=("a",), in_front=in_front
    )


class Touchy(UserAgent):
    """It will not be compared."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = UserAgent.__hash__


def test_an_agent_that_cannot_be_compared(in_front: bool) -> None:
    class Asking(Request):
        user_agent_class = Touchy

    def prepare(app: Flask) -> None:
        app.before_request(lambda: this_request().user_agent and None)

    def view() -> str:
        return request.user_agent.string

    is_like_without(
        view, with_headers("User-Agent"), prepare, lambda: of_requests(Asking), in_front=in_front
    )


class Final(Request):
    """A class that lets no other be below it."""

    def __init_subclass__(cls, **options: Any) -> None:
        raise RuntimeError("no")

    @cached_property
    def origin(self) -> str:
        return f"from {self.remote_addr}"


@pytest.mark.parametrize(
    ("read", "requests", "page"),
    [
        (lambda: str(request.remote_addr), "addresses", {}),
        (lambda: str(this_request().origin), "addresses", {}),
        (lambda: str(request.args.get("utm")), "arguments", {"query": ("a",)}),
    ],
    ids=["address", "own property", "arguments"],
)
def test_requests_whose_class_cannot_be_watched(
    read: Callable[[], str], requests: str, page: dict[str, Any], in_front: bool
) -> None:
    def prepare(app: Flask) -> None:
        app.before_request(lambda: this_request().origin and None)

    given = FROM_ADDRESSES if requests == "addresses" else WITH_ARGUMENTS
    is_like_without(read, given, prepare, lambda: of_requests(Final), in_front=in_front, **page)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        (
            "accept_languages",
            LanguageAccept([("it", 1)]),
            lambda: str(request.accept_languages),
        ),
        (
            "access_route",
            ImmutableList(["9.9.9.9"]),
            lambda: str(request.access_route),
        ),
        ("user_agent", Agent(), lambda: str(this_request().user_agent.is_mobile)),
        ("access_route", ["9.9.9.9"], lambda: str(request.access_route)),
    ],
)
def test_what_a_hook_has_put_in_the_place_of_a_property(
    name: str, value: Any, read: Callable[[], str], in_front: bool
) -> None:
    def hook() -> None:
        str(request.referrer)
        setattr(this_request(), name, value)

    is_like_without(
        read, with_headers("Referer"), lambda app: app.before_request(hook), in_front=in_front
    )


# Arguments that are no part of the page.


@pytest.mark.parametrize(
    "read",
    [
        lambda it: it.args.get("utm"),
        lambda it: it.values.get("utm"),
        lambda it: it.query_string,
        lambda it: it.url,
    ],
    ids=["args", "values", "query_string", "url"],
)
def test_a_copy_of_the_request_is_asked(read: Callable[[Any], Any], in_front: bool) -> None:
    def view() -> str:
        return str(read(copy.copy(this_request())))

    is_like_without(view, WITH_ARGUMENTS, query=("a",), in_front=in_front)


class Bare(dict[str, Any]):
    """Arguments that nothing can be noted with."""

    __slots__ = ()

    def __init__(self, pairs: Any = ()) -> None:
        super().__init__(dict(pairs))


@pytest.mark.parametrize(
    "storage",
    [ImmutableMultiDict, Bare, staticmethod(lambda pairs=(): dict(pairs))],
    ids=["usual", "bare", "function"],
)
def test_a_hook_has_handed_on_the_arguments(storage: Any, in_front: bool) -> None:
    class Other(Request):
        parameter_storage_class = storage

    def hook() -> None:
        g.arguments = request.args

    def view() -> str:
        return str(g.arguments.get("utm"))

    is_like_without(
        view,
        WITH_ARGUMENTS,
        lambda app: app.before_request(hook),
        lambda: of_requests(Other),
        query=("a",),
        in_front=in_front,
    )


def test_a_hook_after_the_view_reads_arguments(in_front: bool) -> None:
    def hook(response: Response) -> Response:
        response.headers["X-Hook"] = request.args["utm"]
        return response

    is_like_without(
        lambda: "same",
        WITH_ARGUMENTS,
        lambda app: app.after_request(hook),
        query=("a",),
        in_front=in_front,
    )


def test_arguments_that_are_not_ascii(in_front: bool) -> None:
    queries = ("a=%C3%A9", "a=%C3%A9&utm=%FF", "a=%FF&utm=1", "a=e&%C3%A9=1")
    is_like_without(
        lambda: str(request.args.get("a")),
        [{"path": f"/?{query}"} for query in queries],
        query=("a",),
        in_front=in_front,
    )


# The session, also where it is empty.


def of_the_session(read: Callable[[Any], Any], app: Flask, in_front: bool) -> list[str]:
    """What somebody who is not logged in is answered by a page, and then somebody who is."""
    application(lambda: str(read(session)), lambda app: None, True, app, in_front=in_front)
    app.add_url_rule("/login", "login", lambda: str(session.update(user="bob")))
    nobody, bob = app.test_client(), app.test_client()
    bob.get("/login")
    return [client.get("/").text for client in (nobody, bob)]


READS: dict[str, Callable[[Any], Any]] = {
    "in": lambda it: "user" in it,
    "bool": bool,
    "len": len,
    "iteration": lambda it: [*it],
    "items": lambda it: [*it.items()],
    "equality": lambda it: it == {},
    "get": lambda it: it.get("user"),
    "template": lambda it: render_template_string("{{ 'user' in session }}"),
}


class Known(SecureCookieSession):
    """A session that says whose it is in ways of its own."""

    @property
    def owner(self) -> Any:
        return dict.get(self, "user")

    def who(self) -> Any:
        return dict.get(self, "user")


class OfKnown(SecureCookieSessionInterface):
    session_class = Known


@pytest.mark.parametrize("read", [lambda it: it.owner, lambda it: it.who()], ids=["owner", "who"])
def test_a_session_is_asked_in_a_way_of_its_own(read: Callable[[Any], Any], in_front: bool) -> None:
    app = Flask("session")
    app.session_interface = OfKnown()
    nobody, bob = of_the_session(read, app, in_front)
    assert nobody != bob


def test_hooks_are_left_out_later(in_front: bool) -> None:
    app = Flask("session")
    application(lambda: str("user" in session), lambda app: None, True, app, in_front=in_front)
    app.after_request_funcs = type(app.after_request_funcs)(list)  # type: ignore[misc]
    app.add_url_rule("/login", "login", lambda: str(session.update(user="bob")))
    nobody, bob = app.test_client(), app.test_client()
    bob.get("/login")
    assert [client.get("/").text for client in (nobody, bob)] == ["False", "True"]


NOTED = "_flask_caching_notes"


@pytest.mark.parametrize("later", [False, True], ids=["before", "in the view"])
@pytest.mark.parametrize("secret", ["secret", None], ids=["", "no secret"])
def test_another_session_is_put_in_place(later: bool, secret: str | None, in_front: bool) -> None:
    def put() -> None:
        # What nobody sees being read.
        known = {"user": "bob"} if "HTTP_X_BOB" in request.environ else {}
        setattr(active_request_context(None), SESSION, SecureCookieSession(known))

    def view() -> str:
        if later:
            put()
        return str("user" in session)

    def prepare(app: Flask) -> None:
        app.secret_key = secret
        app.session_interface = Unsaved()
        app.before_request(lambda: None if later else put())

    requests: list[Mapping[str, Any]] = [{}, {"headers": {"X-Bob": "1"}}] * 2
    is_like_without(view, requests, prepare, in_front=in_front)


class Unsaved(SecureCookieSessionInterface):
    def save_session(self, *args: Any) -> None:
        pass


def test_after_an_error_a_session_is_as_it_was(in_front: bool) -> None:
    seen = []

    def prepare(app: Flask) -> None:
        app.testing = True
        app.teardown_request(
            lambda error: seen.append(type(session_of(active_request_context(None))))
        )

    def view() -> str:
        raise RuntimeError("no")

    client = application(view, prepare, True, in_front=in_front).test_client()
    with pytest.raises(RuntimeError):
        client.get("/")
    assert seen == [SecureCookieSession]


class Pickled(dict[str, Any], SessionMixin):
    """A session that an application pickles, and copies."""

    modified = False
    accessed = False


class OfPickled(Unsaved):
    def open_session(self, app: Any, request: Any) -> Any:
        return Pickled(user="bob")


@pytest.mark.parametrize("has_pages", [True, False])
def test_a_session_is_copied_and_pickled(has_pages: bool, in_front: bool) -> None:
    def view() -> str:
        own: Any = session._get_current_object()  # type: ignore[attr-defined]
        read = pickle.loads(pickle.dumps(own))
        copies = (read, copy.copy(own))
        return str([(type(it) is Pickled, dict(it), NOTED in vars(it)) for it in copies])

    app = application(lambda: "page", lambda app: None, True, in_front=in_front)
    app.session_interface = OfPickled()
    page = app.extensions["cache"]
    decorate = next(iter(page)).page(60, in_front=in_front) if has_pages else lambda it: it
    app.add_url_rule("/own", "own", decorate(view))
    assert app.test_client().get("/own").text == str([(True, {"user": "bob"}, False)] * 2)


class Noting(SecureCookieSession):
    """A session of the application's own, which only looks as if it noted who reads it."""

    accessed = False

    def get(self, key: str, default: Any = None) -> Any:
        return dict.get(self, key, default)


class OfNoting(SecureCookieSessionInterface):
    session_class = Noting


@pytest.mark.parametrize("interface", [SecureCookieSessionInterface, OfNoting])
@pytest.mark.parametrize("kind", READS)
def test_an_empty_session_is_read(kind: str, interface: Any, in_front: bool) -> None:
    app = Flask("session")
    app.session_interface = interface()
    nobody, bob = of_the_session(READS[kind], app, in_front)
    assert nobody != bob


@pytest.mark.parametrize("kind", READS)
def test_a_hook_reads_the_session_for_the_view(kind: str, in_front: bool) -> None:
    app = Flask("session")

    @app.before_request
    def hook() -> None:
        g.known = str(READS[kind](session))

    nobody, bob = of_the_session(lambda it: g.known, app, in_front)
    assert nobody != bob


def test_messages_are_flashed_to_who_they_are_for(in_front: bool) -> None:
    app = application(
        lambda: str(get_flashed_messages()), lambda app: None, True, in_front=in_front
    )
    app.add_url_rule("/login", "login", lambda: str(flash("welcome")))
    nobody, bob = app.test_client(), app.test_client()
    bob.get("/login")
    assert [client.get("/").text for client in (nobody, bob)] == ["[]", "['welcome']"]


def test_a_session_that_nobody_reads_does_not_count(in_front: bool) -> None:
    app = application(lambda: "same", lambda app: None, True, in_front=in_front)
    client = app.test_client()
    client.get("/")
    assert "hit" in client.get("/").headers["Cache-Status"]


# What an application keeps, and answers with more than once.


@pytest.mark.parametrize("kind", ["aborted with", "within an error", "raised"])
def test_a_response_that_is_kept_is_nobodys(kind: str, in_front: bool) -> None:
    kept = Response("gone", 410)
    error = Gone(response=kept)

    def view() -> Any:
        if "user" in request.args:
            session["user"] = request.args["user"]
        if kind == "aborted with":
            abort(kept)
        if kind == "raised":
            raise error
        return error

    app = application(view, lambda app: None, True, in_front=in_front)
    bob, ann = app.test_client(), app.test_client()
    assert "Set-Cookie" in bob.get("/?user=bob").headers
    for path in ("/", "/", "/?other=1"):
        answer = ann.get(path)
        assert "Set-Cookie" not in answer.headers
        assert (answer.status_code, answer.text) == (410, "gone")
        assert len(answer.headers.getlist("Cache-Status")) == 1
    assert not kept.headers.getlist("Cache-Status")


def test_what_hooks_add_to_a_kept_response_stays_theirs(in_front: bool) -> None:
    kept = Response("gone", 410)

    def hook(response: Response) -> Response:
        response.response.append(b"!")  # type: ignore[union-attr]
        response.call_on_close(lambda: None)
        return response

    app = application(
        lambda: abort(kept), lambda app: app.after_request(hook), True, in_front=in_front
    )
    for path in ("/", "/?a"):
        app.test_client().get(path)
    assert (kept.get_data(), kept._on_close) == (b"gone", [])


class Keeping(Flask):
    """It keeps the response that it makes."""

    kept = Response("kept")

    def make_response(self, rv: Any) -> Any:
        return self.kept


def test_an_application_keeps_the_responses_that_it_makes(in_front: bool) -> None:
    app = application(lambda: "kept", lambda app: None, True, Keeping("keeping"), in_front=in_front)
    client = app.test_client()
    for path in ("/", "/?a", "/?b"):
        assert len(client.get(path).headers.getlist("Cache-Status")) == 1
    assert "Cache-Status" not in Keeping.kept.headers


class OfItsOwn(Gone):
    """An error that is answered by another application."""

    def get_response(self, *args: Any, **kwargs: Any) -> Any:
        def answer(environ: Any, start_response: Any) -> Any:
            start_response("403 FORBIDDEN", [("Content-Type", "text/plain")])
            return [b"wsgi"]

        return answer


def test_an_error_that_is_answered_by_another_application(in_front: bool) -> None:
    is_like_without(lambda: abort(OfItsOwn()), [{}, {}], in_front=in_front)


class Slotted(Response):
    """A response with attributes of other kinds."""

    __slots__ = ("extra",)

    def get_wsgi_headers(self, environ: Any) -> Any:
        headers = super().get_wsgi_headers(environ)
        headers["X-Hook"] = self.extra
        return headers


def test_a_response_with_slots(in_front: bool) -> None:
    def view() -> Any:
        response = Slotted("slots")
        response.extra = "extra"
        return response

    is_like_without(view, [{}, {}], in_front=in_front)


class Forbidding(Flask):
    def make_response(self, rv: Any) -> Any:
        if rv == "forbidden":
            abort(403)
        return super().make_response(rv)


def test_no_response_may_be_made_of_it(in_front: bool) -> None:
    def prepare(app: Flask) -> None:
        app.register_error_handler(403, lambda error: ("handled", 200))

    is_like_without(
        lambda: "forbidden", [{}, {}], prepare, lambda: Forbidding("around"), in_front=in_front
    )


@pytest.mark.parametrize("returned", [None, 1, ("x", "y", "z", "w"), "\ud800"], ids=repr)
@pytest.mark.parametrize("handled", [TypeError, Exception])
def test_what_no_response_can_be_made_of(returned: Any, handled: Any, in_front: bool) -> None:
    def prepare(app: Flask) -> None:
        app.register_error_handler(
            handled, lambda error: (f"handled {type(error).__name__}", 200, {"X-Hook": "error"})
        )

    is_like_without(lambda: returned, [{}, {}], prepare, in_front=in_front)
