"""An application to run random programs on, under either package.

Only Flask, the standard library and the public API that both packages have are used, so the same
file runs in both interpreters. ``run`` is what the tests call.
"""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import cachelib.file
import cachelib.simple
from flask import Flask, abort, make_response, render_template_string, request
from flask_caching import Cache, CachedResponse

CLOCK_START = 1_900_000_000.0


class Clock:
    """The one clock of a world: stops the package's own, whichever package it is."""

    def __init__(self, stack: ExitStack) -> None:
        try:
            from flask_caching.testing import manual_clock
        except ImportError:
            self._now = CLOCK_START
            for module in (cachelib.simple, cachelib.file):
                stack.callback(setattr, module, "time", time.time)
                module.time = lambda: self._now  # type: ignore[attr-defined]
            self.advance = self._advance_cachelib
        else:
            self.advance = stack.enter_context(manual_clock()).advance

    def _advance_cachelib(self, seconds: float) -> None:
        self._now += seconds


class Spy(Cache):
    """Overrides two proxies, as applications do, and notes which values pass through."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.seen: list[tuple[str, Any]] = []
        super().__init__(*args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        value = super().get(*args, **kwargs)
        seen = ("get", value if isinstance(value, (int, str, tuple)) else None)
        # A miss is asked for once more where None is a value; 2.5.1 asks whether the key is there.
        if self.seen[-1:] != [seen]:
            self.seen.append(seen)
        return value

    def set(self, *args: Any, **kwargs: Any) -> Any:
        self.seen.append(("set", kwargs.get("timeout", "absent")))
        return super().set(*args, **kwargs)


def configuration(settings: dict[str, Any], number: int, stack: ExitStack) -> dict[str, Any]:
    """The configuration of one application, which shares no entry with the others."""
    config = {"CACHE_DEFAULT_TIMEOUT": 41, "CACHE_KEY_PREFIX": f"app{number}:", **settings}
    if config["CACHE_TYPE"] == "FileSystemCache":
        config["CACHE_DIR"] = stack.enter_context(tempfile.TemporaryDirectory())
    return config


class World:
    """Two applications on one ``Cache``, and functions and views of every decorated kind."""

    def __init__(self, settings: dict[str, Any], subclass: bool, stack: ExitStack) -> None:
        self.clock = Clock(stack)
        self.cache = Spy() if subclass else Cache()
        self.calls: list[Any] = []
        self.last: Any = None
        self.shared: list[Any] = [1]
        self.apps = [Flask(f"app{number}") for number in range(2)]
        self.functions: dict[str, Callable[..., Any]] = {}
        self.views: dict[str, Any] = {}
        for number, app in enumerate(self.apps):
            self.cache.init_app(app, config=configuration(settings, number, stack))
            with app.app_context():
                # A server may hold entries of the world before.
                self.cache.clear()
        self.define_functions()
        self.define_class()
        for view in self.define_views():
            self.views[view.__name__] = view
        for app in self.apps:
            app.add_url_rule("/page/<x>", view_func=self.views["page"])
            app.add_url_rule("/query", view_func=self.views["query"])
            app.add_url_rule("/prefixed/<x>", view_func=self.views["prefixed"])
            app.add_url_rule("/computed/<x>", view_func=self.views["computed"])
            app.add_url_rule("/keyed/<x>", view_func=self.views["keyed"])
            app.add_url_rule("/missing/<x>", view_func=self.views["missing"])
            app.add_url_rule("/brief/<x>", view_func=self.views["brief"])
            app.add_url_rule("/streamed/<x>", view_func=self.views["streamed"])
            app.add_url_rule("/filtered/<x>", view_func=self.views["filtered"])
        self.app = self.apps[0]

    def note(self, *what: Any) -> int:
        """Record that a cached body ran; the answer differs for every run."""
        self.calls.append(what)
        return len(self.calls)

    def define_functions(self) -> None:
        """Memoized and cached functions, one for each shape of signature and option."""
        cache, note = self.cache, self.note

        @cache.memoize(timeout=21)
        def add(a: Any, b: Any = 2) -> Any:
            return note("add", a, b)

        @cache.memoize()
        def star(*args: Any, **kwargs: Any) -> Any:
            return note("star", args, kwargs), args

        @cache.memoize(timeout=0)
        def keyword(a: Any, *, k: Any = 1, j: Any = None) -> Any:
            return [note("keyword", a, k, j), {"k": k}]

        @cache.memoize(timeout=datetime.timedelta(seconds=15), cache_none=True)
        def nothing(a: Any) -> None:
            note("nothing", a)

        @cache.memoize(timeout=31)
        def unsure(a: Any) -> Any:
            return note("unsure", a) if a else note("unsure", a) and None

        @cache.memoize(timeout=31, args_to_ignore=["verbose"])
        def ignoring(a: Any, verbose: Any = False) -> Any:
            return note("ignoring", a, verbose)

        @cache.memoize(timeout=31, make_name=lambda name: name + ":v2")
        def renamed(a: Any) -> Any:
            return note("renamed", a)

        @cache.memoize(timeout=31, unless=lambda f, *args, **kwargs: args == (3,))
        def bypassed(a: Any) -> Any:
            return note("bypassed", a)

        @cache.memoize(timeout=31, forced_update=lambda *args, **kwargs: 7 in args)
        def forced(a: Any) -> Any:
            return note("forced", a)

        @cache.memoize(timeout=31, is_stale=lambda value: value % 3 == 0)
        def stale(a: Any) -> Any:
            return note("stale", a)

        @cache.memoize(timeout=31, response_filter=lambda value: value % 2)
        def odd(a: Any) -> Any:
            return note("odd", a)

        @cache.memoize(timeout=31)
        def generated(a: Any) -> Any:
            yield str(note("generated", a))
            yield str(a)

        @cache.memoize(timeout=31)
        def failing(a: Any) -> Any:
            if note("failing", a) % 2:
                raise LookupError(a)
            return "succeeded"

        @cache.memoize(timeout=31)
        def outer(a: Any) -> Any:
            return note("outer", a), renamed(a), add(a, b=a)

        @cache.cached(timeout=25, key_prefix="plain")
        def plain(a: Any = None) -> Any:
            return [note("plain", a)]

        @cache.cached(timeout=25, key_prefix="plain-none", cache_none=True)
        def plain_none() -> None:
            note("plain_none")

        @cache.cached(make_cache_key=lambda *args, **kwargs: f"made-{args}-{sorted(kwargs)}")
        def made(*args: Any, **kwargs: Any) -> Any:
            return note("made", args, kwargs)

        named = [add, star, keyword, nothing, unsure, ignoring, renamed, bypassed, forced, stale]
        for function in [*named, odd, generated, failing, outer, plain, plain_none, made]:
            self.functions[function.__name__] = function

    def define_class(self) -> None:
        """Memoized methods of every kind, on instances with three kinds of identity."""
        cache, note = self.cache, self.note

        class Shape:
            def __init__(self, name: str) -> None:
                self.name = name

            def __repr__(self) -> str:
                return f"<Shape {self.name}>"

            @cache.memoize(timeout=21)
            def area(self, unit: Any, exact: Any = False) -> Any:
                return note("area", self.name, unit, exact)

            @classmethod
            @cache.memoize(timeout=21)
            def kinds(cls, unit: Any = 1) -> Any:
                return note("kinds", cls.__name__, unit)

            @staticmethod
            @cache.memoize(timeout=21)
            def units(number: Any) -> Any:
                return note("units", number)

        class Tagged(Shape):
            def __caching_id__(self) -> str:
                return f"Tagged-{self.name}"

        self.instances = [Shape("a"), Shape("b"), Tagged("a")]
        for index, instance in enumerate(self.instances):
            # 2.5.1 asks classes for the caching id of their instances, and fails.
            for name in ("area", "units") if index == 2 else ("area", "units", "kinds"):
                self.functions[f"{index}.{name}"] = getattr(instance, name)
        self.unbound = Shape.area

    def define_views(self) -> list[Any]:
        """Cached views, one for each way to make a key and each kind of answer."""
        cache, note = self.cache, self.note

        @cache.cached(timeout=21)
        def page(x: str) -> Any:
            return f"page {x} {note('page', x)}"

        @cache.cached(timeout=21, query_string=True)
        def query() -> Any:
            return {"n": note("query"), "args": sorted(request.args.items(multi=True))}

        @cache.cached(key_prefix="shop/%s/v1", response_hit_indication=True)
        def prefixed(x: str) -> Any:
            return f"prefixed {x} {note('prefixed', x)}", 201, {"X-Kind": "tuple"}

        @cache.cached(key_prefix=lambda: f"computed-{request.path[-1]}")
        def computed(x: str) -> Any:
            return make_response(f"computed {x} {note('computed', x)}", 202)

        @cache.cached(make_cache_key=lambda x: f"keyed-{x.lower()}")
        def keyed(x: str) -> Any:
            return f"keyed {x} {note('keyed', x)}"

        @cache.cached(timeout=21)
        def missing(x: str) -> Any:
            abort(404, description=f"no {x} {note('missing', x)}")

        @cache.cached(timeout=21)
        def brief(x: str) -> Any:
            return CachedResponse(make_response(f"brief {note('brief', x)}"), timeout=5)

        @cache.cached(timeout=21)
        def streamed(x: str) -> Any:
            yield "streamed "
            yield str(note("streamed", x))

        @cache.cached(timeout=21, response_filter=lambda answer: "1" not in answer)
        def filtered(x: str) -> Any:
            return f"filtered {x} {note('filtered', x)}"

        return [page, query, prefixed, computed, keyed, missing, brief, streamed, filtered]

    # One method for each kind of step; what it returns is compared.

    def step_call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.last = self.functions[name](*args, **kwargs)
        return self.last

    def step_call_unbound(self, index: int, args: tuple[Any, ...]) -> Any:
        return self.unbound(self.instances[index], *args)

    def step_mutate(self) -> None:
        if isinstance(self.last, list):
            self.last.append("changed by the caller")
            if isinstance(self.last[-2], dict):
                self.last[-2]["changed"] = True

    def step_call_shared(self, name: str) -> Any:
        return self.functions[name](self.shared)

    def step_change_shared(self, item: Any) -> None:
        self.shared[:] = [item]

    def step_fragment(self, timeout: str, name: str, x: str, y: str) -> str:
        source = f"{{% cache {timeout}, {name} %}}{{{{ note(x, y) }}}}{{% endcache %}}"
        return render_template_string(source, note=self.note, x=x, y=y)

    def step_get(self, url: str) -> Any:
        answer = self.app.test_client().get(url)
        # `hit_cache` is not compared: 2.5.1 sets it on one of several applications only.
        return answer.status_code, answer.data, answer.content_type, answer.headers.get("X-Kind")

    def step_explicit(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        answer = getattr(self.cache, method)(*args, **kwargs)
        if method == "clear":
            # False in 2.5.1 where a Redis server had nothing to clear.
            return None
        # The order of a dict is that of the keys here, that of the server in 2.5.1.
        return sorted(answer.items()) if isinstance(answer, dict) else answer

    def step_delete(self, key: str) -> Any:
        # Deleting what has expired is a success in 2.5.1 as long as it takes up room.
        lived = self.cache.has(key)
        deleted = self.cache.delete(key)
        return deleted if lived else "nothing to delete"

    def step_advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def step_forget(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.cache.delete_memoized(self.functions[name], *args, **kwargs)

    def step_forget_unbound(self, index: int | None, args: tuple[Any, ...]) -> Any:
        instance = () if index is None else (self.instances[index],)
        return self.cache.delete_memoized(self.unbound, *instance, *args)

    def step_forget_attribute(self, name: str) -> Any:
        return self.functions[name].delete_memoized()  # type: ignore[attr-defined]

    def step_forget_version(self, name: str) -> Any:
        return self.cache.delete_memoized_verhash(self.functions[name])

    def step_forget_view(self, name: str, arguments: dict[str, Any]) -> None:
        # What it returns for an expired entry is not compared; see `step_delete`.
        self.cache.delete_cached(self.views[name], **arguments)

    def step_timeout(self, name: str, timeout: Any) -> None:
        self.functions[name].cache_timeout = timeout  # type: ignore[attr-defined]

    def step_switch(self, number: int) -> None:
        self.app = self.apps[number]

    def step_uncached(self, name: str, args: tuple[Any, ...]) -> Any:
        return self.functions[name].uncached(*args)  # type: ignore[attr-defined]

    def step_key(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The part of a memoize key that is no version, and whether an entry is there."""
        function = self.functions[name]
        key = function.make_cache_key(function.uncached, *args, **kwargs)  # type: ignore[attr-defined]
        return key[:16], len(key), self.cache.has(key)


def run(settings: dict[str, Any], subclass: bool, program: list[tuple[Any, ...]]) -> list[Any]:
    """Run a program in a new world.

    :param settings: the configuration of the backend.
    :param subclass: whether the cache is a subclass that overrides ``get`` and ``set``.
    :param program: steps: the name of a ``step_`` method and its arguments.
    :returns: for each step what it returned (or raised), and the bodies that ran for it.
    """
    outcomes: list[Any] = []
    with ExitStack() as stack:
        world = World(settings, subclass, stack)
        for name, *arguments in program:
            ran = len(world.calls)
            seen = world.cache.seen if isinstance(world.cache, Spy) else []
            seen.clear()
            with world.app.app_context():
                try:
                    outcome = repr(getattr(world, f"step_{name}")(*arguments))
                except Exception as error:
                    outcome = f"raised {type(error).__name__}"
            outcomes.append((outcome, world.calls[ran:], list(seen)))
    return outcomes
