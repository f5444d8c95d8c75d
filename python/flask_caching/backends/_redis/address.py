"""Where a Redis server is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import CacheConfigError

__all__ = ["to_address", "to_port"]


def to_port(port: Any) -> int:
    """``port`` as a number.

    :raises CacheConfigError: it is none that a server can have.
    """
    try:
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise CacheConfigError(f"a port is a number from 1 to 65535, not {port!r}") from error
    return number


def to_address(item: Any) -> tuple[str, int]:
    """Host and port, of a pair of them or of ``host:port``.

    :raises CacheConfigError: it is neither.
    """
    if isinstance(item, str):
        host, colon, port = item.strip().rpartition(":")
        if not colon or not host:
            raise CacheConfigError(
                "Please give the correct cluster argument e.g. "
                f"host1:port1,host2:port2,host3:port3; {item!r} is not host:port"
            )
        return host.strip("[]"), to_port(port)
    if not isinstance(item, Iterable) or len(pair := list(item)) != 2:
        raise CacheConfigError(f"an address is a pair of host and port, not {item!r}")
    return str(pair[0]), to_port(pair[1])
