"""Where servers are and who we are to them, as settings say it: URLs, addresses, passwords.

Any part of what is wrong may be part of a password that was not percent-encoded, so no message here
shows the text that it is about, and no exception has one that does as its cause or context.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...errors import CacheConfigError

__all__ = ["RedisUrl", "parse_address", "parse_host", "parse_port", "parse_url", "secret_text"]

_ENCODE = (
    "A user name or password in it that holds any of : / ? # [ ] @ % must be percent-encoded: "
    "urllib.parse.quote(password, safe='')"
)

_LOST_PASSWORD = (
    "CACHE_REDIS_URL cannot be read: it seems to hold a password that is not percent-encoded. "
    + _ENCODE
)


class RedisUrl(NamedTuple):
    """What a Redis URL says.

    :param place: where the server is: ``host`` and ``port``, as far as it says.
    :param options: options of connections, by redis-py's names.
    :param hidden: names of options that no message may show: they may be pieces of a password.
    """

    place: dict[str, Any]
    options: dict[str, Any]
    hidden: bool


def parse_url(url: str, known: Collection[str], read: Callable[[str, str], Any]) -> RedisUrl:
    """Read a Redis URL.

    :param url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with ``user:password@``, a
        database as path or ``?db=``, and any option as ``?name=value``.
    :param known: the names of the options that there are.
    :param read: gives the value that the text of an option stands for.
    :raises CacheConfigError: it is none of these.
    """
    # What an environment has may end with a line.
    url = url.strip() if isinstance(url, str) else ""
    scheme = url.split("://", 1)[0] if "://" in url else ""
    if scheme not in ("redis", "rediss", "unix"):
        raise CacheConfigError(
            "CACHE_REDIS_URL must start with redis://, rediss:// (TLS) or unix://"
        )
    parts, port = _split(url)
    if ("@" in parts.path and scheme != "unix") or "@" in parts.fragment:
        raise CacheConfigError(_LOST_PASSWORD)
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if "@" in parts.query and not names <= {*known}:
        raise CacheConfigError(_LOST_PASSWORD)
    options = {name: read(name, text) for name, text in parse_qsl(parts.query)}
    hidden = any("password" in name for name in names)
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    place: dict[str, Any] = {"port": port} if port else {}
    if scheme == "unix":
        options["unix_socket_path"] = _socket_path(parts)
        return RedisUrl(place, options, hidden)
    if parts.hostname:
        place["host"] = parse_host(unquote(parts.hostname), "CACHE_REDIS_URL")
    database = unquote(parts.path).strip("/")
    if database and "db" not in options:
        if not (database.isascii() and database.isdecimal()):
            raise CacheConfigError(
                "CACHE_REDIS_URL: the path must be the number of a database, such as /0. " + _ENCODE
            )
        options["db"] = int(database)
    if scheme == "rediss":
        options["ssl"] = True
    return RedisUrl(place, options, hidden)


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        # Its message shows a piece of the URL.
        pass
    raise CacheConfigError(
        "CACHE_REDIS_URL is not a URL: its host or its port cannot be read. " + _ENCODE
    )


def _socket_path(parts: SplitResult) -> str:
    """The path in a ``unix://`` URL, which has a user and a password before it or nothing."""
    login = parts.netloc
    if (login and ("@" in parts.path or not login.endswith("@"))) or "@/" in parts.path:
        raise CacheConfigError(_LOST_PASSWORD)
    if not parts.path:
        raise CacheConfigError("CACHE_REDIS_URL: unix:// needs the path of a socket after it")
    return unquote(parts.path)


def parse_host(host: str, setting: str) -> str:
    """A host name or address.

    :param setting: what it was read from, for the message.
    :raises CacheConfigError: it is neither: most often a URL, or a password in the wrong place.
    """
    if any(sign in host for sign in "@/?#") or (":" in host and not _is_ipv6(host)):
        raise CacheConfigError(
            f"{setting} must name a host: a name or an IP address. A port has a setting of its "
            "own, and so has a password; a URL goes into CACHE_REDIS_URL"
        )
    return host


def _is_ipv6(host: str) -> bool:
    try:
        ip_address(host.split("%", 1)[0])
    except ValueError:
        return False
    return True


def parse_port(port: Any) -> int:
    """A port, given as a number or its digits.

    :raises CacheConfigError: it is none.
    """
    number = 0
    with suppress(TypeError, ValueError, OverflowError):
        number = int(port)
    if not 0 < number < 65536:
        shown = f", not {number}" if re.fullmatch(r"[+-]?\d{1,6}", str(port)) else ""
        raise CacheConfigError(f"a port is a number from 1 to 65535{shown}")
    return number


def parse_address(item: Any, setting: str) -> tuple[str, int]:
    """A pair of host and port, or ``host:port``.

    :param setting: what it was read from, for the message.
    :raises CacheConfigError: it is neither.
    """
    if isinstance(item, str):
        host, colon, port = item.strip().rpartition(":")
        if not colon or not host:
            raise CacheConfigError(
                f"{setting}: Please give the correct cluster argument e.g. "
                "host1:port1,host2:port2,host3:port3; one of the addresses is not host:port"
            )
        host = host.removeprefix("[").removesuffix("]")
    else:
        pair = list(item) if isinstance(item, Iterable) else []
        if len(pair) != 2:
            raise CacheConfigError(
                f"{setting}: an address is a pair of host and port, not a {type(item).__name__}"
            )
        host, port = str(pair[0]), pair[1]
    return parse_host(host, setting), parse_port(port)


def secret_text(value: Any, setting: str) -> str | None:
    """A user name or password as text; None where there is none.

    :param setting: what it was read from, for the message.
    :raises CacheConfigError: it is neither a string nor bytes, or no UTF-8.
    """
    if value is None:
        return None
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8") or None
        if isinstance(value, str):
            value.encode("utf-8")
            return value or None
    except UnicodeError:
        # It holds the whole value.
        pass
    raise CacheConfigError(f"{setting} must be a string, or bytes of UTF-8")
