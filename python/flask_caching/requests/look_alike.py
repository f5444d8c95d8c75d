"""Subclasses that objects are of for a while, without looking like anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["look_alike"]


def look_alike(cls: Any, members: Mapping[str, Any]) -> Any:
    """A subclass of ``cls`` that is shown, named and documented as that is.

    :param members: what it has of its own.
    """
    shown = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    return type(cls)(cls.__name__, (cls,), {**shown, **members})
