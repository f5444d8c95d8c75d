"""Notices what stands in the way of importing this package, and says what to do about it.

One thing is Flask-Caching in the same place. Both distributions own ``flask_caching/``. Whichever
was installed last has overwritten the files that both have, and removing either takes them away.
Neither pip nor uv says a word about it.

Another is a second interpreter in the process, as mod_wsgi makes one for each application. A third
is a free-threaded CPython that was told to do without the GIL, whatever its extensions need.
"""

from __future__ import annotations

import os
import re
import sys
import warnings

__all__ = ["check", "check_gil", "check_interpreter", "refuse_foreign_init"]

# The folder or file in which an installer notes a distribution, by PEP 376 and 427 and by older
# setuptools; a stand-in (see standin.py) has the local version "+rs" and no files.
_METADATA = re.compile(
    r"flask[-_.]caching-(?P<version>[^-]+?)(-py[\d.]+)?\.(dist|egg)-info", re.IGNORECASE
)
_STAND_IN = "+rs"

_own_init_runs = False

_ONE_INTERPRETER = (
    "flask_caching works in one interpreter of a process, and this is another one. Under mod_wsgi "
    "every application has an interpreter of its own: set 'WSGIApplicationGroup %{GLOBAL}' for the "
    "applications that use flask_caching, and give each its own process with WSGIDaemonProcess and "
    "WSGIProcessGroup. Elsewhere, import it in the main interpreter only."
)

_NEEDS_GIL = (
    "flask_caching needs the GIL, which this process was told to leave off. Set neither "
    "PYTHON_GIL=0 nor -X gil=0: importing flask_caching then turns the GIL on by itself."
)

_REPAIR = (
    "Keep one:\n"
    "    pip uninstall -y Flask-Caching\n"
    "    pip install --force-reinstall --no-deps flask-caching-rs\n"
    "Where another dependency asks for Flask-Caching, see 'Switching from Flask-Caching' in the "
    "README of flask-caching-rs."
)


def _installed_version(site_packages: str) -> str | None:
    """The version of the Flask-Caching whose files lie in ``site_packages``, or None.

    A listing of the one folder in which files can collide; asking `importlib.metadata` would read
    every folder of ``sys.path`` and costs a hundred times as much.
    """
    try:
        names = os.listdir(site_packages)
    except OSError:
        return None  # imported from a zip file: nothing can be overwritten there
    for name in names:
        match = _METADATA.fullmatch(name)
        if match and _STAND_IN not in match["version"]:
            return match["version"]
    return None


def check() -> None:
    """Warn where Flask-Caching is installed beside this package, whose files are in use.

    Called first thing by ``flask_caching/__init__.py``, once a process.

    :raises RuntimeWarning: where warnings are errors.
    """
    global _own_init_runs
    _own_init_runs = True
    version = _installed_version(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if version is not None:
        warnings.warn(
            f"flask-caching-rs and Flask-Caching {version} are both installed and overwrite each "
            f"other's files in flask_caching/. {_REPAIR}",
            RuntimeWarning,
            stacklevel=3,
        )


def check_interpreter() -> None:
    """Fail where another interpreter of this process uses the engine already, or this one cannot.

    Called by ``flask_caching/__init__.py`` before anything of the engine is used.

    :raises ImportError: the message says what to set.
    """
    try:
        from ._engine import is_first_interpreter
    except ImportError as error:
        # CPython's own word, in an interpreter that shares nothing with the main one.
        if "subinterpreters" not in str(error):
            raise
        raise ImportError(_ONE_INTERPRETER) from error
    if not is_first_interpreter():
        raise ImportError(_ONE_INTERPRETER)


def check_gil() -> None:
    """Fail where there is no GIL, which the engine counts on.

    A free-threaded CPython turns it on when it loads an extension that does not say it can do
    without, unless it was told to leave it off. Called by ``flask_caching/__init__.py`` after that.

    :raises ImportError: the message says what not to set.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ImportError(_NEEDS_GIL)


def refuse_foreign_init() -> None:
    """Fail where ``flask_caching/__init__.py`` is Flask-Caching's, written over ours.

    Called by a submodule that Flask-Caching's own ``__init__`` imports and cannot overwrite.

    :raises ImportError: the two are mixed and nothing can be relied on.
    """
    if not _own_init_runs:
        raise ImportError(
            "Flask-Caching was installed over flask-caching-rs: the files in flask_caching/ are a "
            f"mixture of both. {_REPAIR}"
        )
