"""Run by a worker with either package: changes entries that others have copies of."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_caching import Cache


def change(config: dict[str, Any], method: str, *arguments: Any) -> Any:
    """What a method of a new cache returns."""
    app = Flask("changes")
    cache = Cache(app, config=config)
    with app.app_context():
        return getattr(cache, method)(*arguments)
