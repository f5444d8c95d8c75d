"""The exceptions of Flask-Caching. A miss is never one of them."""

from __future__ import annotations

__all__ = [
    "CacheBackendError",
    "CacheConfigError",
    "CacheError",
    "CacheKeyError",
    "UnstorableValueError",
]


class CacheError(Exception):
    """The base of every exception that this package raises itself."""


class CacheConfigError(CacheError, ValueError):
    """A ``CACHE_*`` value cannot be used; the message names key, value and what would be right."""


class CacheKeyError(CacheError, ValueError):
    """A cache key cannot be used."""


class CacheBackendError(CacheError, RuntimeError):
    """The backend could not do what was asked; the message names operation, place and cause."""


class UnstorableValueError(CacheError, TypeError):
    """A value cannot be stored, or could not be read back as what it was."""
