"""Which cache a command is about, and what it says where that fails."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import with_appcontext

from ..calls.memoized import MemoizePolicy
from ..errors import CacheError

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["about_a_cache", "caches", "functions_named", "where_is"]


def caches() -> list[Cache]:
    """The caches of the application, in the order in which they were set up.

    :raises click.ClickException: there is none.
    """
    known = list(current_app.extensions.get("cache", {}))
    if not known:
        raise click.ClickException(
            f"the application {current_app.name!r} has no cache: make one with Cache(app), or call "
            "cache.init_app(app)"
        )
    return known


def about_a_cache(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the cache it is about first; what fails the cache is a sentence."""

    @click.option(
        "--cache",
        "number",
        type=click.IntRange(1),
        default=None,
        metavar="N",
        help="Which cache, where the application has several: 1 is the first that was set up.",
    )
    @with_appcontext
    @functools.wraps(command)
    def run(number: int | None, **arguments: Any) -> Any:
        _write_whatever_comes()
        known = caches()
        if number is None and len(known) > 1:
            listed = "\n".join(f"  {at}  {cache!r}" for at, cache in enumerate(known, 1))
            raise click.UsageError(f"the application has several caches, say --cache N:\n{listed}")
        if number is not None and number > len(known):
            raise click.UsageError(f"--cache {number}: the application has {len(known)}")
        try:
            return command(known[(number or 1) - 1], **arguments)
        except (CacheError, ValueError) as error:
            raise click.ClickException(str(error)) from error

    return run


def _write_whatever_comes() -> None:
    """Let what a terminal has no characters for be written in others: keys can be anything."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def where_is(backend: Any) -> str:
    """Where a backend keeps its entries, for people; nothing of one of the application's own."""
    said = getattr(backend, "_whereabouts", str)()
    return str(said)


def functions_named(cache: Cache, name: str) -> list[Any]:
    """The memoized functions ``module:function`` of a cache; those of one ``def`` share a name.

    :raises click.ClickException: there is no such function.
    """
    module, colon, qualified = name.partition(":")
    if not (module and colon and qualified):
        raise click.UsageError(f"{name!r} is no function: write it as module:function")
    known = [
        policy.wrapper
        for policy in cache._policies
        if isinstance(policy, MemoizePolicy)
        and (getattr(policy.f, "__module__", None), policy.name) == (module, qualified)
    ]
    if known:
        return known
    try:
        found: Any = __import__(module, fromlist=["_"])
        for part in qualified.split("."):
            found = getattr(found, part)
    except Exception as error:
        # What a module does when it is imported can fail in any way.
        raise click.ClickException(f"there is no function {name}: {error}") from error
    if not isinstance(getattr(found, "_flask_caching_policy", None), MemoizePolicy):
        raise click.ClickException(f"{name} is not memoized")
    return [found]
