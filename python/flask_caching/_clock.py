"""Python's clock, which tests move and the engine then follows.

freezegun puts a function of its own in the place of ``time.time``, in every module that has it as
an attribute. So this module has it, and tells the engine what is put there. time-machine changes
what the function itself does, which the engine sees.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from time import time
from typing import Any

from ._engine import clock_follow

__all__ = ["time"]


class _Clock(types.ModuleType):
    """This module: what is put in place of its ``time`` is asked for the time from then on."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "time":
            _tell(value)


#: Whether the engine knows what ``time.time`` does while nobody moves time.
_is_known = False


def _tell(function: Callable[[], float]) -> None:
    global _is_known
    is_own = isinstance(function, types.BuiltinFunctionType)
    _is_known = _is_known or (is_own and not _may_be_changed())
    clock_follow(function, not (is_own and _is_known))


def _may_be_changed() -> bool:
    """Whether time-machine, which was there first, may have changed what ``time.time`` does.

    It has not while nobody travels; former versions do not tell, and leave it changed. Then
    ``time.time`` is asked for as long as the process lives.
    """
    machine = sys.modules.get("time_machine")
    return machine is not None and getattr(machine, "traveller_stack", None) != []


sys.modules[__name__].__class__ = _Clock
_tell(time)
