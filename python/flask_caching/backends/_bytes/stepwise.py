"""Operations of a store of bytes that is written in Python, made of its simpler ones."""

from __future__ import annotations

from typing import Any

__all__ = ["Stepwise"]


class Stepwise:
    """What follows from ``get``, ``set``, ``delete``, ``extend`` and ``compare_exchange``.

    It takes several steps for what the engine's stores do in one: a store has its own methods
    where it can do better.
    """

    def get_many(self: Any, keys: list[bytes]) -> list[tuple[bytes, int] | None]:
        return [self.get(key) for key in keys]

    def set_many(
        self: Any, entries: list[tuple[bytes, Any, int]], timeout: Any = None
    ) -> list[bool]:
        return [self.set(key, data, flags, timeout) for key, data, flags in entries]

    def delete_many(self: Any, keys: list[bytes]) -> list[bool]:
        return [self.delete(key) for key in keys]

    def has(self: Any, key: bytes) -> bool:
        return self.get(key) is not None

    def set_extending(
        self: Any, key: bytes, data: Any, flags: int, timeout: Any, extended: list[bytes]
    ) -> tuple[bool, list[bool]]:
        if not self.set(key, data, flags, timeout):
            return False, []
        return True, [self.extend(name, timeout) for name in extended]

    def set_if(self: Any, key: bytes, expected: Any, new: Any, timeout: Any = None) -> bool:
        done: bool = self.compare_exchange(key, expected, new, timeout)
        return done
