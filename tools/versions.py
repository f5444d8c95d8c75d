"""Print the versions that a test run is about."""

import platform
from importlib.metadata import version

print(
    f"CPython {platform.python_version()}, Flask {version('flask')}, Werkzeug {version('werkzeug')}"
)
