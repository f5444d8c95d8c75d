"""Where the processes of the gallery keep what they share."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

#: The environment variable that names it, for all workers of a server.
VARIABLE = "GALLERY_FOLDER"


def folder() -> Path:
    """That of the server; without one, a new one for this process."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix="gallery-")
        atexit.register(shutil.rmtree, os.environ[VARIABLE], ignore_errors=True)
    return Path(os.environ[VARIABLE])
