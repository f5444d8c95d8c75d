"""Fail unless the application that ``make serve`` leaves running answers a browser."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 180.0


def answer(port: int) -> int | None:
    """The status of the first page; None where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def main() -> None:
    if shutil.which("make") is None:
        sys.exit("make is missing: install it, then run this again")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    # A session of its own, to end what make starts as well.
    serving = subprocess.Popen(
        ["make", "--directory", str(Path(__file__).parents[2]), "serve", f"PORT={port}"],
        start_new_session=True,
        # A shell lets what it runs in the background, as this may be, ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + PATIENCE
    try:
        while (status := answer(port)) is None and time.monotonic() < deadline:
            if serving.poll() is not None:
                sys.exit("make serve ended before it answered, see above")
            time.sleep(0.1)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(serving.pid, signal.SIGINT)  # what Ctrl-C does
        try:
            serving.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(serving.pid, signal.SIGKILL)
            sys.exit(f"make serve did not end within {PATIENCE:g} s of Ctrl-C")
    if status != 200:
        sys.exit(f"make serve answered {status} within {PATIENCE:g} s, not 200")
    print("make serve answers")


if __name__ == "__main__":
    main()
