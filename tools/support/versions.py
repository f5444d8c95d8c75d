"""Print the versions that a test run is about."""

import platform
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version

try:
    versions = f"Flask {version('flask')}, Werkzeug {version('werkzeug')}"
except PackageNotFoundError as error:
    sys.exit(f"{error.name} is not installed for {sys.executable}")
free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
print(f"CPython {platform.python_version()}{' free-threaded' * free_threaded}, {versions}")
