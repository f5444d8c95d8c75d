"""Julia sets, painted in plain Python: slow enough to be worth a cache."""

from __future__ import annotations

import base64
import math
import struct
import time
import zlib
from dataclasses import dataclass

from gallery.folder import folder

_ITERATIONS = 48

#: A byte for each picture that was painted, by whichever worker.
_PAINTED = folder() / "painted"


def painted() -> int:
    """How many pictures all workers have painted so far."""
    return _PAINTED.stat().st_size if _PAINTED.exists() else 0


@dataclass(frozen=True)
class Painting:
    """A picture, and what it cost.

    :param image: a PNG as a ``data:`` URL.
    :param made: when it was painted, in seconds since 1970.
    :param cost: the seconds that took.
    """

    image: str
    made: float
    cost: float


def painting(c: complex, width: int, height: int) -> Painting:
    """Paint the Julia set of ``c``, and note what it cost."""
    start = time.perf_counter()
    image = paint(c, width, height)
    return Painting(image, time.time(), time.perf_counter() - start)


def paint(c: complex, width: int, height: int, *, centre: complex = 0j, zoom: float = 1.0) -> str:
    """Paint the Julia set of ``c``.

    :param c: the constant that gives the set its shape.
    :param width: pixels.
    :param height: pixels.
    :param centre: the point in the middle of the picture.
    :param zoom: 1 shows the whole set.
    :returns: a PNG as a ``data:`` URL.
    """
    with _PAINTED.open("ab") as file:
        file.write(b".")
    step = 3.2 / zoom / width
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # each row of a PNG names its filter: none
        for x in range(width):
            z = centre + complex((x - width / 2) * step, (y - height / 2) * step)
            rows += _PALETTE[_escape(z, c)]
    return "data:image/png;base64," + base64.b64encode(_png(width, height, rows)).decode()


def _escape(z: complex, c: complex) -> int:
    for iteration in range(_ITERATIONS):
        if z.real * z.real + z.imag * z.imag > 4:
            return iteration
        z = z * z + c
    return _ITERATIONS


def _png(width: int, height: int, rows: bytearray) -> bytes:
    """Eight-bit RGB in one chunk each of IHDR, IDAT and IEND (PNG, third edition, section 5.3)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _colour(iteration: int) -> bytes:
    """A cosine gradient from night blue to sand; what never escapes is night."""
    if iteration == _ITERATIONS:
        return bytes((12, 14, 30))
    turn = math.sqrt(iteration / _ITERATIONS)
    channels = ((0.52, 0.46, 0.50), (0.45, 0.40, 0.58), (0.50, 0.36, 0.66))
    return bytes(
        round(255 * (base + span * math.cos(2 * math.pi * (turn + phase))))
        for base, span, phase in channels
    )


_PALETTE = [_colour(iteration) for iteration in range(_ITERATIONS + 1)]
