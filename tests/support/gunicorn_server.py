"""An application under gunicorn, in as many processes as its options say."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers import Server, free_port

__all__ = ["Gunicorn", "serving"]


class Gunicorn(Server):
    """A gunicorn that serves ``module:app`` of a directory.

    :param folder: where it runs.
    :param application: the path of the module; it answers ``/pid``.
    :param options: gunicorn's own.
    """

    def __init__(self, folder: Path, application: Path, *options: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--chdir", str(application.parent), *options, f"{application.stem}:app"]
        super().__init__(command, folder)

    def is_ready(self) -> bool:
        return self.ask("/pid").split()[1] != ""

    def ask(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            assert response.status == 200, body
            return body
        finally:
            connection.close()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


@contextmanager
def serving(folder: Path, application: Path, *options: str) -> Iterator[Gunicorn]:
    """The application, served."""
    server = Gunicorn(folder, application, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
