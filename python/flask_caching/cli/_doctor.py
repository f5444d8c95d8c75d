"""``flask cache doctor``: settings that will bite."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask import current_app

from ..backends.spec import seconds_of
from ._chosen import about_a_cache, caches

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["doctor", "findings"]

#: What a check has found: its name, and a sentence that says what to do.
Finding = tuple[str, str]

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
    """Look for settings that will bite; exit status 1 where there are any."""
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
    workers = _worker_setting("workers", "-w", "--workers") or _number(
        os.environ.get("WEB_CONCURRENCY")
    )
    if type(backend).__name__ == "SimpleCache" and workers is not None and workers > 1:
        yield (
            "workers",
            f"SimpleCache with {workers:g} workers: each has a cache of its own, and a deletion "
            "reaches one of them. Use a backend that they share.",
        )


def _signing(cache: Cache, state: Any, backend: Any) -> Iterator[Finding]:
    serializer = type(getattr(backend, "serializer", None)).__name__
    if (
        getattr(backend, "_is_remote", False)
        and not getattr(backend, "signing_keys", None)
        and state.config.get("CACHE_SERIALIZER") is None
    ):
        yield (
            "signing",
            f"{type(backend).__name__} without CACHE_SIGNING_KEY: whoever can write to the server "
            f"can have this application run any code, by {serializer or 'pickle'}. Set a key.",
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
    where = backend._whereabouts()
    for number, other in enumerate(caches(), 1):
        theirs = current_app.extensions["cache"][other]
        prefix = getattr(theirs, "key_prefix", None)
        is_one_place = type(theirs) is type(backend) and theirs._whereabouts() == where
        if other is cache or not is_one_place or not isinstance(prefix, str):
            continue
        if prefix.startswith(own):
            yield (
                "prefix",
                f"CACHE_KEY_PREFIX {own!r} begins the prefix {prefix!r} of cache {number} on the "
                "same server: clearing this one clears that, too. Let none begin another.",
            )


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
    if not getattr(backend, "_is_remote", False):
        return
    worker = _worker_setting("timeout", "-t", "--timeout")
    limit = _GUNICORN_TIMEOUT if worker is None else worker
    options = state.config.get("CACHE_OPTIONS") or {}
    deadline = options.get("operation_timeout", state.config.get("CACHE_OPERATION_TIMEOUT", 1))
    try:
        seconds = seconds_of(deadline)
    except (TypeError, ValueError):
        return
    if 0 < limit <= seconds:
        yield (
            "deadline",
            f"CACHE_OPERATION_TIMEOUT is {seconds:g} seconds, and gunicorn ends a worker after "
            f"{limit:g}: a server that hangs takes the workers with it. Make it shorter.",
        )


_CHECKS: tuple[Callable[[Cache, Any, Any], Iterator[Finding]], ...] = (
    _null,
    _several_workers,
    _signing,
    _prefixes,
    _directory,
    _deadlines,
)


def _worker_setting(name: str, *flags: str) -> float | None:
    """What gunicorn is told, by its environment or by a file in the current directory."""
    arguments = os.environ.get("GUNICORN_CMD_ARGS", "")
    try:
        words = shlex.split(arguments)
    except ValueError:
        words = []
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in flags:
            return _number(value if equals else " ".join(words[at + 1 : at + 2]))
    try:
        text = Path("gunicorn.conf.py").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    found = re.search(rf"^{name}\s*=\s*([\d.]+)\s*(?:#.*)?$", text, re.MULTILINE)
    return _number(found[1]) if found else None


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
