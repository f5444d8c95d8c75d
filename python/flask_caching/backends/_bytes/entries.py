"""Values as the entries of a store of bytes: how they become bytes, are written, and come back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cachelib.serializers import BaseSerializer

from ..._engine import METADATA_MAGIC, MISSING, Metadata, SealedValue, page_decode
from ...codecs.serialized import ForeignTextError, Serialized
from ...errors import CacheBackendError
from . import tagged
from .encoded import Encoded, is_page, page_bytes
from .wrapped import Wrapping

if TYPE_CHECKING:
    from ..._engine import ByteStore
    from ...codecs import Codec

__all__ = ["Entries"]

logger = logging.getLogger("flask_caching")


class Entries(Wrapping):
    """The part of a backend that reads and writes entries of its store, for whoever asks."""

    #: How values become bytes; ``CACHE_SERIALIZER`` replaces it.
    serializer: BaseSerializer = BaseSerializer()

    _store: ByteStore
    _compression: tuple[str, int] | None = None
    #: The codec that was made last, and the serializer that it was made for.
    _made_codec: tuple[BaseSerializer, Codec] | None = None

    def _present_codec(self) -> Codec:
        """What makes bytes of values here, with the present :attr:`serializer`."""
        serializer = self.serializer
        made = self._made_codec
        if made is None or made[0] is not serializer:
            made = self._made_codec = (serializer, self._make_codec(serializer))
        return made[1]

    def _make_codec(self, serializer: BaseSerializer) -> Codec:
        """The codec of this backend's format, with ``serializer``."""
        return Serialized(serializer)

    def _encode_key(self, key: str) -> bytes:
        """The key as the store knows it. Different keys give different bytes."""
        if not isinstance(key, str):
            raise TypeError(f"a cache key must be a str, not {type(key).__name__}")
        return key.encode("utf-8", "surrogatepass")

    def _dump(self, key: str, value: Any) -> tuple[bytes, int]:
        """The bytes and flags to store for ``value``: those of the codec.

        :raises UnstorableValueError: it cannot be stored.
        """
        return self._present_codec().encode(value)

    def _load(self, key: str, data: bytes, flags: int) -> Any:
        """The value that :meth:`_dump` made ``data`` and ``flags`` of.

        :raises Exception: any, where they are nothing this application can read.
        """
        return self._present_codec().decode(data, flags)

    def _read(self, key: str, foreign_text: bool = False) -> Any:
        """The current value under ``key``, or ``MISSING``; otherwise as :meth:`_find`."""
        value = self._find(key, foreign_text)
        return tagged.current(self, [value])[0] if type(value) is SealedValue else value

    def _read_many(self, *keys: str, foreign_text: bool = False) -> list[Any]:
        """The current values under ``keys``, in their order, ``MISSING`` for each that has none."""
        return tagged.current(self, self._find_many(*keys, foreign_text=foreign_text))

    def _find(self, key: str, foreign_text: bool = False) -> Any:
        """The value under ``key``, or ``MISSING``; a :class:`SealedValue` where the entry has
        metadata, which says whether that is current.

        :param foreign_text: give text that another program stored, as bytes. What is stored for
            decorated functions is never foreign, so they read without.
        """
        wire_key = self._encode_key(key)
        stored = self._store.get(wire_key)
        return MISSING if stored is None else self._unpack(key, wire_key, stored, foreign_text)

    def _find_many(self, *keys: str, foreign_text: bool = False) -> list[Any]:
        """:meth:`_find` of ``keys``, in their order.

        :param foreign_text: as in :meth:`_find`.
        """
        return self._ask_many(*keys, foreign_text=foreign_text)

    def _ask_many(self, *keys: str, foreign_text: bool = False) -> list[Any]:
        """:meth:`_find_many`, of the store itself: what it says counts."""
        wire_keys = [self._encode_key(key) for key in keys]
        if not wire_keys:
            return []
        return [
            MISSING if stored is None else self._unpack(key, wire_key, stored, foreign_text)
            for key, wire_key, stored in zip(
                keys, wire_keys, self._store.get_many(wire_keys), strict=True
            )
        ]

    def _encode(
        self, key: str, value: Any, extended: Sequence[str] = (), is_open: bool = False
    ) -> Encoded:
        """The first step of a write, which may run any code of the application: pickling, a
        serializer, a callable prefix.

        :param extended: the keys that :meth:`_write_extending` is to extend.
        :param is_open: :meth:`_seal` will be asked for.
        :raises UnstorableValueError: the value cannot be stored. Nothing is written yet:
            :meth:`_discard` takes away what is there.
        """
        wire_key = self._encode_key(key)
        if is_open:
            page = page_bytes(key, value)
            codec = self._present_codec()
            data, flags = codec.encode_open(value) if page is None else (page, 0)
        else:
            data, flags = self._pack(key, wire_key, value)
        wire_keys = [self._encode_key(name) for name in extended]
        return Encoded(self._store, wire_key, data, flags, wire_keys, is_open)

    def _seal(self, encoded: Encoded, metadata: Metadata) -> None:
        """Put ``metadata`` behind what :meth:`_encode` made; no code of the application runs."""
        data = metadata.seal(encoded.data)
        encoded.data = self._wrap(encoded.key, data, encoded.flags)
        encoded.is_open = False

    def _decode(self, key: str, encoded: Encoded) -> Any:
        """The value that :meth:`_encode` made bytes of, as if it had been read; or ``MISSING``."""
        if encoded.is_open:
            page = page_decode(encoded.data) if is_page(key) else None
            return self._load(key, encoded.data, encoded.flags) if page is None else page
        value = self._unpack(key, encoded.key, (encoded.data, encoded.flags))
        return value.value if type(value) is SealedValue else value

    def _write(self, encoded: Encoded, timeout: float | timedelta | None = None) -> bool:
        """The second step: store what :meth:`_encode` made, and run no code but the store's.

        :param timeout: as in :meth:`set`.
        :return: whether it was stored.
        """
        return encoded.store.set(
            encoded.key, encoded.data, encoded.flags, timeout=self._timeout(timeout)
        )

    def _write_extending(
        self, encoded: Encoded, timeout: float | timedelta | None = None
    ) -> tuple[bool, list[bool]]:
        """:meth:`_write`, and :meth:`_extend` of the keys that were to be extended, in one round
        trip.

        :return: whether the value is stored, and for each of these keys whether it has a value.
        """
        return encoded.store.set_extending(
            encoded.key,
            encoded.data,
            encoded.flags,
            self._timeout(timeout),
            encoded.extended,
        )

    def _take_back(self, encoded: Encoded) -> None:
        """Take away what the second step of a write has stored; only the store's code runs."""
        encoded.store.delete(encoded.key)

    def _discard(self, key: str) -> None:
        """Take away what is under ``key``, whose new value cannot be stored."""
        self._store.delete(self._encode_key(key))

    def _extend(self, key: str, timeout: float | timedelta | None = None) -> bool:
        """Let the entry live for ``timeout`` from now where it would end sooner."""
        return self._store.extend(self._encode_key(key), timeout=self._timeout(timeout))

    def _timeout(self, timeout: float | timedelta | None) -> float | timedelta:
        return self.default_timeout if timeout is None else timeout

    def _pack(self, key: str, wire_key: bytes, value: Any) -> tuple[bytes, int]:
        """What to store for ``value``.

        :raises UnstorableValueError: it cannot be stored.
        """
        page = page_bytes(key, value)
        data, flags = self._dump(key, value) if page is None else (page, 0)
        if type(data) is bytes and data.endswith(METADATA_MAGIC):
            # Or it would be taken for what it ends like.
            data = Metadata([]).seal(data)
        return self._wrap(wire_key, data, flags), flags

    def _unpack(
        self,
        key: str,
        wire_key: bytes,
        stored: tuple[bytes, int],
        foreign_text: bool = False,
        arrived: Callable[[Any, bytes], object] | None = None,
    ) -> Any:
        """The value of a stored entry. What cannot be read is removed, and ``MISSING``.

        :param arrived: is given what was read, and the bytes of the value alone.
        """
        data, flags = stored
        try:
            data = self._unwrap(wire_key, data, flags)
            metadata = None
            if type(data) is bytes and data.endswith(METADATA_MAGIC):
                data, metadata = Metadata.unseal(data)
                if metadata is not None and not metadata.has_value:
                    return SealedValue(None, metadata)
            value = page_decode(data) if is_page(key) else None
            if value is None:
                value = self._load(key, data, flags)
            whole: Any = value if metadata is None else SealedValue(value, metadata)
        except Exception as error:
            if foreign_text and isinstance(error, ForeignTextError):
                return data
            logger.warning(
                "The entry under cache key %r cannot be used and is removed: %s: %s",
                key,
                type(error).__name__,
                error,
            )
        else:
            if arrived is not None:
                arrived(whole, data)
            return whole
        try:
            # Only if it still is what was read: somebody may have replaced it by now.
            self._store.compare_exchange(wire_key, stored, None)
        except CacheBackendError as error:
            logger.warning("The unusable entry under cache key %r is still there: %s", key, error)
        return MISSING
