"""``CACHE_*`` values: the configuration of a cache, and the backend that it describes.

What a backend reads of it stands in the backend's own ``backend_spec``.
"""

from __future__ import annotations

from .general import DEFAULTS, GENERAL
from .made import make_backend, make_serializer
from .resolved import resolve_config

__all__ = ["DEFAULTS", "GENERAL", "make_backend", "make_serializer", "resolve_config"]
