"""``flask cache warm``: asks for pages, so that the cache has them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit
from xml.etree import ElementTree

import click
from flask import current_app

from ._chosen import about_a_cache

if TYPE_CHECKING:
    from flask import Flask

    from ..cache import Cache

__all__ = ["warm"]

#: Seconds that a server may take for a page.
_TIMEOUT = 60
#: The most bytes of a sitemap: what its protocol allows.
_LONGEST_SITEMAP = 50 << 20


@click.command()
@click.argument("urls", nargs=-1)
@click.option("--file", "file", type=click.File(), help="A URL a line; - is standard input.")
@click.option("--sitemap", help="A sitemap: a file, a path of the application, or a URL.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True)
@about_a_cache
def warm(
    cache: Cache,
    urls: tuple[str, ...],
    file: IO[str] | None,
    sitemap: str | None,
    concurrency: int,
) -> None:
    """Ask for pages, so that the cache has them.

    A path is asked of the application in this process, which fills a shared cache; a URL with a
    host of its server. Exit status 1 where a page fails.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    wanted = [*urls, *_lines(file)]
    if sitemap is not None:
        wanted += _in_sitemap(app, sitemap)
    wanted = list(dict.fromkeys(wanted))
    if not wanted:
        raise click.UsageError("nothing to ask for: name URLs, --file or --sitemap")
    for url in wanted:
        if not url.startswith(("/", "http://", "https://")):
            raise click.UsageError(f"{url!r} is neither a path, which begins with /, nor a URL")
    before = cache.stats()
    outcomes = Counter[str]()
    failed: list[str] = []
    with ThreadPoolExecutor(concurrency) as pool:
        answers: Iterable[str] = pool.map(_asker(app), wanted)
        with click.progressbar(answers, length=len(wanted), label="warming") as shown:
            for url, outcome in zip(wanted, shown, strict=False):
                is_good = outcome.startswith(("2", "3"))
                outcomes["fine" if is_good else "failed"] += 1
                if not is_good and len(failed) < 10:
                    failed.append(f"{url}: {outcome}")
    counted = cache.stats().delta(before)
    click.echo(f"{len(wanted)} pages: {outcomes['fine']} answered, {outcomes['failed']} failed")
    if any(url.startswith("/") for url in wanted):
        click.echo(
            f"in the cache: {counted.hits} hits, {counted.misses} misses, {counted.errors} errors"
        )
    for line in failed:
        click.echo(line, err=True)
    if outcomes["failed"]:
        click.get_current_context().exit(1)


def _asker(app: Flask) -> Callable[[str], str]:
    """Asks for a URL: the status, or what is wrong."""

    def ask(url: str) -> str:
        try:
            if url.startswith("/"):
                # A request is none of the command's context.
                response = app.test_client().get(url)
                with response:
                    response.get_data()
                    return response.status
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
                answer.read()
                return f"{answer.status} {answer.reason}"
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.code} {error.reason}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    return ask


def _lines(file: IO[str] | None) -> Iterator[str]:
    for line in file or ():
        line = line.strip()
        if line and not line.startswith("#"):
            yield line


def _in_sitemap(app: Flask, place: str) -> list[str]:
    """The pages of a sitemap; of one that comes from the application, their paths."""
    try:
        if place.startswith(("http://", "https://")):
            with urllib.request.urlopen(place, timeout=_TIMEOUT) as answer:
                text = answer.read(_LONGEST_SITEMAP + 1)
        elif place.startswith("/") and not Path(place).is_file():
            response = app.test_client().get(place)
            if response.status_code != 200:
                raise click.ClickException(f"the sitemap {place} answers {response.status}")
            text = response.get_data()
        else:
            text = Path(place).read_bytes()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"the sitemap {place} cannot be read: {error}") from error
    if len(text) > _LONGEST_SITEMAP:
        raise click.ClickException(f"the sitemap {place} is longer than 50 MB")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        # Entities can make gigabytes of a few lines.
        raise click.ClickException(f"the sitemap {place} declares a document type; none is read")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise click.ClickException(f"the sitemap {place} is no XML: {error}") from error
    urls = [(node.text or "").strip() for node in root.iter() if node.tag.endswith("}loc")]
    if place.startswith(("http://", "https://")):
        return urls
    return [_path_of(url) for url in urls if url]


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
