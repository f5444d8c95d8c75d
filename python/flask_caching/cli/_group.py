"""The group of commands, and those that read and delete."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from flask.cli import AppGroup

from .._engine import MemoryBackend
from ._chosen import about_a_cache, functions_named, where_is
from ._config import config
from ._doctor import doctor
from ._sitemap import is_remote
from ._stats import duration, stats
from ._warm import warm

if TYPE_CHECKING:
    from ..cache import Cache
    from ..entry import EntryInfo

__all__ = ["cache"]

#: How many keys are listed where nobody says.
_MOST_KEYS = 1000

cache = AppGroup("cache", help="See and change what the application caches.")


@cache.command()
@click.argument("key")
@click.option("--full", is_flag=True, help="Show all of a long value.")
@click.option("--info", is_flag=True, help="Show what is known of the entry, and not the value.")
@about_a_cache
def get(cache: Cache, key: str, full: bool, info: bool) -> None:
    """Show the value under KEY. Exit status 1 where there is none."""
    entry = cache.inspect(key)
    if entry is None:
        raise click.ClickException(f"there is nothing under {key!r}")
    if info:
        click.echo("\n".join(f"{name:9}{said}" for name, said in _known_of(entry)))
        return
    try:
        shown = repr(entry.value) if full else _short.repr(entry.value)
    except Exception as error:
        raise click.ClickException(f"the value's repr fails: {error}") from error
    click.echo(shown)


def _known_of(entry: EntryInfo) -> Iterator[tuple[str, str]]:
    yield "type", entry.type
    yield "size", "not known" if entry.size is None else f"{entry.size:,} bytes"
    left = entry.expires_in
    if left is None:
        yield "expires", "not known"
    else:
        yield "expires", "never" if left == math.inf else f"in {duration(left)}"
    if entry.age is not None:
        yield "stored", f"{duration(entry.age)} ago"
    if entry.tags:
        yield "tags", ", ".join(entry.tags)


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 1000
        self.maxlist = self.maxtuple = self.maxset = self.maxdict = 30
        self.maxlevel = 5


_short = _Short()


@cache.command()
@click.argument("keys", nargs=-1, required=True)
@about_a_cache
def delete(cache: Cache, keys: tuple[str, ...]) -> None:
    """Delete KEYS."""
    _note_own_memory(cache)
    gone = sum(bool(cache.delete(key)) for key in keys)
    click.echo(f"{gone} of {len(keys)} deleted")


@cache.command("delete-tags")
@click.argument("tags", nargs=-1, required=True)
@about_a_cache
def delete_tags(cache: Cache, tags: tuple[str, ...]) -> None:
    """Delete all that is stored with one of TAGS."""
    _note_own_memory(cache)
    _method(cache, "delete_tags")(*tags)
    click.echo(f"what has {_listed(tags)} is deleted")


@cache.command("delete-memoized")
@click.argument("functions", nargs=-1, required=True, metavar="MODULE:FUNCTION...")
@about_a_cache
def delete_memoized(cache: Cache, functions: tuple[str, ...]) -> None:
    """Delete all results of memoized functions."""
    found = [(name, functions_named(cache, name)) for name in functions]
    _note_own_memory(cache)
    for name, known in found:
        try:
            for function in known:
                cache.delete_memoized(function)
        except (TypeError, ValueError, AttributeError) as error:
            raise click.ClickException(f"{name}: {error}") from error
        click.echo(f"the results of {name} are deleted")


@cache.command("delete-page")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@about_a_cache
def delete_page(cache: Cache, paths: tuple[str, ...]) -> None:
    """Delete the pages of PATHS. Of a URL with a host, those of that host."""
    delete = _method(cache, "delete_page")
    _note_own_memory(cache)
    for path in paths:
        if not (path.startswith("/") or is_remote(path)):
            raise click.UsageError(f"{path!r} is neither a path, which begins with /, nor a URL")
        delete(path)
    click.echo(f"the pages of {_listed(paths)} are deleted")


@cache.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@about_a_cache
def clear(cache: Cache, yes: bool) -> None:
    """Delete everything, after a question."""
    _note_own_memory(cache)
    if not yes:
        click.confirm(f"Delete everything in {cache!r}?", abort=True)
    if not cache.clear():
        raise click.ClickException("the backend says that not everything is deleted")
    click.echo("everything is deleted")


@cache.command()
@click.option("--prefix", default="", help="Only keys that begin with it.")
@click.option("--most", type=click.IntRange(1), default=_MOST_KEYS, show_default=True)
@about_a_cache
def keys(cache: Cache, prefix: str, most: int) -> None:
    """List keys, where the backend can. Those of versions, tags and statistics are among them."""
    backend: Any = cache.cache
    name = type(backend).__name__
    if not hasattr(backend, "_list_keys"):
        raise click.ClickException(f"{name} cannot list its keys")
    try:
        listed = sorted(backend._list_keys(prefix, most + 1))
    except NotImplementedError as error:
        raise click.ClickException(f"{name} cannot list its keys: {error}") from error
    for key in listed[:most]:
        # One a line, whatever is in it.
        click.echo(key if key.isprintable() else repr(key))
    if len(listed) > most:
        click.echo(f"… and more: --most is {most}", err=True)


@cache.command()
@about_a_cache
def ping(cache: Cache) -> None:
    """Say how long the backend takes to answer. Exit status 1 where it fails."""
    backend: Any = cache.cache
    name = f"{type(backend).__name__} {where_is(backend)}".rstrip()
    before = cache.stats()
    try:
        for _ in range(3):
            # By the backend: an application's own `get` may do anything.
            backend.get("flask_caching_ping")
    except Exception as error:
        raise click.ClickException(f"{name} does not answer: {error}") from error
    for server in cache.health().servers:
        if server.failing_for is not None:
            raise click.ClickException(f"{server.server} fails: {server.last_error}")
    asked = cache.stats().delta(before).backend
    latency = asked.latencies.get("get") if asked else None
    took = f" in {latency.seconds / latency.count * 1000:.3g} ms" if latency else ""
    click.echo(f"{name} answers{took}")


def _note_own_memory(cache: Cache) -> None:
    """Say so where a deletion reaches no process of the application."""
    if isinstance(cache.cache, MemoryBackend):
        kind = type(cache.cache).__name__
        click.echo(
            f"note: {kind} is in the memory of one process. This deletes nothing in the processes "
            "that serve the application.",
            err=True,
        )


def _method(cache: Cache, name: str) -> Any:
    method = getattr(cache, name, None)
    if method is None:
        raise click.ClickException(f"this version of flask-caching-rs has no cache.{name}()")
    return method


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))


for command in (config, doctor, stats, warm):
    cache.add_command(command)
