"""Warnings that point at the application's line, however deep in the package they are given."""

from __future__ import annotations

import sys
import warnings
from typing import Any

__all__ = ["warn", "warn_of_negative"]

_PACKAGE = __name__.partition(".")[0]


def warn(message: str, category: type[Warning]) -> None:
    """Warn whoever called into this package.

    :param message: what is wrong, and what would be right.
    :param category: the kind of warning.
    """
    level = 2
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


def warn_of_negative(name: str, timeout: Any) -> None:
    """Warn of a timeout below 0, which elsewhere may mean that an entry does not expire.

    :param name: what was given it.
    """
    warn(
        f"{name}={timeout!r} is over at once, so nothing is stored: write 0 for what does not "
        "expire",
        UserWarning,
    )
