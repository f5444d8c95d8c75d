"""Print the versions that a test run is about."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

try:
    versions = f"Flask {version('flask')}, Werkzeug {version('werkzeug')}"
except PackageNotFoundError as error:
    sys.exit(f"{error.name} is not installed for {sys.executable}")
free_threaded = not getattr(sys, "_is_gil_enabled", lambda: True)()
print(f"CPython {platform.python_version()}{' without a GIL' * free_threaded}, {versions}")
