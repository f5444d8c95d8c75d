"""List the CPython interpreters of this machine that the package supports, oldest first.

Prints one line a minor version: ``3.11 /path/to/python3.11``. An argument such as ``3.14``
leaves out that version and what is newer. Runs on any Python from 3.7 on.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
PROBE = """
import ensurepip, platform, sys, sysconfig, venv
free_threaded = sysconfig.get_config_var("Py_GIL_DISABLED")
final = sys.version_info.releaselevel == "final"
if platform.python_implementation() == "CPython" and final and not free_threaded:
    print(*sys.version_info[:3], sys._base_executable)
"""


def candidates() -> list[str]:
    """Every path that may be an interpreter: on PATH, and where pyenv and uv keep theirs."""
    names = ["python3", *(f"python3.{minor}" for minor in range(OLDEST[1], OLDEST[1] + 20))]
    found = [path for path in map(shutil.which, names) if path]
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    uv = os.environ.get("UV_PYTHON_INSTALL_DIR", os.path.expanduser("~/.local/share/uv/python"))
    for folder in (os.path.join(pyenv, "versions"), uv):
        found += glob.glob(os.path.join(folder, "*", "bin", "python3"))
    return found + glob.glob("/usr/bin/python3.*[0-9]") + glob.glob("/usr/local/bin/python3.*[0-9]")


def probe(path: str) -> tuple[tuple[int, ...], str] | None:
    """``((major, minor, patch), executable)``, or None where ``path`` is no usable interpreter."""
    try:
        result = subprocess.run(
            [path, "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:  # a link to nothing, or a program for another machine
        return None
    fields = result.stdout.decode().split(maxsplit=3)
    if result.returncode != 0 or len(fields) != 4:
        return None
    return tuple(int(field) for field in fields[:3]), fields[3].strip()


def main() -> None:
    try:
        below = tuple(map(int, sys.argv[1].split("."))) if len(sys.argv) > 1 else (4,)
    except ValueError:
        sys.exit(f"usage: {sys.argv[0]} [BELOW], a version such as 3.14, not {sys.argv[1]}")
    newest_patch: dict[tuple[int, ...], tuple[tuple[int, ...], str]] = {}
    for found in filter(None, map(probe, candidates())):
        version, executable = found
        minor = version[:2]
        if OLDEST <= minor < below and version > newest_patch.get(minor, ((0,), ""))[0]:
            newest_patch[minor] = (version, executable)
    for minor in sorted(newest_patch):
        print(f"{minor[0]}.{minor[1]} {newest_patch[minor][1]}")
    if not newest_patch:
        versions = ">= 3.11" + (f" and below {sys.argv[1]}" if len(sys.argv) > 1 else "")
        sys.exit(
            f"no CPython {versions} with venv found on PATH, under pyenv or under uv; "
            "on Debian 12 and later: apt-get install python3-venv"
        )


if __name__ == "__main__":
    main()
