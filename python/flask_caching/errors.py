"""The exceptions of Flask-Caching. A miss is never one of them.

Some derive from a second built-in exception as well: the one that an application may already
catch for the same mistake.
"""

from __future__ import annotations

from werkzeug.utils import ImportStringError

__all__ = [
    "CacheBackendError",
    "CacheConfigError",
    "CacheConfigTypeError",
    "CacheError",
    "CacheKeyError",
    "CacheNotInitializedError",
    "UnknownCacheTypeError",
    "UnstorableValueError",
]


class CacheError(Exception):
    """The base of every exception that this package raises itself."""


class CacheConfigError(CacheError, ValueError):
    """A ``CACHE_*`` value cannot be used; the message names key, value and what would be right."""


class CacheConfigTypeError(CacheConfigError, TypeError):
    """A ``CACHE_*`` value is of the wrong kind, or an option is unknown."""


class UnknownCacheTypeError(CacheConfigError, ImportStringError):
    """``CACHE_TYPE`` names nothing that can be imported."""

    def __init__(self, message: str, import_name: str, exception: BaseException) -> None:
        self.message = message
        self.import_name = import_name
        self.exception = exception
        Exception.__init__(self, message)

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


class CacheNotInitializedError(CacheError, RuntimeError, AttributeError, KeyError):
    """A ``Cache`` was used with an application that it was not set up for."""

    #: Whether that application is in debug mode.
    debug: bool = False

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class CacheKeyError(CacheError, ValueError):
    """A cache key cannot be used."""


class CacheBackendError(CacheError, RuntimeError):
    """The backend could not do what was asked; the message names operation, place and cause."""


class UnstorableValueError(CacheError, TypeError):
    """A value cannot be stored, or could not be read back as what it was."""
