"""The application under gunicorn, on a socket that this process has bound."""

from __future__ import annotations

import ctypes
import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gallery.folder import VARIABLE

WORKERS = 2
THREADS = 4
_PR_SET_PDEATHSIG = 1
PATIENCE = 30.0


def check_installed() -> None:
    """Say what is missing, where it is.

    :raises SystemExit: with a sentence for each.
    """
    missing = {
        "gunicorn": "the gallery is served by gunicorn: pip install gunicorn",
        "flask_caching": "the gallery shows flask-caching-rs: pip install flask-caching-rs",
    }
    said = [why for module, why in missing.items() if importlib.util.find_spec(module) is None]
    if said:
        raise SystemExit("\n".join(said))


@contextmanager
def serving(port: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve on the loopback interface while the block runs.

    Several worker processes with several threads each: SharedCache is one cache for all of them.

    :param port: 0 takes a free one.
    :returns: the address, ``http://127.0.0.1:<port>``, and the server's process.
    :raises SystemExit: where it cannot be served, with the reason.
    """
    check_installed()
    with listening(port) as listener, tempfile.TemporaryDirectory(prefix="gallery-") as folder:
        # Inherited by accepted connections: gunicorn sends head and body apart, and Nagle would
        # hold the body back for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        descriptor = listener.fileno()
        options = f"--bind fd://{descriptor} --workers {WORKERS} --threads {THREADS}".split()
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "gallery.app:app", "--log-level=warning", *options],
            env={**os.environ, VARIABLE: folder},
            cwd=Path(__file__).parent.parent,
            pass_fds=[descriptor],
            start_new_session=True,  # Ctrl-C is for this process; it ends the server
            preexec_fn=end_with_parent,
        )
        try:
            _wait_for(server, listener.getsockname()[1])
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def end_with_parent() -> None:
    """In a process that is about to run: end with the thread that has started it, even where that
    is killed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def listening(port: int) -> socket.socket:
    """A socket that listens on the loopback interface.

    :param port: 0 takes a free one.
    :raises SystemExit: nobody can listen there.
    """
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise SystemExit(f"port {port} cannot be served: {error}") from None


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    """Return when it answers; the socket accepts connections before there is anybody to answer."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"gunicorn ended with status {server.returncode}, see above")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        with suppress(OSError):
            connection.request("GET", "/painted")
            connection.getresponse()
            connection.close()
            return
        connection.close()
    raise SystemExit(f"gunicorn has not answered within {PATIENCE:g} s")
