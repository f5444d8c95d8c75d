"""``python -m laboratory --reference PYTHON``: one application on two packages, under one load."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gallery.server import listening, serving

from laboratory.load import Load
from laboratory.page import make_page, served
from laboratory.processes import CacheServer, Side


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m laboratory")
    parser.add_argument("--port", type=int, default=8000, help="of the page; 0: a free one")
    parser.add_argument(
        "--reference",
        metavar="PYTHON",
        required=True,
        help="the interpreter that has Flask-Caching",
    )
    options = parser.parse_args()
    if shutil.which(options.reference) is None:
        parser.error(f"argument --reference: {options.reference} is no program")
    # A shell lets what it runs in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # The terminal was closed; with nohup it may be.
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(0))
    try:
        with laboratory(options.port, options.reference) as (address, gallery):
            print(f"The gallery is open at {gallery}")
            print(f"The dashboard is open at {address}/dashboard")
            print(f"The laboratory is open at {address} (Ctrl-C closes it)", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("\nClosed.")


@contextmanager
def laboratory(port: int, reference: str) -> Iterator[tuple[str, str]]:
    """Everything that there is, while the block runs.

    :param reference: the interpreter that has Flask-Caching.
    :returns: the addresses of the page and of the gallery.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(listening(port))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="laboratory-")))
        server = None
        if CacheServer.is_installed():
            server = CacheServer(folder)
            stack.callback(server.end)
        else:
            print(
                "redis-server is not installed: the cache is files, and there are no buttons that "
                "stop or freeze a server"
            )
        interpreters = {
            ("theirs", "Flask-Caching 2.5.1"): reference,
            ("ours", "flask-caching-rs"): sys.executable,
        }
        sides = []
        for (name, title), python in interpreters.items():
            sides.append(Side(name, title, python, folder, server))
            stack.callback(sides[-1].end)
        gallery, _ = stack.enter_context(serving())
        for side in sides:
            side.wait()
        loads = [Load(side, seed=1) for side in sides]
        stack.enter_context(served(make_page(loads, server, gallery), listener))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", gallery


if __name__ == "__main__":
    main()
