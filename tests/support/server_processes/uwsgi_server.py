"""An application under uWSGI."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from servers import Server

__all__ = ["Uwsgi"]

TESTS = Path(__file__).parents[2]


class Uwsgi(Server):
    """A uWSGI that runs the ``app`` of a module.

    :param folder: where it runs.
    :param application: the path of the module, which finds what tests find.
    :param options: uWSGI's own, among them where it listens.
    """

    def __init__(self, folder: Path, application: Path, *options: Any) -> None:
        program = Path(sysconfig.get_path("scripts")) / "uwsgi"
        found = program if program.exists() else shutil.which("uwsgi")
        if found is None:
            pytest.skip("uwsgi is not installed")
        helpers = [path for path in sys.path if Path(path).is_relative_to(TESTS)]
        command = [
            *(found, *options, "--master", "--need-app", "--virtualenv", sys.prefix),
            *(f"--pythonpath={path}" for path in (application.parent, *helpers)),
            *("--wsgi-file", application, "--callable", "app"),
        ]
        super().__init__(command, folder)

    def kill(self) -> None:
        if self.process is not None:
            # SIGINT ends the workers too; SIGTERM would reload them.
            self.process.send_signal(2)
            self.process.wait(60)
            self.process = None
