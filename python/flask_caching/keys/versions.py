"""Versions: the key of a memoized result ends in them, so that changing one forgets all results."""

from __future__ import annotations

from .._engine import new_version

__all__ = ["memver_name", "new_version"]


def memver_name(namespace: str) -> str:
    """The key under which the version of a function or instance is kept."""
    return f"{namespace}_memver"
