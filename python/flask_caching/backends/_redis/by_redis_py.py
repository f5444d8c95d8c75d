"""Where redis-py does the work of a cache that is configured by settings.

There are two reasons. Test suites of applications put something in the place of its classes,
fakeredis or a mock: that is used as Flask-Caching uses redis-py. And ``CACHE_OPTIONS`` may have
options that only redis-py knows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..._warn import warn
from ...errors import CacheConfigError
from .options import ONLY_REDIS_PY, OWN_NAMES, RedisOptions

__all__ = ["cluster", "sentinels", "single"]


def single(
    url: str | None, place: Mapping[str, Any], db: Any, password: Any, options: Mapping[str, Any]
) -> Any | None:
    """A redis-py client of one server, or what is in the place of ``redis.Redis`` or
    ``redis.from_url``.

    :param url: the URL of the server, or None.
    :param place: ``host`` and ``port``.
    :param options: what ``CACHE_OPTIONS`` has beside.
    :return: None where redis-py has nothing to do with it.
    :raises CacheConfigError: redis-py will not have the options.
    """
    wanted = _only_redis_py(options, url)
    redis: Any = import_module("redis") if wanted else sys.modules.get("redis")
    if redis is None:
        return None
    given = _theirs(options)
    kind: Any = getattr(redis, "Redis", None)
    from_url: Any = getattr(redis, "from_url", None)
    if _is_own(from_url):
        from_url = getattr(kind, "from_url", None)
    is_own = _is_own(kind) and (not url or _is_own(getattr(from_url, "__func__", from_url)))
    if is_own and not wanted:
        return None
    if is_own:
        given = {**_deadlines(options), **given}
    if url and password:
        given["password"] = password
    with _told_of(wanted):
        if url:
            client = from_url(url, db=db, **given)
        else:
            client = kind(**place, password=password, db=db, **given)
        if is_own:
            _try_out(client.connection_pool)
    return client


def sentinels(
    addresses: list[tuple[str, int]],
    master: str,
    connection: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[Any, Any] | None:
    """Clients of the master and the replicas, by ``Sentinel`` or what is in its place.

    :param connection: the options of connections to sentinels.
    :return: None, and ``CacheConfigError``: as :func:`single`.
    """
    wanted = _only_redis_py(options) + _only_redis_py(connection)
    kind = _replaced("redis.sentinel", "Sentinel")
    given, of_sentinels = _theirs(options), _theirs(connection)
    if kind is None:
        if not wanted:
            return None
        kind = import_module("redis.sentinel").Sentinel
        given = {**_deadlines(options), **given}
        of_sentinels = {**_deadlines(options), **of_sentinels}
    with _told_of(wanted):
        found = kind(sentinels=addresses, sentinel_kwargs=of_sentinels, **given)
        return found.master_for(master), found.slave_for(master)


def cluster(
    addresses: list[tuple[str, int]], url: str | None, options: Mapping[str, Any]
) -> Callable[[], Any] | None:
    """What makes a client of a cluster, by ``RedisCluster`` or what is in its place: redis-py's own
    connects as soon as it is made.

    :param url: the URL of a node, in place of addresses.
    :return: None, and ``CacheConfigError``: as :func:`single`.
    """
    wanted = _only_redis_py(options, url)
    kind = replaced = _replaced("redis.cluster", "RedisCluster")
    given = _theirs(options)
    if kind is None:
        if not wanted:
            return None
        kind = import_module("redis.cluster").RedisCluster
        given = {**_deadlines(options), **given}
    if url:
        make = partial(kind.from_url, url, **given)
    else:
        node = import_module("redis.cluster").ClusterNode
        make = partial(kind, startup_nodes=[node(*address) for address in addresses], **given)
    with _told_of(wanted):
        if replaced is None:
            return make
        client = make()
    return lambda: client


def _only_redis_py(options: Mapping[str, Any], url: str | None = None) -> tuple[str, ...]:
    """The options for which redis-py does the work; none where it is not installed, which whoever
    reads the options says."""
    names = {*options, *_options_in(url)}
    found = tuple(sorted(names & ONLY_REDIS_PY))
    return found if found and find_spec("redis") is not None else ()


def _options_in(url: str | None) -> set[str]:
    try:
        return {name for name, _ in parse_qsl(urlsplit(url or "").query)}
    except (AttributeError, TypeError, ValueError):
        # It is no URL, which whoever reads it says without showing it.
        return set()


@contextmanager
def _told_of(wanted: tuple[str, ...]) -> Iterator[None]:
    """Say once why redis-py does the work, and as the cache's own error what it will not have."""
    if not wanted:
        yield
        return
    shown = ", ".join(map(repr, wanted))
    try:
        yield
    except TypeError as error:
        raise CacheConfigError(f"CACHE_OPTIONS has {shown}, and redis-py says: {error}") from None
    except ValueError:
        # It may show a piece of a password.
        raise CacheConfigError(
            f"CACHE_OPTIONS or CACHE_REDIS_URL, which have {shown}, cannot be read by redis-py"
        ) from None
    warn(
        f"CACHE_OPTIONS has {shown}, which only redis-py knows, so redis-py does the work of this "
        "cache: each operation takes several times as long, has no one deadline, and a server that "
        "fails is asked again by each call. Leave it out to have the built-in client.",
        UserWarning,
    )


def _try_out(pool: Any) -> None:
    """Make a connection without connecting: redis-py reads its options no sooner."""
    pool.connection_class(**pool.connection_kwargs)


def _replaced(home: str, name: str) -> Any | None:
    """What is in the place of a class that redis-py has in ``home`` and in ``redis``."""
    for module in ("redis", home):
        found = getattr(sys.modules.get(module), name, None)
        if found is not None and not _is_own(found):
            return found
    return None


def _is_own(thing: Any) -> bool:
    """Whether a class or function is redis-py's, or not there: others may have its name, too."""
    if thing is None:
        return True
    module = getattr(thing, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] == "redis"


def _theirs(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without those that redis-py does not know."""
    return {name: value for name, value in options.items() if name not in OWN_NAMES}


def _deadlines(options: Mapping[str, Any]) -> dict[str, Any]:
    """redis-py's names for our deadlines, for where it does the work: it has none of its own.

    :param options: those of a cache, by whatever names.
    :raises CacheConfigError: one cannot be a deadline.
    """
    ours = RedisOptions({name: options[name] for name in options if name in OWN_NAMES})
    names = ("socket_timeout", "socket_connect_timeout")
    return {name: ours.for_redis_py[name] for name in names}
