"""Entries with metadata on backends that store bytes: which are current, and how tags are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..._engine import COMPRESSED, METADATA_MAGIC, MISSING, Metadata, SealedValue, longer_timeout
from ...errors import UnstorableValueError
from ...keys.tags import tag_keys
from ...keys.versions import new_version

if TYPE_CHECKING:
    from ..._types import Timeout
    from .backend import ByteBackend
    from .encoded import Encoded

__all__ = [
    "add",
    "current",
    "is_sealed",
    "log_unstorable",
    "looks_sealed",
    "present",
    "set_many",
    "tag_lifetime",
    "versions",
]

logger = logging.getLogger("flask_caching")

#: Seconds that the version of a tag lives at least.
_SHORTEST = 300


def is_sealed(store: Any, wire_key: bytes) -> bool | None:
    """Whether only reading the entry under ``wire_key`` tells if it is current; None: it has none.

    :param store: which need not be one of the engine's.
    """
    ask = getattr(store, "is_sealed", None)
    if ask is not None:
        answer: bool | None = ask(wire_key)
        return answer
    stored = store.get(wire_key)
    return None if stored is None else looks_sealed(stored[0])


def looks_sealed(data: Any) -> bool:
    """Whether stored bytes have metadata, or may have some once they are decompressed."""
    return type(data) is bytes and (data.endswith(METADATA_MAGIC) or data.startswith(COMPRESSED))


def current(backend: Any, values: list[Any]) -> list[Any]:
    """``values`` as an application gets them.

    One that is not fresh any more, or of which a tag was deleted, is ``MISSING``. Tags are asked
    for once for all of them.

    :param values: some of which may be :class:`SealedValue`.
    """
    sealed = [value for value in values if type(value) is SealedValue]
    if not sealed:
        return values
    names = {name for value in sealed for name, _ in value.metadata.tags}
    found = present(backend, tuple(names))

    def own(value: Any) -> Any:
        if type(value) is not SealedValue:
            return value
        metadata = value.metadata
        stands = metadata.is_fresh and all(found[name] == text for name, text in metadata.tags)
        return value.value if stands else MISSING

    return [own(value) for value in values]


def present(backend: Any, names: tuple[str, ...], latest: bool = False) -> dict[str, str | None]:
    """The versions under ``names``, None for each that is not there.

    :param latest: those that what is about to be stored will depend on: a copy nearby may be a
        moment old.
    """
    if not names:
        return {}
    ask = getattr(backend, "_ask_many", backend._find_many) if latest else backend._find_many
    found = ask(*names)
    return {
        name: text if type(text) is str else None for name, text in zip(names, found, strict=True)
    }


def versions(
    backend: Any, names: tuple[str, ...], timeout: Timeout | None
) -> list[tuple[str, str]]:
    """The versions under ``names``; those that are missing are made, and live for ``timeout``."""
    return [
        (name, text if text is not None else _made(backend, name, timeout))
        for name, text in present(backend, names, latest=True).items()
    ]


def tag_lifetime(backend: Any, timeout: Timeout | None) -> Any:
    """For how long the version of a tag lives at first, whose entry lives for ``timeout``.

    :return: seconds, 0: for ever, or a ``timedelta``.
    """
    if not getattr(backend, "_extends_lifetimes", True):
        # Nothing lets it live longer later, and no entry may outlive it.
        return 0
    # It is made before the result is computed, which may take longer than that is kept.
    return longer_timeout(timeout, _SHORTEST, getattr(backend, "default_timeout", 300))


def _made(backend: Any, name: str, timeout: Timeout | None) -> str:
    version = new_version() + new_version()
    wire_key = backend._encode_key(name)
    packed = backend._pack(name, wire_key, version)
    lifetime = backend._timeout(tag_lifetime(backend, timeout))
    if not backend._store.add(wire_key, *packed, timeout=lifetime):
        # Another process was faster. Where its version is gone already, what is stored with this
        # one is a miss.
        there = present(backend, (name,), latest=True)[name]
        return version if there is None else there
    return version


def set_many(
    backend: ByteBackend,
    mapping: Mapping[str, Any],
    timeout: Timeout | None,
    tags: Iterable[str],
) -> list[Any]:
    """:meth:`ByteBackend.set_many`, with tags."""
    names = tag_keys(tags)
    encoded: dict[str, Encoded] = {}
    for key, value in mapping.items():
        try:
            encoded[key] = backend._encode(key, value, names, True)
        except UnstorableValueError as error:
            backend._discard(key)
            log_unstorable(key, error)
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
    try:
        entry = backend._encode(key, value, names, bool(names))
    except UnstorableValueError as error:
        log_unstorable(key, error)
        return False
    if names:
        backend._seal(entry, Metadata(versions(backend, names, timeout)))
    lifetime = backend._timeout(timeout)
    done, may_be_over = _add(backend, entry, lifetime)
    if may_be_over:
        done = _replace(backend, key, entry, lifetime)
    if done and names:
        _extend(backend, names, timeout)
    return done


def _add(backend: ByteBackend, entry: Encoded, lifetime: Any) -> tuple[bool, bool]:
    """Add what was encoded; whether that is done, and whether what is in its way may be none."""
    store, packed = entry.store, (entry.key, entry.data, entry.flags)
    tell = getattr(store, "add_or_tell", None)
    if tell is None or backend._signer is not None:
        done = store.add(*packed, timeout=lifetime)
        # What is signed is to be read.
        return done, not done and (backend._signer is not None or bool(is_sealed(store, entry.key)))
    done, sealed = tell(*packed, timeout=lifetime)
    return done, not done and bool(sealed)


def _replace(backend: ByteBackend, key: str, entry: Encoded, lifetime: Any) -> bool:
    """Store what was encoded in the place of an entry that is not current; whether it was one."""
    store = entry.store
    stored = store.get(entry.key)
    if stored is None:
        return False
    there = backend._unpack(key, entry.key, stored)
    if type(there) is not SealedValue or current(backend, [there])[0] is not MISSING:
        return False
    return store.set_if(entry.key, stored, (entry.data, entry.flags), timeout=lifetime)


def log_unstorable(key: str, error: UnstorableValueError) -> None:
    """Say why there is no value under ``key``."""
    logger.warning("The value for cache key %r is not stored: %s", key, error)


def _extend(backend: ByteBackend, names: Sequence[str], timeout: Timeout | None) -> None:
    for name in names:
        backend._extend(name, timeout)
