"""``flask cache warm``: asks for pages, so that the cache has them."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import click
from flask import current_app

from ._chosen import about_a_cache
from ._sitemap import TIMEOUT, is_remote, urls_of

if TYPE_CHECKING:
    from flask import Flask

    from ..cache import Cache

__all__ = ["warm"]

#: What of a URL is not to be quoted, or is already.
_AS_THEY_ARE = "%/:?#[]@!$&'()*+,;=~"
#: Answers that say where the page is.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: After how many of them nothing more is asked for.
_MOST_REDIRECTS = 10
#: Of how many pages that failed it is said why.
_MOST_FAILURES = 10


class _Warmed(NamedTuple):
    """What became of a page.

    :param status: as HTTP has it, or what went wrong.
    :param is_hit: whether the answer says that a cache had it; None: it does not say.
    """

    status: str
    is_hit: bool | None = None

    @property
    def is_good(self) -> bool:
        return self.status.startswith(("2", "3"))


@click.command()
@click.argument("urls", nargs=-1)
@click.option("--file", "file", type=click.File(), help="A URL a line; - is standard input.")
@click.option("--sitemap", help="A sitemap, or an index of some: a file, a path, or a URL.")
@click.option(
    "--base-url",
    metavar="URL",
    help="Under which scheme and host paths are asked for, as https://shop.example: pages are kept "
    "for each. Otherwise those of SERVER_NAME and PREFERRED_URL_SCHEME.",
)
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True)
@about_a_cache
def warm(
    cache: Cache,
    urls: tuple[str, ...],
    file: IO[str] | None,
    sitemap: str | None,
    base_url: str | None,
    concurrency: int,
) -> None:
    """Ask for pages, so that the cache has them.

    A path is asked of the application in this process, which fills a shared cache; a URL with a
    host of its server. Exit status 1 where a page fails.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    wanted = [*urls, *_lines(file)]
    if sitemap is not None:
        wanted += urls_of(app, sitemap)
    wanted = list(dict.fromkeys(wanted))
    if not wanted:
        raise click.UsageError("nothing to ask for: name URLs, --file or --sitemap")
    for url in wanted:
        if not (url.startswith("/") or is_remote(url)):
            raise click.UsageError(f"{url!r} is neither a path, which begins with /, nor a URL")
        if is_remote(url) and "@" in urlsplit(url).netloc:
            raise click.UsageError("a URL has a user name in it: no page is asked for with one")
    if base_url is not None and not (is_remote(base_url) and urlsplit(base_url).netloc):
        raise click.UsageError(f"--base-url {base_url!r} is no URL with a host")
    before = cache.stats()
    outcomes = _ask(app, wanted, base_url, concurrency)
    counted = cache.stats().delta(before)
    failed = {url: outcome for url, outcome in outcomes.items() if not outcome.is_good}
    answered = len(wanted) - len(failed)
    click.echo(f"{len(wanted)} pages: {answered} answered, {len(failed)} failed")
    if any(url.startswith("/") for url in wanted):
        click.echo(
            f"in the cache: {counted.hits} hits, {counted.misses} misses, {counted.errors} errors"
        )
    _report_servers([outcome for url, outcome in outcomes.items() if is_remote(url)])
    for url, outcome in list(failed.items())[:_MOST_FAILURES]:
        click.echo(f"{url}: {outcome.status}", err=True)
    if len(failed) > _MOST_FAILURES:
        click.echo(f"… and {len(failed) - _MOST_FAILURES} more", err=True)
    if failed:
        click.get_current_context().exit(1)


def _report_servers(outcomes: list[_Warmed]) -> None:
    """Count what the answers of servers say of their caches."""
    counts = Counter(outcome.is_hit for outcome in outcomes if outcome.is_good)
    if not counts:
        return
    silent = f", {counts[None]} that do not say" if counts[None] else ""
    click.echo(f"by their answers: {counts[True]} hits, {counts[False]} misses{silent}")


def _ask(
    app: Flask, wanted: list[str], base_url: str | None, concurrency: int
) -> dict[str, _Warmed]:
    """What becomes of each page; a bar shows how far it is, where somebody looks."""
    pool = ThreadPoolExecutor(concurrency)
    try:
        answers: Iterable[_Warmed] = pool.map(_asker(app, base_url), wanted)
        if not sys.stderr.isatty():
            return dict(zip(wanted, answers, strict=True))
        # Not in what a program may read.
        bar: Any = click.progressbar(answers, length=len(wanted), label="warming", file=sys.stderr)
        with bar as shown:
            return dict(zip(wanted, shown, strict=True))
    finally:
        # Where somebody has had enough, no more are asked for.
        pool.shutdown(cancel_futures=True)


def _asker(app: Flask, base_url: str | None) -> Callable[[str], _Warmed]:
    """Asks for a URL; for a path, under the scheme and host of ``base_url``."""

    def ask(url: str) -> _Warmed:
        try:
            if url.startswith("/"):
                return _ask_application(app, url, base_url)
            with urllib.request.urlopen(quote(url, safe=_AS_THEY_ARE), timeout=TIMEOUT) as answer:
                answer.read()
                return _Warmed(f"{answer.status} {answer.reason}", _is_hit(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return _Warmed(f"{error.code} {error.reason}")
        except Exception as error:
            return _Warmed(f"{type(error).__name__}: {error}")

    return ask


def _ask_application(app: Flask, path: str, base_url: str | None) -> _Warmed:
    """Ask for a path, and for what it leads to in the application, as a browser would."""
    # A request is none of the command's context.
    client: Any = app.test_client()
    asked = {path}
    while True:
        with client.get(path, base_url=base_url) as response:
            response.get_data()
            here = response.request.root_url
            target = urljoin(response.request.url, response.location or "")
            if response.status_code not in _REDIRECTS or not target.startswith(here):
                return _Warmed(response.status)
        path = "/" + target.removeprefix(here)
        if path in asked or len(asked) > _MOST_REDIRECTS:
            return _Warmed("leads from one page to another without an end")
        asked.add(path)


def _is_hit(headers: Any) -> bool | None:
    """Whether a cache had an answer, by ``Cache-Status`` (RFC 9211) or ``hit_cache``."""
    if headers.get("hit_cache"):
        return True
    said = ", ".join(headers.get_all("Cache-Status") or ())
    if not said:
        return None
    # Of several caches on the way, any.
    words = {word.strip() for one in said.split(",") for word in one.split(";")[1:]}
    return "hit" in words


def _lines(file: IO[str] | None) -> Iterator[str]:
    for line in file or ():
        line = line.strip()
        if line and not line.startswith("#"):
            yield line
