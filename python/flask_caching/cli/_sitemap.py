"""The URLs of a sitemap (sitemaps.org): of one file, or of those that an index names."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

import click

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["TIMEOUT", "is_remote", "urls_of"]

#: Seconds that a server may take for an answer.
TIMEOUT = 60
#: The most bytes of a sitemap, and the most of an index: what the protocol allows.
_LONGEST = 50 << 20
_MOST_SITEMAPS = 50_000

_GZIP = b"\x1f\x8b"


def is_remote(place: str) -> bool:
    """Whether a place is a URL with a host."""
    return place.startswith(("http://", "https://"))


def urls_of(app: Flask, place: str) -> list[str]:
    """The pages of a sitemap; where it is no URL itself, their paths in the application.

    :param place: a file, a path of the application, or a URL.
    :raises click.ClickException: it cannot be read, or is none.
    """
    root, urls = _read(app, place)
    if root == "sitemapindex":
        if len(urls) > _MOST_SITEMAPS:
            raise click.ClickException(f"the index {place} names more than {_MOST_SITEMAPS:,}")
        indexed, urls = urls, []
        for one in indexed:
            kind, found = _read(app, _beside(place, one))
            if kind == "sitemapindex":
                raise click.ClickException(f"the index {place} names another index, {one}")
            urls += found
    if is_remote(place):
        return [urljoin(place, url) for url in urls]
    return [_path_of(url) for url in urls]


def _beside(place: str, named: str) -> str:
    """Where a sitemap is that an index names."""
    if is_remote(place):
        return urljoin(place, named)
    file = Path(place)
    if not file.is_file():
        return _path_of(named)
    # Of an index that is a file here, those beside it; there is no server to ask.
    return str(file.parent / urlsplit(named).path.rpartition("/")[2])


def _read(app: Flask, place: str) -> tuple[str, list[str]]:
    """What a sitemap is, ``urlset`` or ``sitemapindex``, and the URLs that it names."""
    try:
        text = _text(app, place)
    except urllib.error.HTTPError as error:
        with error:
            raise click.ClickException(f"the sitemap {place} answers {error.code}") from error
    except (OSError, ValueError, http.client.HTTPException, zlib.error) as error:
        raise click.ClickException(f"the sitemap {place} cannot be read: {error}") from error
    if len(text) > _LONGEST:
        raise click.ClickException(f"the sitemap {place} is longer than 50 MB")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        # Entities can make gigabytes of a few lines.
        raise click.ClickException(f"the sitemap {place} declares a document type; none is read")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise click.ClickException(f"the sitemap {place} is no XML: {error}") from error
    kind = _name(root)
    if kind not in ("urlset", "sitemapindex"):
        raise click.ClickException(f"{place} is no sitemap, but <{kind}>")
    # Images of a page have a `loc` of their own, deeper down.
    found = (node for entry in root for node in entry if _name(node) == "loc")
    return kind, [url for url in ((node.text or "").strip() for node in found) if url]


def _name(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _text(app: Flask, place: str) -> bytes:
    """At most one byte more than a sitemap may have."""
    if is_remote(place):
        with urllib.request.urlopen(place, timeout=TIMEOUT) as answer:
            return _unpacked(lambda: iter(lambda: answer.read(1 << 16), b""))
    if place.startswith("/") and not Path(place).is_file():
        with app.test_client().get(place) as response:
            if response.status_code != 200:
                raise click.ClickException(f"the sitemap {place} answers {response.status}")
            return _unpacked(lambda: iter([response.get_data()]))
    with Path(place).open("rb") as file:
        return _unpacked(lambda: iter(lambda: file.read(1 << 16), b""))


def _unpacked(read: Callable[[], Iterator[bytes]]) -> bytes:
    """What is read, unpacked where it is packed by gzip, as far as it may be."""
    unpack: zlib._Decompress | None = None
    text = b""
    for number, part in enumerate(read()):
        if number == 0 and part.startswith(_GZIP):
            unpack = zlib.decompressobj(wbits=31)
        text += part if unpack is None else unpack.decompress(part, _LONGEST + 1 - len(text))
        if len(text) > _LONGEST:
            break
    return text


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    return path + (f"?{parts.query}" if parts.query else "")
