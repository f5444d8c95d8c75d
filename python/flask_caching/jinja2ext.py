"""The Jinja tag ``{% cache %}``: caches the rendered block.

::

    {% cache [timeout [, name [, key, ...]]] [, tags=names] %}
    ...
    {% endcache %}

``timeout`` is an expression: seconds or a ``timedelta``, ``None`` for no timeout, ``'del'`` to
delete the fragment; without one the default timeout applies. ``name`` and the keys make the
fragment's key (see :func:`~flask_caching.make_template_fragment_key`); without a name it is the
template's file and the block's line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jinja2 import nodes, pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context, Undefined

from .calls.fragments import NO_TIMEOUT, OTHERS, Tag
from .errors import CacheConfigError
from .keys.names import short_digest
from .requests.context import active_context

if TYPE_CHECKING:
    from jinja2.parser import Parser

    from .cache import Cache

__all__ = ["JINJA_CACHE_ATTR_NAME", "CacheExtension"]

#: The attribute of the Jinja environment that holds the cache.
JINJA_CACHE_ATTR_NAME = "_template_fragment_cache"

#: The filters that templates with the tag are compiled to use.
_FIND = "flask_caching.find"
_PUT_OUT = "flask_caching.put_out"


@pass_context
def _find(context: Context, tag: Tag) -> Any:
    """The fragment of a tag where it is quickly found, otherwise None.

    It takes the context so that it is not called when a template is compiled.
    """
    cache: Cache | None = getattr(context.environment, JINJA_CACHE_ATTR_NAME, None)
    if cache is None:
        return None
    active = active_context(None)
    return cache._find_fragment(tag, None if active is None else active.app.extensions)


def _put_out(fragment: Any) -> Any:
    """The fragment itself: the filter of a block puts out what it returns as it is."""
    return fragment


def _label(parser: Parser, line: int, name: nodes.Expr | None) -> str:
    """What statistics call a tag: its name as it is written, or where it is written.

    Never what a name comes to: that may be another one for each visitor.
    """
    if isinstance(name, nodes.Const) and isinstance(name.value, str):
        return name.value
    return f"{parser.name or '<template>'}:{line}"


class CacheExtension(Extension):
    """Teaches a Jinja environment the tag ``{% cache %}``."""

    tags = {"cache"}  # noqa: RUF012 - jinja2 declares it as a plain attribute

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        environment.filters.update({_FIND: _find, _PUT_OUT: _put_out})
        self._parsing = threading.local()

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Remember the source that is about to be parsed: it may have to name blocks."""
        self._parsing.source = f"{name}\n{source}"
        self._parsing.lines = {}
        return source

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Read the tag.

        Its body becomes a macro that :meth:`_cache` may or may not call. To make a macro, and to
        call a method with it, costs more than to find a fragment; so one that is quickly found is
        put out before that: ``tag = (timeout, name, [key, ...], mark)``, ``found = tag | find``,
        and either ``found`` or the macro.
        """
        line = next(parser.stream).lineno
        timeout: nodes.Expr = nodes.Const(NO_TIMEOUT)
        name: nodes.Expr | None = None
        keys: list[nodes.Expr] = []
        tags: nodes.Expr | None = None
        if not parser.stream.current.test("block_end"):
            timeout = parser.parse_expression()
            while parser.stream.skip_if("comma"):
                if tags is None and self._is_about_tags(parser):
                    parser.stream.skip(2)
                    tags = parser.parse_expression()
                    continue
                expression = parser.parse_expression()
                if name is None:
                    name = expression
                else:
                    keys.append(expression)
        unnamed = "" if name is not None else self._mark(parser, line)
        label = _label(parser, line, name)
        name = name or nodes.Const(f"{parser.filename}{line}")
        body = parser.parse_statements(("name:endcache",), drop_needle=True)
        tag, found = parser.free_identifier(line), parser.free_identifier(line)
        written = [timeout, name, nodes.List(keys)]
        render = nodes.CallBlock(self.call_method("_cache", dyn_args=tag), [], [], body)
        if type(self)._cache is CacheExtension._cache:
            written += [nodes.Const(unnamed), tags or nodes.Const(()), nodes.Const(label)]
            find = nodes.Filter(tag, _FIND, [], [], None, None)
            put_out = nodes.Filter(found, _PUT_OUT, [], [], None, None)
            is_there = nodes.Compare(found, [nodes.Operand("ne", nodes.Const(None))])
            output: list[nodes.Node] = [
                nodes.Assign(found, find),
                # An empty one is found, too.
                nodes.If(is_there, [nodes.FilterBlock([], put_out)], [], [render]),
            ]
        else:
            # An application's own is called each time, with what Flask-Caching calls it with.
            output = [render]
        statements = [nodes.Assign(tag, nodes.Tuple(written, "load")), *output]
        return [statement.set_lineno(line) for statement in statements]

    @staticmethod
    def _is_about_tags(parser: Parser) -> bool:
        """Whether ``tags=`` comes next."""
        return parser.stream.current.test("name:tags") and parser.stream.look().test("assign")

    def _mark(self, parser: Parser, line: int) -> str:
        """What tells an unnamed block from others of its file and line; '' where nothing must."""
        lines = getattr(self._parsing, "lines", {})
        lines[line] = number = lines.get(line, 0) + 1
        marks = [] if number == 1 else [f"#{number}"]
        if parser.filename is None:
            marks.append(short_digest(getattr(self._parsing, "source", "")))
        return " ".join(marks)

    def _cache(
        self,
        timeout: int | float | timedelta | str | None,
        fragment_name: Any,
        vary_on: list[Any],
        unnamed: str = "",
        tags: Iterable[str] = (),
        label: str = OTHERS,
        caller: Callable[[], str] = str,
    ) -> Any:
        """The block: from the cache, or rendered and stored.

        :param timeout: seconds, a ``timedelta``, None for no timeout, ``'del'`` to delete the
            fragment.
        :param fragment_name: the first key.
        :param vary_on: the further keys.
        :param unnamed: what tells an unnamed block from others of its file and line.
        :param tags: names; ``Cache.delete_tags`` with one of them makes the fragment a miss.
        :param label: what statistics call it.
        :param caller: renders the block; called at most once.
        """
        cache: Cache | None = getattr(self.environment, JINJA_CACHE_ATTR_NAME, None)
        if cache is None:
            raise CacheConfigError(
                "{% cache %} is used in a Jinja environment that no Cache was set up for; call "
                "cache.init_app(app) and render with that application's templates"
            )
        fragments = cache._fragments
        tag = (timeout, fragment_name, vary_on, unnamed, tags, label)
        if isinstance(timeout, str) and timeout == "del":
            fragments.forget(tag)
            return caller()
        if isinstance(timeout, Undefined):
            # A timeout that the template was not given is not a reason to cache for ever.
            return caller()
        if self.environment.is_async:
            return fragments.render_awaited(tag, caller)
        return fragments.render(tag, caller)
