"""``python -m gallery``: take the tour, or leave the server running for a browser."""

from __future__ import annotations

import argparse
import sys

from gallery import tour
from gallery.server import THREADS, serving


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m gallery")
    parser.add_argument("--serve", metavar="PORT", type=int, help="serve until interrupted")
    port = parser.parse_args().serve
    with serving(port or 0) as (address, server):
        if port is not None:
            print(f"The gallery is open at {address} (Ctrl-C closes it)", flush=True)
            try:
                sys.exit(server.wait())
            except KeyboardInterrupt:
                print("\nClosed.")
                return
        print(f"gunicorn with {THREADS} threads, SimpleCache, {address}\n")
        wrong = tour.run(address)
    if wrong:
        sys.exit("\n".join(["", "Not as it should be:", *wrong]))


if __name__ == "__main__":
    main()
