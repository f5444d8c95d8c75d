"""The settings that several backends read, or that every factory finds in its configuration."""

from __future__ import annotations

import hashlib
import os

from .spec import CALLABLE, COUNT, SECONDS, Kind, Setting

__all__ = [
    "DIRECTORY",
    "FILE_HASH_METHOD",
    "FOR_EVERY_FACTORY",
    "KEY_PREFIX",
    "MEMCACHED_SERVERS",
    "RESILIENCE",
    "THRESHOLD",
]

THRESHOLD = Setting(
    "CACHE_THRESHOLD",
    COUNT,
    "how many entries are kept, at most; `0`: SimpleCache keeps 500, FileSystemCache has no limit",
    default=500,
    option="threshold",
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
