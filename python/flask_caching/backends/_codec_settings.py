"""The settings that say how values become bytes, handed to a backend."""

from __future__ import annotations

from typing import Any

from .._warn import warn
from ..errors import CacheConfigError

__all__ = ["hand_codecs_to"]


def hand_codecs_to(backend: Any, serializer: Any, config: dict[str, Any]) -> None:
    """Let a backend serialize, sign and compress as the settings say.

    :param backend: the backend, made of the same settings.
    :param serializer: what ``CACHE_SERIALIZER`` describes; None: the backend's own.
    :param config: the ``CACHE_*`` values that apply.
    :raises CacheConfigError: it cannot do what a setting asks for.
    """
    if serializer is not None:
        if hasattr(backend, "serializer"):
            backend.serializer = serializer
        else:
            warn(
                f"CACHE_SERIALIZER is set, but {type(backend).__name__} uses no serializer.",
                UserWarning,
            )
    if config["CACHE_SIGNING_KEY"] is not None:
        _set_signing_keys(backend, config["CACHE_SIGNING_KEY"])
    if config["CACHE_COMPRESSION"] is not None:
        _set_compression(backend, config)


def _set_compression(backend: Any, config: dict[str, Any]) -> None:
    """Have a backend of bytes compress them; one that keeps objects has none."""
    if hasattr(backend, "compression"):
        backend.compression = config["CACHE_COMPRESSION"], config["CACHE_COMPRESSION_MIN"]
    elif not type(backend).__module__.startswith("flask_caching.backends."):
        raise CacheConfigError(
            f"CACHE_COMPRESSION is set, but {type(backend).__name__} cannot compress its values"
        )


def _set_signing_keys(backend: Any, keys: Any) -> None:
    """Hand the signing keys to a backend whose entries others can write."""
    listed = list(keys) if isinstance(keys, (list, tuple)) else [keys]
    # With any other handler a key that is no UTF-8 would stand in the message.
    encoded = [
        key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key for key in listed
    ]
    if not encoded or not all(isinstance(key, bytes) and key for key in encoded):
        raise CacheConfigError(
            "CACHE_SIGNING_KEY must be a key that is not empty, or a list of them, newest first"
        )
    if hasattr(backend, "signing_keys"):
        backend.signing_keys = encoded
    elif not type(backend).__module__.startswith("flask_caching.backends."):
        raise CacheConfigError(
            f"CACHE_SIGNING_KEY is set, but {type(backend).__name__} cannot sign its values"
        )
