"""Entries with metadata on backends that store bytes: which are current, and how tags are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._engine import MISSING, Metadata, SealedValue
from ..errors import UnstorableValueError
from ..keys.tags import tag_keys
from ..keys.versions import new_version

if TYPE_CHECKING:
    from .._types import Timeout
    from ._byte_backend import ByteBackend
    from ._encoded import Encoded

__all__ = ["add", "current", "is_in_use", "note_use", "present", "set_many", "versions"]

logger = logging.getLogger("flask_caching")

_in_use = False


def note_use() -> None:
    """Entries of this process may have metadata from now on."""
    global _in_use
    _in_use = True


def is_in_use() -> bool:
    """Whether a question that only reading an entry answers is worth it."""
    return _in_use


def current(backend: Any, values: list[Any]) -> list[Any]:
    """``values`` as an application gets them.

    One that is not fresh any more, or of which a tag was deleted, is ``MISSING``. Tags are asked
    for once for all of them.

    :param values: some of which may be :class:`SealedValue`.
    """
    sealed = [value for value in values if type(value) is SealedValue]
    if not sealed:
        return values
    note_use()
    names = {name for value in sealed for name, _ in value.metadata.tags}
    found = present(backend, tuple(names))

    def own(value: Any) -> Any:
        if type(value) is not SealedValue:
            return value
        metadata = value.metadata
        stands = metadata.is_fresh and all(found[name] == text for name, text in metadata.tags)
        return value.value if stands else MISSING

    return [own(value) for value in values]


def present(backend: Any, names: tuple[str, ...]) -> dict[str, str | None]:
    """The versions under ``names``, None for each that is not there."""
    if not names:
        return {}
    found = backend._find_many(*names)
    return {
        name: text if type(text) is str else None for name, text in zip(names, found, strict=True)
    }


def versions(
    backend: Any, names: tuple[str, ...], timeout: Timeout | None
) -> list[tuple[str, str]]:
    """The versions under ``names``; those that are missing are made, and live for ``timeout``."""
    return [
        (name, text if text is not None else _made(backend, name, timeout))
        for name, text in present(backend, names).items()
    ]


def _made(backend: Any, name: str, timeout: Timeout | None) -> str:
    version = new_version() + new_version()
    wire_key = backend._encode_key(name)
    packed = backend._pack(name, wire_key, version)
    if not backend._store.add(wire_key, *packed, timeout=backend._timeout(timeout)):
        # Another process was faster. Where its version is gone already, what is stored with this
        # one is a miss.
        there = present(backend, (name,))[name]
        return version if there is None else there
    return version


def set_many(
    backend: ByteBackend,
    mapping: Mapping[str, Any],
    timeout: Timeout | None,
    tags: Iterable[str],
) -> list[Any]:
    """:meth:`ByteBackend.set_many`, with tags."""
    note_use()
    names = tag_keys(tags)
    encoded: dict[str, Encoded] = {}
    for key, value in mapping.items():
        try:
            encoded[key] = backend._encode(key, value, names, True)
        except UnstorableValueError as error:
            backend._discard(key)
            logger.warning("The value for cache key %r is not stored: %s", key, error)
    if not encoded:
        return []
    metadata = Metadata(versions(backend, names, timeout))
    for entry in encoded.values():
        backend._seal(entry, metadata)
    if len(encoded) == 1:
        ((key, entry),) = encoded.items()
        return [key] if backend._write_extending(entry, timeout)[0] else []
    stored = backend._store.set_many(
        [(entry.key, entry.data, entry.flags) for entry in encoded.values()],
        timeout=backend._timeout(timeout),
    )
    _extend(backend, names, timeout)
    return [key for key, done in zip(encoded, stored, strict=True) if done]


def add(
    backend: ByteBackend,
    key: str,
    value: Any,
    timeout: Timeout | None,
    tags: Iterable[str] | None,
) -> bool:
    """:meth:`ByteBackend.add`, with tags; an entry that is not current is none."""
    names = tag_keys(tags)
    if names:
        note_use()
    try:
        entry = backend._encode(key, value, names, bool(names))
    except UnstorableValueError as error:
        logger.warning("The value for cache key %r is not stored: %s", key, error)
        return False
    if names:
        backend._seal(entry, Metadata(versions(backend, names, timeout)))
    store, lifetime = entry.store, backend._timeout(timeout)
    done = store.add(entry.key, entry.data, entry.flags, timeout=lifetime)
    if not done:
        stored = store.get(entry.key)
        if stored is not None:
            there = backend._unpack(key, entry.key, stored)
            if type(there) is SealedValue and current(backend, [there])[0] is MISSING:
                packed = (entry.data, entry.flags)
                done = store.set_if(entry.key, stored, packed, timeout=lifetime)
    if done and names:
        _extend(backend, names, timeout)
    return done


def _extend(backend: ByteBackend, names: Sequence[str], timeout: Timeout | None) -> None:
    for name in names:
        backend._extend(name, timeout)
