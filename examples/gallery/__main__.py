"""``python -m gallery``: take the tour, or leave the server running for a browser."""

from __future__ import annotations

import argparse
import sys

from gallery import tour
from gallery.server import THREADS, WORKERS, serving


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m gallery")
    parser.add_argument("--serve", metavar="PORT", type=int, help="serve until interrupted")
    port = parser.parse_args().serve
    try:
        serve(port) if port is not None else show()
    except KeyboardInterrupt:
        print("\nClosed.")
        sys.exit(0 if port is not None else 130)


def serve(port: int) -> None:
    """Leave the server running until it ends or is interrupted."""
    with serving(port) as (address, server):
        dashboard = f"{address}/_cache/"
        print(f"The gallery is open at {address}, its dashboard at {dashboard} (Ctrl-C closes it)")
        sys.stdout.flush()
        sys.exit(server.wait())


def show() -> None:
    """Take the tour, and fail where the cache did not do what it should."""
    with serving() as (address, _):
        print(f"gunicorn with {WORKERS} workers of {THREADS} threads, SharedCache, {address}\n")
        wrong = tour.run(address)
        print(
            f"\nWhat the cache saved was on its dashboard while this ran, {address}/_cache/\n"
            "make serve keeps one open, http://127.0.0.1:8000/dashboard, and shows the application "
            "beside the same on the real Flask-Caching."
        )
    if wrong:
        sys.exit("\n".join(["", "Not as it should be:", *wrong]))


if __name__ == "__main__":
    main()
