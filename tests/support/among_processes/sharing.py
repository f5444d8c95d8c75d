"""Processes that share a SharedCache of a directory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

__all__ = ["MIB", "Workers"]

MIB = 1 << 20


class Workers:
    """Python programs that have a SharedCache called ``cache``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.running: list[subprocess.Popen[str]] = []

    def start(self, program: str) -> subprocess.Popen[str]:
        head = f"""
import hashlib, os, random, sys, time
from flask_caching.backends.sharedcache import SharedCache
cache = SharedCache({str(self._directory / "cache")!r}, max_bytes={4 * MIB})
"""
        command = [sys.executable, "-c", head + textwrap.dedent(program)]
        pipe = subprocess.PIPE
        worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.running.append(worker)
        return worker
