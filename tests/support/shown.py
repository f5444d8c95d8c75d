"""The names of parametrised tests: the same in every process that collects them."""

from __future__ import annotations

import re

__all__ = ["shown"]


def shown(value: object) -> str:
    """``repr(value)`` without addresses, for ``ids=``: processes compare what they collected."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
