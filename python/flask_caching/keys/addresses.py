"""Whether a repr shows where an object lies in memory, in whatever spelling.

An address is reused when its object is gone, and with it all that was kept under it.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from .._engine import may_spell_addresses, spells_address

__all__ = ["shows_address"]

#: As CPython prints addresses; shorter hexadecimal numbers are an application's own data.
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{9,16}\b")

#: Nobody prints the addresses of these, and they lead to everything.
_NOT_FOLLOWED = (type, ModuleType, FunctionType, CodeType)
#: How many of the objects that an object holds are looked at, and how deep.
_MOST_PARTS = 500
_DEEPEST = 3


def shows_address(text: str, value: Any) -> bool:
    """Whether ``text`` shows an address.

    It is looked for as CPython prints it. That of ``value`` is found in any other spelling, too:
    decimal, hexadecimal, octal or binary digits, padded, grouped or cut off at their beginning, and
    the default hash, which is made of it. So is that of what ``value`` holds, where the digits,
    read as decimal or hexadecimal ones, can be an address.

    :param text: the repr of ``value``.
    """
    if _ADDRESS.search(text) is not None or spells_address(text, id(value)):
        return True
    return may_spell_addresses(text) and any(
        spells_address(text, id(part)) for part in _parts(value)
    )


def _parts(value: Any) -> Iterator[Any]:
    """The objects that ``value`` holds, and what they hold; the nearest first."""
    seen = {id(value)}
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            part
            for part in gc.get_referents(*level)
            if not isinstance(part, _NOT_FOLLOWED) and id(part) not in seen
        ]
        for part in level:
            if id(part) not in seen:
                seen.add(id(part))
                yield part
            if len(seen) > _MOST_PARTS:
                return
