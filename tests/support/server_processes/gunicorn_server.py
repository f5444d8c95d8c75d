"""An application under gunicorn, in as many processes as its options say."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers import Server, free_port

__all__ = ["Gunicorn", "serving"]

#: Seconds that it may take to end.
_PATIENCE = 60.0
#: Makes its processes write the stacks of their threads; gunicorn has no other use of it.
_SHOW_STACKS = signal.SIGXCPU
_RUN = f"""
import faulthandler, sys
from gunicorn.app.wsgiapp import run
faulthandler.register({_SHOW_STACKS:d})
sys.argv[0] = "gunicorn"
run()
"""


class Gunicorn(Server):
    """A gunicorn that serves ``module:app`` of a directory.

    :param folder: where it runs.
    :param application: the path of the module; it answers ``/pid``.
    :param options: gunicorn's own.
    """

    def __init__(self, folder: Path, application: Path, *options: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-c", _RUN, "--bind", f"127.0.0.1:{self.port}"]
        # All that one user runs would share a control socket.
        # With gevent it waits, now and then, for connections that are over.
        command += ["--no-control-socket", "--graceful-timeout", "5"]
        command += ["--chdir", str(application.parent)]
        command += [*options, f"{application.stem}:app"]
        super().__init__(command, folder)

    def is_ready(self) -> bool:
        return self.ask("/pid").split()[1] != ""

    def ask(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            assert response.status == 200, body + (self.folder / "log").read_text()[-4000:]
            return body
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """The ids of its worker processes."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                raise AssertionError(self._what_it_does()) from None
            self.process = None

    def _what_it_does(self) -> str:
        """Where the threads of its processes are; they are ended."""
        assert self.process is not None
        pids = self.workers()
        for pid in (*pids, self.process.pid):
            os.kill(pid, _SHOW_STACKS)
        time.sleep(1)  # Nothing says when they have written it.
        self.kill()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return f"it does not end: {(self.folder / 'log').read_text()}"


@contextmanager
def serving(folder: Path, application: Path, *options: str) -> Iterator[Gunicorn]:
    """The application, served."""
    server = Gunicorn(folder, application, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
