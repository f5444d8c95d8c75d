"""How calls reach a backend that is not asked natively.

Where an application has replaced a proxy of :class:`~flask_caching.Cache` (in a subclass, on an
instance, by patching), or the backend is not one of ours, they go through the proxies. Elsewhere
they use what only our backends have: reads that tell a stored None from a miss, writes that say why
a value cannot be stored, lifetimes that are extended without rewriting the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachelib import BaseCache as CachelibBaseCache

from .._engine import METHODS, MISSING, Deadline, Metadata, longer_timeout, replaced_methods
from ..backends._bytes.tagged import present, tag_lifetime
from ..errors import UnstorableValueError
from ..keys.tags import is_of_tag
from ..keys.versions import new_version
from ..utils import normalize_timeout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..cache import Cache
    from ..calls.waiting.leasing import Held

__all__ = ["Port"]

#: Of how many functions and instances the last versions are remembered, and the longest timeouts.
#: Their names are short: a digest stands in them for what an instance prints at length.
_MOST_VERSIONS = 10_000


class Port:
    """The way to one backend.

    :param cache: whose proxies lead to it.
    :param backend: the backend.
    :param replaced: a bit for each of ``METHODS`` that is not to be gone past.
    :param none_is_miss: whether a stored None is no answer.
    """

    def __init__(self, cache: Cache, backend: Any, replaced: int, none_is_miss: bool) -> None:
        direct = {name for at, name in enumerate(METHODS) if not replaced >> at & 1}
        self.backend = backend
        self._cache = cache
        self._none_is_miss = none_is_miss
        self._reads, self._reads_many = "get" in direct, "get_many" in direct
        # The in-process store is written to natively; where a method is replaced, by the methods.
        self._writes = "set" in direct and hasattr(backend, "_encode")
        self._extends = "set_many" in direct
        #: Where neither is replaced, nobody has to be asked again.
        self._writes_versions = {"set_many", "add"} <= direct
        #: Whether entries may have tags, and values that are not fresh any more.
        self.keeps_metadata = {"get", "get_many", "set"} <= direct and hasattr(backend, "_seal")
        self.default_timeout = getattr(backend, "default_timeout", 300)
        #: Whether calls wait for a server here, and nothing but that.
        self.waits = not replaced and getattr(backend, "_is_remote", False)
        #: Whether asking for several things at once is worth it.
        self._saves_round_trips = getattr(backend, "_saves_round_trips", False)
        self._last_versions: dict[tuple[str, ...], str] = {}
        #: For each version, the longest timeout of an entry so far. Where a lifetime can only be
        #: set with the value, a shorter one must not cut off the longer entries.
        self._longest: dict[str, Any] = {}

    # Reading.

    def read(self, key: Any) -> Any:
        """The value under ``key``, or ``MISSING``."""
        if self._reads:
            return self.backend._find(key) if self.keeps_metadata else self.backend._read(key)
        value = self._cache.get(key)
        if value is not None:
            return value
        if self._none_is_miss or not self._cache.has(key):
            return MISSING
        # The key may have been written between the two questions: ask for the value once more.
        return self._cache.get(key)

    def read_versions(
        self, prefix: str, names: tuple[str, ...], tags: tuple[str, ...] = ()
    ) -> tuple[list[Any], str | None, Any]:
        """The versions under ``names`` and ``tags``; and, where each question waits for a server,
        what is under the key that they make if they are still the last ones seen.

        :param prefix: the key without its versions.
        :param tags: the keys of versions that are not part of the key.
        :return: the versions, None for those that are not there; a key; and the value under it, or
            ``MISSING``. Without a key, nothing was asked for.
        """
        last = self._last_versions.get(names) if names else ""
        # Where no versions are part of the key, it is no guess.
        saves = self._saves_round_trips or not names
        if last is None or not (saves and self.keeps_metadata):
            return self._read_many((*names, *tags)), None, MISSING
        guess = prefix + last if names else prefix
        *versions, value = self.backend._find_many(*names, *tags, guess)
        return [None if version is MISSING else version for version in versions], guess, value

    def _read_many(self, names: Sequence[str]) -> list[Any]:
        if not self._reads_many:
            return list(self._cache.get_many(*names))
        return [None if value is MISSING else value for value in self.backend._read_many(*names)]

    def note_versions(self, names: tuple[str, ...], versions: tuple[str, ...]) -> None:
        """Remember the versions of a key for the next guess."""
        if self._saves_round_trips:
            last = "".join(versions)
            if self._last_versions.get(names) != last:
                _make_room(self._last_versions)
                self._last_versions[names] = last

    # Versions.

    def make_versions(
        self, names: tuple[str, ...], timeout: Any
    ) -> tuple[tuple[str, ...], Deadline]:
        """Store new versions; where another process was faster, its version is the one.

        :return: the versions, and when they expire.
        """
        timeout = normalize_timeout(timeout)
        versions = {name: new_version() for name in names}
        if not self._adds():
            self._cache.set_many(versions, timeout=timeout)
        else:
            for name, new in versions.items():
                lifetime = tag_lifetime(self.backend, timeout) if is_of_tag(name) else timeout
                versions[name] = self._add(name, new, lifetime)
        return tuple(versions.values()), self._deadline(timeout)

    def add_version(self, name: str, version: str, timeout: Any) -> None:
        """Store a version again that has expired."""
        if self._adds():
            self._add(name, version, timeout)
        else:
            self._cache.set_many({name: version}, timeout=timeout)

    def _adds(self) -> bool:
        if not self._writes_versions:
            if {"set_many", "add"} & set(replaced_methods(self._cache)):
                return False
            replaced = replaced_methods(self._cache, self.backend)
            if "set_many" in replaced and "add" not in replaced:
                # Where a subclass writes in a way of its own, our `add` would store elsewhere.
                return False
        # The `add` that a backend inherits from cachelib's base class stores nothing.
        return getattr(type(self.backend), "add", None) not in (None, CachelibBaseCache.add)

    def _add(self, name: str, version: str, timeout: Any) -> str:
        if self.backend.add(name, version, timeout=timeout):
            return version
        current = self.backend.get(name)
        if isinstance(current, str):
            return current
        # Some backends' `add` refuses a key whose entry has expired.
        self.backend.set(name, version, timeout=timeout)
        return version

    def _deadline(self, timeout: Any) -> Deadline:
        return Deadline(timeout, getattr(self.backend, "default_timeout", 300))

    # Tags.

    def tags_stand(self, tags: tuple[tuple[str, str], ...]) -> bool:
        """Whether tags have the versions that an entry was stored under.

        :param tags: their keys, and these versions.
        """
        found = present(self.backend, tuple(name for name, _ in tags))
        return all(found[name] == version for name, version in tags)

    def tag_versions(
        self, names: tuple[str, ...], timeout: Any, epoch: tuple[str, str]
    ) -> list[tuple[str, str]] | None:
        """The versions of tags that were told of a result; those that are missing are made.

        :param epoch: the key that stands for all tags, and the version it had when the call began.
        :return: None where a tag was deleted since then.
        """
        key, version = epoch
        # The epoch is deleted before the tags are, and so it is read after them: where it still is
        # the same then, whoever deletes one of these versions is still to do it.
        together = getattr(self.backend, "_deletes_in_order", False)
        found = present(self.backend, (*names, key) if together else names, latest=True)
        missing = tuple(name for name in names if found[name] is None)
        if missing:
            made, _ = self.make_versions(missing, timeout)
            found.update(zip(missing, made, strict=True))
        if missing or not together:
            found.update(present(self.backend, (key,), latest=True))
        if found[key] != version:
            return None
        return [(name, found[name] or "") for name in names]

    # Writing.

    def encode(self, key: Any, value: Any, names: tuple[str, ...], is_sealed: bool = False) -> Any:
        """What is to be stored of a value; this may run any code of the application.

        :param names: the keys of the versions that are to live as long.
        :param is_sealed: :meth:`write` will be given metadata.
        :raises UnstorableValueError: it cannot be stored (our backends only).
        """
        if not self._writes:
            return value
        try:
            if is_sealed:
                return self.backend._encode(key, value, names, True)
            return self.backend._encode(key, value, names)
        except UnstorableValueError:
            # What the key had is no answer any more.
            self.backend._discard(key)
            raise

    def decode(self, key: Any, encoded: Any) -> Any:
        """A copy of the value that :meth:`encode` was given, for another caller.

        :return: the copy; ``MISSING`` where the backend makes no bytes here.
        """
        return self.backend._decode(key, encoded) if self._writes else MISSING

    def write(
        self,
        key: Any,
        encoded: Any,
        timeout: Any,
        versions: tuple[tuple[str, str], ...],
        metadata: Metadata | None = None,
        lease: Held | None = None,
    ) -> tuple[bool | None, tuple[str, ...]]:
        """Store what :meth:`encode` made, and let the versions in its key live as long.

        :param versions: their keys, and themselves.
        :param lease: what it was computed under.
        :return: whether it is stored, None where another process was before it; the keys of the
            versions that are not there any more.
        """
        if metadata is not None:
            self.backend._seal(encoded, metadata)
        if lease is not None:
            written = lease.write(self, key, encoded, timeout)
            return written, self.extend(versions, timeout) if written and versions else ()
        has_more = versions or (metadata is not None and metadata.tags)
        if self._writes and self._extends and self._saves_round_trips and has_more:
            done, live = self.backend._write_extending(encoded, timeout)
            names = (name for name, _ in versions)
            return done, tuple(n for n, lives in zip(names, live, strict=False) if not lives)
        done = self.put(encoded, key, timeout)
        return done, self.extend(versions, timeout) if done and versions else ()

    def put(self, encoded: Any, key: Any, timeout: Any) -> bool:
        """Store what :meth:`encode` made, and nothing else."""
        if self._writes:
            return bool(self.backend._write(encoded, timeout))
        # Some caches return nothing; one says that it stores, and does not.
        done = self._cache.set(key, encoded, timeout=timeout) is not False
        return done and not getattr(self.backend, "_keeps_nothing", False)

    def undo(self, key: Any, encoded: Any, versions: tuple[tuple[str, str], ...]) -> None:
        """Take away what was stored although something was deleted meanwhile.

        :param encoded: what was written under ``key``; None: it is gone already.

        :param versions: those that :meth:`extend` was given. One that was deleted between its two
            steps is back, and with it every result from before.
        """
        if encoded is not None:
            if self._writes:
                # Whoever deletes waits for this: no code of the application runs.
                self.backend._take_back(encoded)
            else:
                self._cache.delete(key)
        if not self._extends:
            current = self._read_many([name for name, _ in versions])
            for (name, version), found in zip(versions, current, strict=False):
                if found == version:
                    self._cache.delete(name)

    def extend(self, versions: tuple[tuple[str, str], ...], timeout: Any) -> tuple[str, ...]:
        """Let versions live as long as an entry that they are part of the key of.

        :param versions: their keys, and themselves.
        :return: the keys of those that are not there any more.
        """
        if self._extends:
            return tuple(name for name, _ in versions if not self.backend._extend(name, timeout))
        current = self._read_many([name for name, _ in versions])
        by_timeout: dict[Any, dict[str, str]] = {}
        gone = []
        for (name, version), found in zip(versions, current, strict=False):
            longest = self._longest_timeout(name, timeout)
            # A version that was deleted or replaced meanwhile stays so.
            if found == version:
                by_timeout.setdefault(longest, {})[name] = version
            else:
                gone.append(name)
        for longest, kept in by_timeout.items():
            self._cache.set_many(kept, timeout=longest)
        return tuple(gone)

    def _longest_timeout(self, name: str, timeout: Any) -> Any:
        default = getattr(self.backend, "default_timeout", 300)
        longest = longer_timeout(self._longest.get(name, timeout), timeout, default)
        _make_room(self._longest)
        self._longest[name] = longest
        return longest


def _make_room(table: dict[Any, Any]) -> None:
    if len(table) >= _MOST_VERSIONS:
        table.clear()
