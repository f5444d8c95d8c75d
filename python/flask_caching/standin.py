"""A stand-in for dependencies that ask for Flask-Caching: ``python -m flask_caching.standin``.

Writes a wheel of a distribution called Flask-Caching that holds no files, only the requirement
``flask-caching-rs``. Its local version label ``+rs`` says that it is not the release on PyPI;
requirements such as ``>=2`` and ``==2.5.1`` are satisfied by it (PEP 440).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import zipfile
from pathlib import Path

__all__ = ["RELEASE", "main", "write"]

#: The release of Flask-Caching whose interface this is.
RELEASE = "2.5.1"
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the same bytes on every run


def write(folder: Path, version: str = RELEASE) -> Path:
    """Write the wheel into ``folder``, which is made where it is missing.

    :param folder: where the wheel goes.
    :param version: the release of Flask-Caching that it stands in for.
    :returns: the path of the wheel.
    :raises ValueError: ``version`` is no release such as 2.5.1.
    """
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        raise ValueError(f"a release such as {RELEASE} is needed, not {version!r}")
    stem = f"flask_caching-{version}+rs"
    files = {
        f"{stem}.dist-info/METADATA": (
            "Metadata-Version: 2.1\n"
            "Name: Flask-Caching\n"
            f"Version: {version}+rs\n"
            "Summary: Stands in for Flask-Caching where flask-caching-rs is used\n"
            "Requires-Dist: flask-caching-rs\n"
        ),
        f"{stem}.dist-info/WHEEL": (
            "Wheel-Version: 1.0\n"
            "Generator: flask_caching.standin\n"
            "Root-Is-Purelib: true\n"
            "Tag: py3-none-any\n"
        ),
    }
    record = f"{stem}.dist-info/RECORD"
    files[record] = "".join(_record_line(n, t) for n, t in files.items()) + f"{record},,\n"

    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _TIMESTAMP), text)
    return wheel


def _record_line(name: str, text: str) -> str:
    data = text.encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, by default that of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m flask_caching.standin",
        description="Write a wheel that satisfies requirements for Flask-Caching.",
    )
    parser.add_argument("--version", default=RELEASE, help="default: %(default)s")
    parser.add_argument("--output", default=Path(), type=Path, help="a folder; default: this one")
    options = parser.parse_args(arguments)
    try:
        print(write(options.output, options.version))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
