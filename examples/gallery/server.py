"""The application under gunicorn, on a socket that this process has bound."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

THREADS = 8


@contextmanager
def serving(port: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve on the loopback interface while the block runs.

    One worker process with several threads: SimpleCache lives in the memory of a process.

    :param port: 0 takes a free one.
    :returns: the address, ``http://127.0.0.1:<port>``, and the server's process.
    """
    with socket.create_server(("127.0.0.1", port)) as listener:
        # Inherited by accepted connections: gunicorn sends head and body apart, and Nagle would
        # hold the body back for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        descriptor = listener.fileno()
        options = f"--bind fd://{descriptor} --threads {THREADS} --log-level warning".split()
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "gallery.app:app", *options],
            cwd=Path(__file__).parent.parent,
            pass_fds=[descriptor],
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
        finally:
            server.terminate()
            server.wait(timeout=10)
