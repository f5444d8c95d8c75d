"""A process of Flask-Caching as published, which writes what it is told.

``near_writer.py PORT PREFIX``: of each line ``key number`` on the standard input it says ``True``
where it has written it. Run by path under another interpreter, so it imports nothing of ours.
"""

from __future__ import annotations

import sys

from flask import Flask
from flask_caching import Cache


def main(port: int, prefix: str) -> None:
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_PORT": port,
        "CACHE_KEY_PREFIX": prefix,
        "CACHE_OPTIONS": {"socket_timeout": 0.2},
    }
    cache = Cache(Flask("near"), config=config)
    for line in sys.stdin:
        key, number = line.split()
        try:
            print(bool(cache.set(key, int(number))), flush=True)
        except Exception:
            print(False, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
