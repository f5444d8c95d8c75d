"""A process that answers requests, says so, and lives until it is killed: ``CONFIG REQUESTS``."""

from __future__ import annotations

import json
import sys

from counting_app import make_app

if __name__ == "__main__":
    client = make_app(json.loads(sys.argv[1])).test_client()
    for _ in range(int(sys.argv[2])):
        client.get("/")
    print("ready", flush=True)
    sys.stdin.read()
