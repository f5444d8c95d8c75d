"""What test suites of applications put in the place of redis-py's classes: fakeredis, or a mock.

They are used as Flask-Caching uses redis-py. Nothing here imports it: what was not imported was not
replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from .options import OWN_NAMES

__all__ = ["cluster", "sentinels", "single"]


def single(
    url: str | None, place: Mapping[str, Any], db: Any, password: Any, options: Mapping[str, Any]
) -> Any | None:
    """A client of what is in the place of ``redis.Redis`` or ``redis.from_url``.

    :param url: the URL of the server, or None.
    :param place: ``host`` and ``port``.
    :param options: what ``CACHE_OPTIONS`` has beside.
    :return: None where redis-py's own are there, or none.
    """
    redis: Any = sys.modules.get("redis")
    if redis is None:
        return None
    given = _theirs(options)
    kind: Any = getattr(redis, "Redis", None)
    if not url:
        if _is_own(kind):
            return None
        return kind(**place, password=password, db=db, **given)
    if password:
        given["password"] = password
    from_url: Any = getattr(redis, "from_url", None)
    if _is_own(from_url):
        from_url = getattr(kind, "from_url", None)
        if _is_own(kind) and _is_own(getattr(from_url, "__func__", from_url)):
            return None
    return from_url(url, db=db, **given)


def sentinels(
    addresses: list[tuple[str, int]],
    master: str,
    connection: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[Any, Any] | None:
    """Clients of the master and the replicas, of what is in the place of ``Sentinel``."""
    kind = _replaced("redis.sentinel", "Sentinel")
    if kind is None:
        return None
    given = _theirs(options)
    found = kind(sentinels=addresses, sentinel_kwargs=dict(connection), **given)
    return found.master_for(master), found.slave_for(master)


def cluster(addresses: list[tuple[str, int]], options: Mapping[str, Any]) -> Any | None:
    """A client of what is in the place of ``RedisCluster``."""
    kind = _replaced("redis.cluster", "RedisCluster")
    if kind is None:
        return None
    node = sys.modules["redis.cluster"].ClusterNode
    return kind(startup_nodes=[node(*address) for address in addresses], **_theirs(options))


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
