"""The base class of every backend."""

from __future__ import annotations

from typing import Any, ClassVar

from cachelib import BaseCache as CachelibBaseCache
from flask import Flask

from .._shown import name_methods, of_the_moment
from .spec import BackendSpec

__all__ = ["BaseCache"]


class BaseCache(CachelibBaseCache):
    """What a cache backend derives from.

    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param ignore_delete_many_errors: go on with the remaining keys when deleting one of many fails.
    """

    #: Its names and settings, where it is one of this package's own.
    backend_spec: ClassVar[BackendSpec | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("flask_caching.") and "backend_spec" in vars(cls):
            name_methods(cls)

    def __init__(self, default_timeout: int = 300, ignore_delete_many_errors: bool = False) -> None:
        # Not the next class in line: in our backends that is cachelib's of the same name, which is
        # there for `isinstance` and makes connections of its own.
        CachelibBaseCache.__init__(self, default_timeout)
        self.ignore_delete_many_errors = ignore_delete_many_errors

    @of_the_moment
    def __repr__(self) -> str:
        """Its class, where it keeps its entries, and under what prefix; no password."""
        shown = [type(self).__name__, self._whereabouts()]
        prefix = getattr(self, "key_prefix", None)
        if prefix:
            shown.append(f"prefix={prefix!r}" if isinstance(prefix, str) else "prefix=…")
        return f"<{' '.join(filter(None, shown))}>"

    def _whereabouts(self) -> str:
        """Where it keeps its entries, for people."""
        return ""

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> BaseCache:
        """Make the backend from an application's configuration.

        It takes the settings that stand in :attr:`backend_spec`, and nothing where there is none.

        :param app: the application the cache is set up for.
        :param config: the resolved configuration.
        :param args: ``CACHE_ARGS`` as a list.
        :param kwargs: ``CACHE_OPTIONS`` with the general options filled in.
        """
        if cls.backend_spec is None:
            return cls()
        cls.backend_spec.fill(config, args, kwargs)
        return cls(*args, **kwargs)
