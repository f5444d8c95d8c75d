"""The part of a store over a client object that takes several steps for what the engine's stores do
in one."""

from __future__ import annotations

from typing import Any

__all__ = ["Stepwise"]


class Stepwise:
    """What follows from ``set``, ``extend`` and ``compare_exchange``."""

    def set_extending(
        self: Any, key: bytes, data: Any, flags: int, timeout: Any, extended: list[bytes]
    ) -> tuple[bool, list[bool]]:
        if not self.set(key, data, flags, timeout):
            return False, []
        return True, [self.extend(name, timeout) for name in extended]

    def set_if(self: Any, key: bytes, expected: Any, new: Any, timeout: Any = None) -> bool:
        done: bool = self.compare_exchange(key, expected, new, timeout)
        return done
