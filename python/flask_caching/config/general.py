"""The settings that are read whatever the backend is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sized
from typing import Any

from ..backends._settings.common import COMPRESSION, FOR_EVERY_FACTORY
from ..backends.spec import (
    CALLABLE,
    COUNT,
    DURATION,
    FLAG,
    INTERVAL,
    OPTIONAL_DURATION,
    SHARE,
    TIMEOUT,
    Kind,
    Setting,
    number_not_flag,
    seconds_of,
)

__all__ = ["DEFAULTS", "DEFAULT_TIMEOUT", "GENERAL"]


def _unless_empty(value: Any) -> Any:
    """None in the place of what is empty, whatever it is: environments know only text."""
    is_empty = isinstance(value, Sized) and not len(value)
    return None if is_empty else value


_ANY = Kind("anything", object)
_LEASE_TIME = Kind(
    "a number of seconds or a datetime.timedelta, above 0",
    test=lambda v: 0 < seconds_of(v) < float("inf"),
    read=number_not_flag,
)
DEFAULT_TIMEOUT = Setting(
    "CACHE_DEFAULT_TIMEOUT",
    TIMEOUT,
    "the lifetime of an entry where none is given: seconds, or a `timedelta`; `0` does not expire",
    default=300,
)

#: The settings that are read whatever the backend is.
GENERAL = (
    # Checked where it is looked up.
    Setting(
        "CACHE_TYPE", _ANY, "which backend: its name, or an import string", default="NullCache"
    ),
    DEFAULT_TIMEOUT,
    Setting(
        "CACHE_ARGS",
        Kind("a list or tuple", list, tuple, read=_unless_empty),
        "a list of positional arguments for the backend",
        default=[],
        secret=True,
    ),
    Setting(
        "CACHE_OPTIONS",
        Kind("a dict or None", Mapping, read=_unless_empty),
        "a dictionary of keyword arguments for the backend",
        secret=True,
    ),
    Setting(
        "CACHE_IGNORE_ERRORS",
        FLAG,
        "`True`: `delete_many` goes on where a key cannot be deleted",
        default=False,
    ),
    # Checked by `make_serializer`.
    Setting("CACHE_SERIALIZER", _ANY, "a cachelib serializer, class or instance"),
    Setting(
        "CACHE_NO_NULL_WARNING", FLAG, "no warning where the type is `NullCache`", default=False
    ),
    Setting(
        "CACHE_HASH_METHOD",
        CALLABLE,
        "the hash that keys are built with",
        default=hashlib.sha256,
    ),
    Setting(
        "CACHE_SOURCE_CHECK",
        FLAG,
        "put the source of a decorated function into its keys",
        default=False,
    ),
    Setting("CACHE_ENABLE_SIGNALS", FLAG, "announce hits and misses as signals", default=False),
    Setting(
        "CACHE_SINGLE_FLIGHT",
        FLAG,
        "of calls of one process that miss at the same time, one computes and the others get its "
        "result",
        default=True,
    ),
    Setting(
        "CACHE_WAIT",
        DURATION,
        "the longest time that a call waits for another one that computes the same, before it "
        "computes itself: seconds, or a `timedelta`",
        default=5,
    ),
    Setting(
        "CACHE_STATS_SHARED",
        INTERVAL,
        "how often each process leaves its counts in a shared cache, for "
        "`cache.stats(all_processes=True)`: seconds, or a `timedelta`; `0` or False: never",
        default=5,
    ),
    Setting(
        "CACHE_STALE_WHILE_REVALIDATE",
        OPTIONAL_DURATION,
        "for how long after its timeout an old value is answered at once while one refresh runs in "
        "the background: seconds, or a `timedelta`",
    ),
    Setting(
        "CACHE_STALE_IF_ERROR",
        OPTIONAL_DURATION,
        "for how long after its timeout an old value is answered where the function raises, or the "
        "view answers with a status of 5xx: seconds, or a `timedelta`",
    ),
    Setting(
        "CACHE_STALE_RETRY",
        DURATION,
        "after a failed refresh the next is tried no sooner: seconds, or a `timedelta`",
        default=1,
    ),
    Setting(
        "CACHE_REFRESH_WORKERS",
        COUNT,
        "threads of a process that refresh in the background; `0`: one of the callers does",
        default=2,
    ),
    Setting(
        "CACHE_JITTER",
        SHARE,
        "lifetimes are shortened by a random share of up to this, from 0 to 1",
        default=0.0,
    ),
    Setting(
        "CACHE_LEASE",
        FLAG,
        "of calls of all processes that miss at the same time, one computes and the others get its "
        "result",
        default=False,
    ),
    Setting(
        "CACHE_LEASE_TTL",
        _LEASE_TIME,
        "what a process that was killed or frozen while it computed costs the others at most: "
        "seconds, or a `timedelta`",
        default=10,
    ),
    Setting(
        "CACHE_STORE_PRIVATE",
        FLAG,
        "store what a view made for one visitor, and give it to others: a response that sets a "
        "cookie, for example",
        default=False,
    ),
    Setting(
        "CACHE_PAGES_IN_FRONT",
        FLAG,
        "`True`: pages with `in_front=True` are answered before Flask is entered",
        default=False,
    ),
    Setting(
        "CACHE_PAGE_MAX_BYTES",
        COUNT,
        "the largest body of a page that is stored, in bytes",
        default=1 << 20,
    ),
    Setting(
        "CACHE_STATUS_HEADER",
        FLAG,
        "say in the header `Cache-Status` of a page what the cache did",
        default=True,
    ),
    Setting(
        "CACHE_SIGNING_KEY",
        Kind("a string, bytes, a list of them, or None", str, bytes, list, tuple, type(None)),
        "a secret that entries are signed with, or a list of them with the newest first",
        secret=True,
    ),
    *COMPRESSION,
)

#: The values that apply where the configuration has none.
DEFAULTS: dict[str, Any] = {
    setting.name: setting.default for setting in (*GENERAL, *FOR_EVERY_FACTORY)
}
