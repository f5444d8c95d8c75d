"""The processes of the laboratory: gunicorn of both sides, the cache server. All end with it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gallery.server import end_with_parent

WORKERS = 2
MOST_WORKERS = 8
THREADS = 8
PATIENCE = 30.0


def free_port() -> int:
    """A port that nobody listens on at present."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


#: Starts the processes: they end when the thread that has started them does, which this one does
#: with the program.
_starter = ThreadPoolExecutor(1)


class Process:
    """A process that this program has started, in a session of its own: Ctrl-C is not for it."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self._process = _starter.submit(
                subprocess.Popen,
                command,
                cwd=Path(__file__).parent.parent,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
            ).result()

    def wait_for(self, port: int) -> None:
        """Return when it listens.

        :raises SystemExit: it has ended, or not begun in time.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise SystemExit(f"{self._process.args!r} does not listen: {self.log.read_text()[-2000:]}")

    def has_ended(self) -> bool:
        """Whether it has, for whatever reason."""
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def end(self, patience: float = 3.0) -> None:
        """End it, and what it has started, at last by force."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class CacheServer:
    """The Redis server of both sides, where ``redis-server`` is installed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._is_frozen = False
        self._folder = folder
        self._process = self._started()

    @staticmethod
    def is_installed() -> bool:
        return shutil.which("redis-server") is not None

    @property
    def state(self) -> str:
        """What it is: ``running``, ``frozen`` or ``stopped``, whoever has stopped it."""
        if self._process.has_ended():
            return "stopped"
        return "frozen" if self._is_frozen else "running"

    def _started(self) -> Process:
        options = f"--port {self.port} --bind 127.0.0.1 --appendonly no --maxmemory 200mb".split()
        process = Process(["redis-server", *options, "--save", ""], self._folder, {})
        process.wait_for(self.port)
        return process

    def stop_or_start(self) -> None:
        """Stop it where it runs, start it where it does not."""
        if self.state == "stopped":
            self._process = self._started()
        else:
            self._process.end()
        self._is_frozen = False

    def freeze_or_thaw(self) -> None:
        """Freeze it where it runs: its connections stay, and nobody answers."""
        if self.state == "stopped":
            self.stop_or_start()
        self._process.send(signal.SIGCONT if self._is_frozen else signal.SIGSTOP)
        self._is_frozen = not self._is_frozen

    def end(self) -> None:
        self._process.end()


class Side:
    """The application on one of the packages, under gunicorn.

    :param name: of the side, in addresses and keys.
    :param title: what people call its package.
    :param python: the interpreter that has it.
    :param folder: what it may write to.
    :param server: the cache server; None: files are the cache.
    """

    def __init__(
        self, name: str, title: str, python: str, folder: Path, server: CacheServer | None
    ) -> None:
        self.name, self.title = name, title
        self.port = free_port()
        self.workers = WORKERS
        (folder / name).mkdir()
        environment = {"LABORATORY_FOLDER": str(folder / name)}
        if server is not None:
            environment["LABORATORY_REDIS_PORT"] = str(server.port)
        options = f"--bind 127.0.0.1:{self.port} --workers {WORKERS} --threads {THREADS}"
        # Each request finds a worker that has time: no connection is kept.
        options += " --keep-alive 0 --log-level warning --graceful-timeout 1"
        self._process = Process(
            [python, "-m", "gunicorn", "laboratory.shop:app", *options.split()],
            folder / name,
            environment,
        )

    def wait(self) -> None:
        """Return when it listens."""
        self._process.wait_for(self.port)

    def add_worker(self) -> bool:
        """One worker process more, as gunicorn adds it when it is told to; whether there may be."""
        if self.workers == MOST_WORKERS:
            return False
        self._process.send(signal.SIGTTIN)
        self.workers += 1
        return True

    def end(self) -> None:
        self._process.end()
