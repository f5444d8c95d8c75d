"""Flask-Caching on a Rust engine: caching for Flask applications.

.. code-block:: python

    from flask import Flask
    from flask_caching import Cache

    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.route("/")
    @cache.cached(timeout=60)
    def index(): ...

    @cache.memoize(timeout=60)
    def total(customer, month): ...

:class:`Cache` has everything: ``cached`` for views, ``memoize`` for functions, ``page`` for whole
answers, ``get``, ``set`` and their like for keys of one's own, ``get_or_set``, ``lock``,
``delete_memoized``, ``delete_tags``, ``stats``, ``health`` and ``inspect``. Templates have the tag
``{% cache %}``. What goes wrong is a :class:`CacheError`.
"""

from __future__ import annotations

from . import _conflict

_conflict.check()
_conflict.check_interpreter()
_conflict.check_gil()

import hashlib  # noqa: E402
import logging  # noqa: E402
from typing import Any  # noqa: E402

from . import _clock, backends, signals, utils  # noqa: E402, F401  (the clock tells the engine)
from .backends import BaseCache, SimpleCache  # noqa: E402
from .cache import Cache  # noqa: E402
from .errors import (  # noqa: E402
    CacheBackendError,
    CacheConfigError,
    CacheError,
    CacheKeyError,
    CacheLockError,
)
from .signals import (  # noqa: E402
    cache_memoize_hit,
    cache_memoize_miss,
    cache_stale,
    cache_view_hit,
    cache_view_miss,
)
from .utils import (  # noqa: E402
    function_namespace,
    get_arg_default,
    get_arg_names,
    get_id,
    join_generator,
    make_template_fragment_key,
    normalize_timeout,
    query_args_as_pairs,
    wants_args,
    wants_extra_args,
)
from .values.cached_response import CachedResponse  # noqa: E402

logger = logging.getLogger(__name__)

#: The hash constructors that are known to work as ``hash_method``; others do, too.
SUPPORTED_HASH_FUNCTIONS = [
    hashlib.sha1,
    hashlib.sha224,
    hashlib.sha256,
    hashlib.sha384,
    hashlib.sha512,
    hashlib.md5,
]

__all__ = [
    "SUPPORTED_HASH_FUNCTIONS",
    "BaseCache",
    "Cache",
    "CacheBackendError",
    "CacheConfigError",
    "CacheError",
    "CacheKeyError",
    "CacheLockError",
    "CachedResponse",
    "SimpleCache",
    "backends",
    "cache_memoize_hit",
    "cache_memoize_miss",
    "cache_stale",
    "cache_view_hit",
    "cache_view_miss",
    "function_namespace",
    "get_arg_default",
    "get_arg_names",
    "get_id",
    "join_generator",
    "make_template_fragment_key",
    "normalize_timeout",
    "query_args_as_pairs",
    "signals",
    "utils",
    "wants_args",
    "wants_extra_args",
]


def __getattr__(name: str) -> Any:
    """``__version__``, which is deprecated."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._warn import warn
    from .standin import RELEASE

    warn(
        "flask_caching.__version__ is deprecated: it is the release of Flask-Caching that this "
        f"package stands in for, {RELEASE}. Its own version is "
        "importlib.metadata.version('flask-caching-rs')",
        DeprecationWarning,
    )
    return RELEASE
