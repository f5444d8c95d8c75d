"""Memcached servers for the tests: on TCP, on a unix socket, with SASL."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from servers import Server, free_port, program

__all__ = ["MemcachedServer", "SaslServer", "UnixServer"]


class MemcachedServer(Server):
    """A ``memcached`` on a port of its own.

    :param folder: where it runs.
    :param options: more of its options, as on its command line.
    :param host: the loopback address it listens on.
    """

    def __init__(self, folder: Path, *options: str, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = free_port()
        super().__init__(_command("-l", host, "-p", str(self.port), *options), folder)

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=30)

    def is_ready(self) -> bool:
        with self.connect():
            return True

    def kill(self) -> None:
        if self.process is not None:
            # A paused one does not notice that it is being killed before it goes on.
            self.resume()
        super().kill()

    def ask(self, request: bytes, end: bytes | tuple[bytes, ...] = b"\r\n") -> bytes:
        """Send ``request`` as it is and read up to ``end``, or to one of them."""
        with self.connect() as connection:
            connection.sendall(request)
            answer = b""
            while not answer.endswith(end):
                received = connection.recv(1 << 16)
                if not received:
                    break
                answer += received
            return answer

    def raw(self, key: bytes) -> tuple[bytes, int] | None:
        """What lies under ``key``: its bytes and its flags."""
        answer = self.ask(b"get " + key + b"\r\n", b"END\r\n")
        if answer == b"END\r\n":
            return None
        head, _, rest = answer.partition(b"\r\n")
        _, _, flags, length = head.split()
        return rest[: int(length)], int(flags)

    def put(self, key: bytes, data: bytes, flags: int = 0) -> None:
        """Store bytes and flags as they are."""
        request = b"set %b %d 0 %d\r\n%b\r\n" % (key, flags, len(data), data)
        assert self.ask(request) == b"STORED\r\n"

    def remaining(self, key: bytes) -> int | None:
        """The seconds that ``key`` has left; -1: for ever."""
        answer = self.ask(b"mg " + key + b" t\r\n")
        return None if answer == b"EN\r\n" else int(answer.strip().removeprefix(b"HD t"))

    def stats(self) -> dict[str, str]:
        lines = self.ask(b"stats\r\n", b"END\r\n").decode().splitlines()
        return dict(line.split(" ", 2)[1:] for line in lines if line.startswith("STAT "))

    def keys(self) -> dict[bytes, int]:
        """All keys, and when they expire (-1: never)."""
        keys: dict[bytes, int] = {}
        # A dump leaves out what the server's own housekeeping holds at the moment, and is refused
        # ("BUSY currently processing crawler request") while that goes on.
        for _ in range(200):
            dump = self.ask(b"lru_crawler metadump all\r\n", (b"END\r\n", b" request\r\n"))
            for line in dump.splitlines():
                if line.startswith(b"key="):
                    key, expires, *_ = line.split()
                    keys[unquote_to_bytes(key[4:])] = int(expires.removeprefix(b"exp="))
            if len(keys) >= int(self.stats()["curr_items"]):
                break
            time.sleep(0.01)
        return keys

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the entries, by taking it off their lifetimes."""
        now = int(self.stats()["time"])
        for key, expires in self.keys().items():
            if expires > 0:
                left = int(expires - now - seconds)
                request = b"touch %b %d\r\n" % (key, left) if left > 0 else b"delete %b\r\n" % key
                self.ask(request)


class UnixServer(MemcachedServer):
    """A ``memcached`` on a unix socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "memcached.sock"
        self.command = _command("-s", str(self.path))

    @property
    def address(self) -> str:
        return str(self.path)

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        try:
            connection.connect(str(self.path))
        except OSError:
            connection.close()
            raise
        return connection


class SaslServer(MemcachedServer):
    """A ``memcached`` that asks for a user name and a password, of a database of its own."""

    username = "me"
    password = "correct horse"

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, "-S", *options)
        folder.mkdir(parents=True, exist_ok=True)
        database = folder / "sasldb2"
        (folder / "memcached.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: plain\n"
            f"sasldb_path: {database}\n"
        )
        subprocess.run(
            [program("saslpasswd2"), "-a", "memcached", "-p", "-c", "-f", database, self.username],
            input=self.password.encode(),
            check=True,
        )

    def start(self) -> None:
        with _environment(SASL_CONF_PATH=str(self.folder)):
            super().start()


def _command(*options: str) -> list[str | Path]:
    return [program("memcached"), "-u", "root", "-U", "0", "-m", "64", *options]


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
