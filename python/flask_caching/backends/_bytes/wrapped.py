"""The bytes of values, compressed and signed as far as that is wanted."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from ..._engine import COMPRESSED, Compressor, Signer, decompress, escape
from ..._warn import warn
from ...errors import CacheConfigError
from .._settings.common import CODECS
from ..base import BaseCache

__all__ = ["Wrapping", "hand_codecs_to"]


_NO_KEY = (
    "CACHE_SIGNING_KEY must be a key that is not empty, a str or bytes, or a list of them with the "
    "newest first"
)


class Wrapping(BaseCache):
    """The part of a backend that wraps what its codec makes."""

    _signer: Signer | None = None
    _compressor: Compressor | None = None
    #: The codec that was made last; it may depend on what is set here.
    _made_codec: Any = None

    @property
    def signing_keys(self) -> list[bytes]:
        """The keys values are signed with, newest first; an empty list: values are not signed.

        A signed counter cannot be counted by the server, which has no key: ``inc`` then reads,
        checks, signs and writes, and starts again where somebody else was faster.

        :raises CacheConfigError: on assigning a key that is empty or neither str nor bytes.
        """
        return list(getattr(self, "_signing_keys", ()))

    @signing_keys.setter
    def signing_keys(self, keys: str | bytes | Iterable[str | bytes]) -> None:
        self._signing_keys = _signing_keys(keys)
        self._signer = Signer(self._signing_keys) if self._signing_keys else None
        self._made_codec = None

    @property
    def compression(self) -> tuple[str, int] | None:
        """How values are compressed: ``"zstd"`` or ``"lz4"``, and how many bytes a value has at
        least that is. None: they are not; compressed ones are read all the same.

        :raises CacheConfigError: on assigning another codec, or another minimum than a number.
        """
        return self._compression

    @compression.setter
    def compression(self, compression: tuple[str, int] | None) -> None:
        self._compressor = None if compression is None else _compressor(*compression)
        self._compression = compression
        self._made_codec = None

    def _wrap(self, wire_key: bytes, data: Any, flags: int) -> Any:
        """``data`` compressed and signed, as far as that is wanted."""
        # A client object may be given something else.
        if type(data) is bytes:
            if self._compressor is not None:
                data = self._compressor.compress(data)
            elif data.startswith(COMPRESSED):
                data = escape(data)
        if self._signer is not None:
            data = self._signer.sign(wire_key, data, flags)
        return data

    def _unwrap(self, wire_key: bytes, data: bytes, flags: int) -> bytes:
        """What :meth:`_wrap` was given.

        :raises ValueError: they are not signed, were changed, or are damaged.
        """
        if self._signer is not None:
            data = self._signer.verify(wire_key, data, flags)
        if type(data) is bytes and data.startswith(COMPRESSED):
            data = decompress(data)
        return data


def _compressor(codec: str, minimum: int) -> Compressor:
    if codec not in CODECS:
        raise CacheConfigError(f"CACHE_COMPRESSION must be 'zstd', 'lz4' or None, not {codec!r}")
    if not isinstance(minimum, int) or minimum < 0:
        raise CacheConfigError(
            f"CACHE_COMPRESSION_MIN must be a number of bytes, 0 or more, not {minimum!r}"
        )
    return Compressor(codec, min(minimum, sys.maxsize))


def _signing_keys(keys: str | bytes | Iterable[str | bytes]) -> list[bytes]:
    if isinstance(keys, (str, bytes)):
        keys = [keys]
    result = []
    for key in keys:
        if not isinstance(key, (str, bytes)) or not key:
            # Never the key itself: messages end in logs.
            raise CacheConfigError(
                f"{_NO_KEY}; one of the keys is {'empty' if not key else type(key).__name__}"
            )
        # What cannot be encoded would be in the message of the attempt.
        result.append(key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key)
    return result


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
    keys = config["CACHE_SIGNING_KEY"]
    if keys is not None:
        encoded = _signing_keys(keys)
        if not encoded:
            raise CacheConfigError(_NO_KEY)
        if _wraps(backend, "signing_keys", "CACHE_SIGNING_KEY is set, but {} cannot sign"):
            backend.signing_keys = encoded
    codec = config["CACHE_COMPRESSION"]
    if codec is not None and _wraps(
        backend, "compression", "CACHE_COMPRESSION is set, but {} cannot compress"
    ):
        backend.compression = codec, config["CACHE_COMPRESSION_MIN"]


def _wraps(backend: Any, attribute: str, problem: str) -> bool:
    """Whether a backend has an attribute; of ours, those that keep objects have none of these."""
    if hasattr(backend, attribute):
        return True
    if type(backend).__module__.startswith("flask_caching.backends."):
        return False
    raise CacheConfigError(f"{problem.format(type(backend).__name__)} its values")
