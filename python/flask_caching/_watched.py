"""Classes that tell the fast path when a method of theirs is replaced."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

from ._engine import classes_changed

__all__ = ["Watched"]


class Watched(ABCMeta):
    """The class of classes whose methods the fast path goes past where nobody has replaced them.

    To ask each class for each method at each hit costs a third of the hit; a change is rare. It is
    an ``ABCMeta`` so that a subclass may be an abstract one as well.
    """

    def __init__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A class may have the address of one that is gone.
        classes_changed()

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        classes_changed()

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        classes_changed()
