"""A page on what a cache does: ``app.register_blueprint(blueprint(cache, authorize=…))``."""

from __future__ import annotations

from ._blueprint import blueprint

__all__ = ["blueprint"]
