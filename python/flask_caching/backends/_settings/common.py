"""The settings that several backends read, or that every factory finds in its configuration."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import Any

from ...errors import CacheConfigError
from ..spec import CALLABLE, COUNT, SECONDS, Kind, Setting

__all__ = [
    "CODECS",
    "COMPRESSION",
    "DIRECTORY",
    "FILE_HASH_METHOD",
    "FOR_EVERY_FACTORY",
    "KEY_PREFIX",
    "MAX_BYTES",
    "MEMCACHED_SERVERS",
    "RESILIENCE",
    "THRESHOLD",
    "bytes_limit",
]

#: What ``CACHE_COMPRESSION`` may be.
CODECS = ("zstd", "lz4")


def _codec(value: Any) -> Any:
    """A codec's name; None where there is none: None, False and blank text."""
    if isinstance(value, str):
        value = value.strip().lower()
    return value or None


#: What a backend of bytes is told after it is made.
COMPRESSION = (
    Setting(
        "CACHE_COMPRESSION",
        Kind("'zstd', 'lz4' or None", test=lambda v: v in CODECS, read=_codec),
        '`"zstd"` or `"lz4"`: values are compressed in files and on servers, where that makes them '
        "smaller",
    ),
    Setting(
        "CACHE_COMPRESSION_MIN",
        COUNT,
        "how many bytes a value has at least that is compressed",
        default=1024,
    ),
)
_MOST_BYTES = sys.maxsize // 2

THRESHOLD = Setting(
    "CACHE_THRESHOLD",
    COUNT,
    "how many entries are kept, at most; `0`: SimpleCache keeps 500, the others have no limit, "
    "which is the default of SharedCache",
    default=500,
    option="threshold",
)
MAX_BYTES = Setting(
    "CACHE_MAX_BYTES",
    COUNT,
    "how many bytes all entries may take, at most; one entry may take a quarter of it; `0`: no "
    "limit",
    default=0,
    option="max_bytes",
    goes="if_set",
)
KEY_PREFIX = Setting(
    "CACHE_KEY_PREFIX",
    Kind("a string, a callable that returns one, or None", str, type(None), test=callable),
    "what stands before each key, a string or a callable without arguments",
    default="flask_cache_",
    option="key_prefix",
)
MEMCACHED_SERVERS = Setting(
    "CACHE_MEMCACHED_SERVERS",
    Kind(
        "a list or tuple of server addresses, or a client object",
        list,
        tuple,
        type(None),
        test=lambda v: hasattr(v, "get_multi") or (hasattr(v, "get") and hasattr(v, "set")),
    ),
    'a list of addresses, or a client that is then used as it is; `None`: `["127.0.0.1:11211"]`',
    option="servers",
    goes="last",
    secret=True,
)
DIRECTORY = Setting(
    "CACHE_DIR",
    Kind("the path of a directory", str, os.PathLike),
    "the directory, made where it is missing; it has to be given",
    option="cache_dir",
    goes="first",
)
FILE_HASH_METHOD = Setting(
    "CACHE_FILE_HASH_METHOD",
    CALLABLE,
    "the hash that names files",
    default=hashlib.sha256,
    option="hash_method",
)

#: What is filled in whatever the backend is, as Flask-Caching does: other people's factories read
#: it.
FOR_EVERY_FACTORY = (THRESHOLD, KEY_PREFIX, MEMCACHED_SERVERS, DIRECTORY, FILE_HASH_METHOD)

#: How long a server is waited for, and when it is left alone. Options of the same names in
#: ``CACHE_OPTIONS`` are the more particular.
RESILIENCE = (
    Setting(
        "CACHE_OPERATION_TIMEOUT",
        SECONDS,
        "seconds that one operation may take: looking up names, waiting for a connection, "
        "connecting, and all servers that it asks included",
        default=1,
        option="operation_timeout",
        goes="unless_given",
    ),
    Setting(
        "CACHE_CONNECT_TIMEOUT",
        SECONDS,
        "seconds that connecting may take, out of those of the operation",
        default=1,
        option="connect_timeout",
        goes="unless_given",
    ),
    Setting(
        "CACHE_BREAKER_FAILURES",
        COUNT,
        "failures in a row after which a server is left alone; a timeout is as good as all of "
        "them; `0`: never",
        default=3,
        option="breaker_failures",
        goes="unless_given",
    ),
    Setting(
        "CACHE_BREAKER_RESET",
        SECONDS,
        "seconds for which it is left alone, before one call tries again; five times as long "
        "after a timeout, unless it is heard of before that: it is asked in the background",
        default=1,
        option="breaker_reset",
        goes="unless_given",
    ),
)


def bytes_limit(max_bytes: Any) -> int:
    """What a backend was given as ``max_bytes``.

    :raises CacheConfigError: it is no number of bytes.
    """
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 0:
        raise CacheConfigError(
            f"CACHE_MAX_BYTES must be a whole number of bytes, or 0 for no limit, not {max_bytes!r}"
        )
    # What no machine has is no limit.
    return min(max_bytes, _MOST_BYTES)
