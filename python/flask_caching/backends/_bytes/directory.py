"""Backends in a directory of this machine: where it is, and how they are pickled."""

from __future__ import annotations

import operator
import os
from typing import Any, ClassVar

from ..._engine import Signer
from ...errors import CacheConfigError
from .backend import ByteBackend

__all__ = ["InDirectory", "directory", "whole_number"]


class InDirectory(ByteBackend):
    """A backend that is opened anew where it is unpickled."""

    _is_remote = False
    _path: str
    #: The attributes that it makes when it is opened.
    _opened: ClassVar[tuple[str, ...]] = ("_store", "_made_codec", "_signer", "_compressor")

    def _open(self) -> None:
        raise NotImplementedError

    def _whereabouts(self) -> str:
        return repr(getattr(self, "_path", ""))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self._opened}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.signing_keys:
            self._signer = Signer(self.signing_keys)
        self.compression = self._compression
        self._open()


def directory(cache_dir: Any, problem: str) -> str:
    """The path of a directory.

    :param problem: the message where it is none, but for what it is.
    :raises CacheConfigError: it is none.
    """
    try:
        path = os.fsdecode(cache_dir)
    except TypeError:
        path = ""
    if not path or "\0" in path:
        raise CacheConfigError(f"{problem}, not {cache_dir!r}")
    return path


def whole_number(number: Any, least: int, problem: str) -> int:
    """A whole number, ``least`` or more.

    :param problem: the message where it is none, but for what it is.
    :raises CacheConfigError: it is none.
    """
    try:
        whole = operator.index(number)
    except TypeError:
        whole = -1
    if not least <= whole < 2**63 or isinstance(number, bool):
        raise CacheConfigError(f"{problem}, not {number!r}")
    return whole
