"""A process that runs functions of a given file under one of the two packages.

Run by path, in either interpreter, so it imports nothing of this project. Frames on stdin and
stdout are a 4-byte big-endian length and a pickle: ``(file, function, arguments)`` comes in,
``(succeeded, result or traceback)`` goes out.
"""

from __future__ import annotations

import logging
import os
import pickle
import struct
import sys
import traceback
import warnings
from typing import Any, BinaryIO

LENGTH = struct.Struct(">I")


def read_frame(stream: BinaryIO) -> Any:
    """The next object, or ``EOFError`` when the other side has closed the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return pickle.loads(stream.read(LENGTH.unpack(head)[0]))


def write_frame(stream: BinaryIO, value: Any) -> None:
    """Send one object."""
    data = pickle.dumps(value)
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def main() -> None:
    """Answer calls until stdin is closed."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a called function prints must not end up between the frames.
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    modules: dict[str, dict[str, Any]] = {}
    while True:
        try:
            path, function, arguments = read_frame(requests)
        except EOFError:
            return
        try:
            if path not in modules:
                # Registered under its own name so that its classes pickle.
                name = os.path.splitext(os.path.basename(path))[0]
                sys.path.insert(0, os.path.dirname(path))
                modules[path] = vars(__import__(name))
            answer = True, modules[path][function](*arguments)
        except BaseException:
            answer = False, traceback.format_exc()
        write_frame(answers, answer)


if __name__ == "__main__":
    main()
