"""Servers that the tests start: on loopback, on ports of their own, ended by their process id."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

#: Seconds that a server may take to start, or a group of them to agree.
PATIENCE = 60.0


def program(name: str) -> str:
    """The path of a server program; the test is skipped where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on PATH; tools/support/install-system installs it")
    return path


#: The first port that is given; so many are claimed at once, as each claim costs an open file.
_FIRST, _BLOCK = 10_000, 64
#: What keeps the ports of this process its own, until it ends, however it ends.
_claims: list[socket.socket] = []
#: The ports that it has not given yet, and the process they belong to.
_left: tuple[int, list[int]] = (0, [])


def free_port() -> int:
    """A TCP port that nobody listens on, and that stays free until a server is started on it.

    It is none of those that the system gives to connections: one of them could be the port of a
    client by the time the server is started, or started again. Nor does another test process get
    it, though nobody listens there yet.
    """
    global _left
    while True:
        owner, ports = _left
        if owner != os.getpid() or not ports:
            _left = os.getpid(), _claimed()
            continue
        port = ports.pop()
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def _claimed() -> list[int]:
    """Ports that no other test process is given."""
    first_of_connections = int(
        Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]
    )
    blocks = range(_FIRST, max(first_of_connections, 20_000) - _BLOCK, _BLOCK)
    while True:
        first = random.SystemRandom().choice(blocks)  # not as a test may have seeded `random`
        with contextlib.suppress(OSError):
            _claims.append(_claim(first))
            return list(range(first, first + _BLOCK))


def _claim(port: int) -> socket.socket:
    """Reserve a port and those beside it, by a name in the abstract namespace of unix sockets.

    :raises OSError: where another process, or this one, has them.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0flask-caching-test-ports-{(port - _FIRST) // _BLOCK}")
    except OSError:
        claim.close()
        raise
    return claim


def wait_until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Poll until ``condition`` is true and raises nothing of the network's."""
    deadline, pause = time.monotonic() + patience, 0.001
    while True:
        with contextlib.suppress(OSError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


def stop(pid: int) -> None:
    """Pause a process of somebody else's, and return when none of its threads runs any more."""
    os.kill(pid, signal.SIGSTOP)
    states = [path / "stat" for path in Path(f"/proc/{pid}/task").iterdir()]
    wait_until(
        lambda: all(state.read_text().rpartition(")")[2].split()[0] == "T" for state in states),
        f"process {pid} to stop",
    )


class Server:
    """One server process, which can be started, paused, killed and started again.

    :param command: what to run.
    :param folder: where it runs; its output is in ``log`` there.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        self.command = [str(word) for word in command]
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def is_ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        wait_until(self._is_up, f"{self.command[0]} (log in {self.folder})")

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        return self.is_ready()

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        # Its threads go on until all of them have seen the signal.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
