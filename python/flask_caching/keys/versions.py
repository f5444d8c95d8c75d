"""Versions: the key of a memoized result ends in them, so that changing one forgets all results."""

from __future__ import annotations

import base64
import os

__all__ = ["memver_name", "new_version"]

_LENGTH = 6


def memver_name(namespace: str) -> str:
    """The key under which the version of a function or instance is kept."""
    return f"{namespace}_memver"


def new_version() -> str:
    """A version that no entry was stored under yet."""
    return base64.b64encode(os.urandom(_LENGTH))[:_LENGTH].decode()
