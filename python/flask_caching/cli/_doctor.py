"""``flask cache doctor``: settings that will bite."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask import current_app

from ..backends._redis.backend import RedisBackend
from ..backends.spec import seconds_of
from ..errors import CacheError
from ..stats._counting import known_caches
from ..stats._shared import MARK
from . import _deployment
from ._chosen import about_a_cache, caches, where_is

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["doctor", "findings"]

#: What a check has found: its name, and a sentence that says what to do.
Finding = tuple[str, str]

#: Among how many keys of a server those of other applications are looked for.
_MOST_KEYS = 100_000

#: Seconds after which gunicorn ends a worker that says nothing.
_GUNICORN_TIMEOUT = 30.0


@click.command()
@click.option(
    "--ignore",
    multiple=True,
    metavar="NAME",
    help="Do not report this, which is in brackets; may be given several times.",
)
@about_a_cache
def doctor(cache: Cache, ignore: tuple[str, ...]) -> None:
    """Look for settings that will bite. Exit status 1 where there are any."""
    found = [finding for finding in findings(cache) if finding[0] not in ignore]
    for name, text in found:
        click.echo(f"[{name}] {text}")
    if found:
        click.get_current_context().exit(1)
    click.echo("nothing found")


def findings(cache: Cache) -> Iterator[Finding]:
    """What is wrong with the settings of a cache, as far as that is certain."""
    state, backend = cache._place()
    for check in _CHECKS:
        yield from check(cache, state, backend)


def _null(cache: Cache, state: Any, backend: Any) -> Iterator[Finding]:
    if type(backend).__name__ == "NullCache":
        yield "null", "CACHE_TYPE is NullCache: nothing is cached. Name a backend."


def _several_workers(cache: Cache, state: Any, backend: Any) -> Iterator[Finding]:
    workers = _deployment.workers()
    if type(backend).__name__ == "SimpleCache" and workers is not None and workers > 1:
        yield (
            "workers",
            f"SimpleCache with {workers:g} workers: each has a cache of its own, and a deletion "
            "reaches one of them. Use a backend that they share.",
        )


def _signing(cache: Cache, state: Any, backend: Any) -> Iterator[Finding]:
    if (
        getattr(backend, "_is_remote", False)
        and not getattr(backend, "signing_keys", None)
        and state.config.get("CACHE_SERIALIZER") is None
    ):
        yield (
            "signing",
            f"{type(backend).__name__} without CACHE_SIGNING_KEY: whoever can write to the server "
            f"can have this application run any code, by a pickle. Set a key.",
        )


def _prefixes(cache: Cache, state: Any, backend: Any) -> Iterator[Finding]:
    own = getattr(backend, "key_prefix", None)
    if own is None or callable(own):
        return
    name = type(backend).__name__
    if not own and name.startswith("Redis"):
        yield (
            "prefix",
            "CACHE_KEY_PREFIX is empty: cache.clear() flushes the whole Redis database. Set one.",
        )
        return
    others = {**_prefixes_on_server(backend, own), **dict(_prefixes_here(cache, backend))}
    for prefix, whose in sorted(others.items()):
        if prefix.startswith(own):
            yield (
                "prefix",
                f"CACHE_KEY_PREFIX {own!r} begins the prefix {prefix!r} of {whose} on the same "
                "server: clearing this one clears that, too. Let none begin another.",
            )
        elif own.startswith(prefix):
            yield (
                "prefix",
                f"CACHE_KEY_PREFIX {own!r} begins with the prefix {prefix!r} of {whose} on the "
                "same server: clearing that one clears this, too. Let none begin another.",
            )


def _prefixes_here(cache: Cache, backend: Any) -> Iterator[tuple[str, str]]:
    """The prefixes of other caches of this process in the same place, and whose they are."""
    where = where_is(backend)
    if where.startswith("by "):
        # Of a client object, nobody can say.
        return
    number_of = {other: number for number, other in enumerate(caches(), 1)}
    for other in known_caches():
        for state in other._states:
            app = state.app()
            theirs: Any = None if app is None else app.extensions["cache"].get(other)
            prefix = getattr(theirs, "key_prefix", None)
            if app is None or theirs is backend or not isinstance(prefix, str):
                continue
            if type(theirs) is not type(backend) or where_is(theirs) != where:
                continue
            if app is current_app._get_current_object():  # type: ignore[attr-defined]
                yield prefix, f"cache {number_of[other]}"
            elif prefix != backend.key_prefix:
                # Applications made alike may share one.
                yield prefix, f"the application {app.name!r}"


def _prefixes_on_server(backend: Any, own: str) -> dict[str, str]:
    """The prefixes of applications that have left their counts on a Redis server."""
    if not isinstance(backend, RedisBackend):
        return {}
    try:
        keys = backend._whole_servers().keys(b"", _MOST_KEYS)
    except CacheError:
        # `ping` says what is wrong.
        return {}
    found = {}
    for key in keys:
        prefix, mark, rest = key.decode("utf-8", "backslashreplace").partition(MARK)
        if mark and prefix != own:
            found[prefix] = f"the application {rest.partition('/')[0]!r}"
    return found


def _directory(cache: Cache, state: Any, backend: Any) -> Iterator[Finding]:
    path = getattr(backend, "_path", None)
    if not isinstance(path, (str, Path)):
        return
    try:
        found = os.stat(path)
    except OSError:
        return
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o022:
        yield (
            "directory",
            f"CACHE_DIR {str(path)!r} can be written by others (mode {mode:o}): they can have this "
            "application run any code. chmod 700.",
        )
    elif mode & 0o055:
        yield (
            "directory",
            f"CACHE_DIR {str(path)!r} can be read by others (mode {mode:o}): chmod 700.",
        )
    if found.st_uid not in (os.getuid(), 0):
        yield "directory", f"CACHE_DIR {str(path)!r} belongs to another user."


def _deadlines(cache: Cache, state: Any, backend: Any) -> Iterator[Finding]:
    worker = _deployment.timeout()
    limit = _GUNICORN_TIMEOUT if worker is None else worker
    options = state.config.get("CACHE_OPTIONS") or {}
    deadline = options.get("operation_timeout", state.config.get("CACHE_OPERATION_TIMEOUT", 1))
    seconds = seconds_of(deadline) if getattr(backend, "_is_remote", False) else 0
    if 0 < limit <= seconds:
        yield (
            "deadline",
            f"CACHE_OPERATION_TIMEOUT is {seconds:g} seconds, and a worker is ended after "
            f"{limit:g}: a server that hangs takes the workers with it. Make it shorter.",
        )
    if 0 < limit <= state.wait and state.single_flight:
        yield (
            "deadline",
            f"CACHE_WAIT is {state.wait:g} seconds, and a worker is ended after {limit:g}: "
            "whoever waits for another's computation is ended with it. Make it shorter.",
        )


_CHECKS: tuple[Callable[[Cache, Any, Any], Iterator[Finding]], ...] = (
    _null,
    _several_workers,
    _signing,
    _prefixes,
    _directory,
    _deadlines,
)
