"""Caches with copies nearby, for the tests."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from flask_caching import Cache
from redis_servers import RedisServer
from servers import wait_until

__all__ = ["Nearby", "is_current", "without_hello"]

_prefixes = (f"near{number}:" for number in itertools.count())


def is_current(cache: Cache) -> bool:
    """Whether copies are read; asking begins to keep them."""
    near = cache.health().near
    assert near is not None
    if not near.is_current:
        cache.cache._find("nothing is here")
    return near.is_current


class Nearby:
    """A cache on a Redis server, with copies nearby.

    :param server: the server.
    :param prefix: that of its keys; None: one that no other has.
    :param config: more of its settings.
    """

    def __init__(self, server: RedisServer, prefix: str | None = None, **config: Any) -> None:
        self.prefix = prefix or next(_prefixes)
        self.admin = server.admin
        self.port = server.port
        self.cache = self.other(CACHE_NEAR=True, **config)

    def other(self, **config: Any) -> Cache:
        """Another cache of the same entries, without copies unless its settings say so."""
        settings = {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_PORT": self.port,
            "CACHE_KEY_PREFIX": self.prefix,
        }
        return Cache(Flask("near"), config={**settings, **config})

    def start(self) -> Cache:
        """The cache, when it keeps copies."""
        wait_until(lambda: is_current(self.cache), "copies to be kept")
        return self.cache

    def asked(self, read: Callable[[], Any]) -> int:
        """How often the server was asked for entries while ``read`` was called."""
        before = self._questions()
        read()
        return self._questions() - before

    def settle(self, read: Callable[[], Any]) -> None:
        """Read until the copies answer: of what was written just now is heard a moment later."""
        wait_until(lambda: not self.asked(read), "copies to answer")

    def _questions(self) -> int:
        stats = self.admin.info("commandstats")
        names = ("get", "mget", "exists", "pttl")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)


@contextlib.contextmanager
def without_hello(port: int, hangs_up: bool = False) -> Iterator[int]:
    """A proxy of the server at a port that knows no ``HELLO``, as older ones; its port.

    :param hangs_up: that is all it says to it.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for source, target in ((peer, server), (server, peer)):
                    threading.Thread(
                        target=_hand_on, args=(source, target, hangs_up), daemon=True
                    ).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _hand_on(source: socket.socket, target: socket.socket, hangs_up: bool) -> None:
    with contextlib.suppress(OSError), source, target:
        while data := source.recv(65536):
            if b"HELLO" in data and hangs_up:
                return
            if b"HELLO" in data:
                source.sendall(b"-ERR unknown command 'HELLO'\r\n")
            else:
                target.sendall(data)
