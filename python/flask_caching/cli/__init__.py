"""``flask cache …``: what a cache does, has and is set to, from the command line."""

from __future__ import annotations

from ._group import cache

__all__ = ["cache"]
