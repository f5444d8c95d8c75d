"""Processes under load, deletions, kills, freezes and restarts; and what they must not do."""

from __future__ import annotations

import contextlib
import http.client
import mmap
import os
import random
import signal
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gunicorn_server import Gunicorn
from servers import Server, wait_until

__all__ = ["KEYS", "TTL", "Soak"]

KEYS = 6
KINDS = ("memoized", "cached", "stale", "tagged")
#: Seconds in which a process on a busy machine may come from a version to its lease.
LOOKING = 0.5
#: Of a lease, in seconds; so long and half as long are processes frozen.
TTL = 4.0


#: Kind, key, process, question for a lease, beginning and end.
Computation = tuple[str, int, int, float, float, float]


@dataclass
class Disturbance:
    """What allows a computation beside another one.

    :param begins: when it may have begun to matter.
    :param ends: when it does not any more.
    :param key: which it is about; None: all.
    :param pid: the process it is about; None: all.
    """

    begins: float
    ends: float
    key: int | None = None
    pid: int | None = None


@dataclass
class OlderAnswer:
    """An answer that only somebody may have had whose worker could not ask the server.

    :param least: what was acknowledged before it was asked for.
    """

    kind: str
    key: int
    asked: float
    answered: float
    number: int
    least: int


@dataclass
class Soak:
    """The workers of an application, who asks them, and who disturbs them.

    :param gunicorn: the application.
    :param server: what it caches in, which is restarted.
    :param folder: of the numbers and the log.
    """

    gunicorn: Gunicorn
    server: Server
    folder: Path
    calls: int = 0
    deletions: int = 0
    disturbances: list[Disturbance] = field(default_factory=list)
    #: Answers that are older than what was acknowledged before they were asked for.
    older: list[OlderAnswer] = field(default_factory=list)
    #: When the server was away, and workers may not have noticed that it is back.
    outages: list[Disturbance] = field(default_factory=list)

    def __post_init__(self) -> None:
        with (self.folder / "numbers").open("r+b") as file:
            self._numbers = mmap.mmap(file.fileno(), 0)
        self._acknowledged = [0] * KEYS
        self._locks = [threading.Lock() for _ in range(KEYS)]
        self._killed: dict[int, float] = {}

    def run(self, seconds: float, seed: str) -> None:
        """Let it go on for so long, and check what was seen."""
        end = time.monotonic() + seconds
        acts = [self._ask] * 6 + [self._change] * 2 + [self._disturb]

        def work(number: int) -> None:
            chance = random.Random(f"{seed} {number}")
            while time.monotonic() < end:
                acts[number](chance)

        threads = [
            threading.Thread(target=work, args=(number,), daemon=True)
            for number in range(len(acts))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 90)
        assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
        computed = list(self._computed())
        wrong = [answer for answer in self.older if not self._is_shared(answer, computed)]
        assert not wrong, wrong

    def _is_shared(self, answer: OlderAnswer, computed: list[Computation]) -> bool:
        """Whether the server was away, and the answer is from a computation that was under way."""
        was_away = any(
            outage.begins <= answer.answered and answer.asked <= outage.ends
            for outage in self.outages
        )
        return was_away and any(
            (kind, key) == (answer.kind, answer.key) and begins < answer.asked < ends
            for kind, key, _, _, begins, ends in computed
        )

    def _get(self, path: str) -> str | None:
        """An answer; None where there was none: its worker was killed, or the cache fails."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gunicorn.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if response.status == 200 else None

    def _ask(self, chance: random.Random) -> None:
        key, kind = chance.randrange(KEYS), chance.choice(KINDS)
        least, asked = self._acknowledged[key], time.monotonic()
        answer = self._get(f"/call/{kind}/{key}")
        if answer is not None and int(answer) < least:
            answered = time.monotonic()
            self.older.append(OlderAnswer(kind, key, asked, answered, int(answer), least))
        self.calls += answer is not None

    def _change(self, chance: random.Random) -> None:
        """Change a number, and delete what was computed from it; then nobody finds that."""
        key = chance.randrange(KEYS)
        how = chance.choices(["one", "all", "clear"], [20, 3, 1])[0]
        with self._locks[key]:
            new = self._acknowledged[key] + 1
            while new <= struct.unpack_from("q", self._numbers, 8 * key)[0]:
                new += 1
            # Not `pack_into`, which makes it 0 for a moment.
            self._numbers[8 * key : 8 * key + 8] = struct.pack("q", new)
            begins = time.monotonic()
            done = self._get(f"/forget/{how}/{key}") == "done"
            # One that nobody has heard of may still be under way.
            ends = time.monotonic() + (0 if done else 2 * TTL)
            about = key if how == "one" else None
            self.disturbances.append(Disturbance(begins, ends, about))
            if done:
                self._acknowledged[key] = new
                self.deletions += 1
        time.sleep(chance.random() * 0.1)

    def _disturb(self, chance: random.Random) -> None:
        time.sleep(chance.random())
        worker = chance.choice(self.workers())
        with contextlib.suppress(ProcessLookupError):
            match chance.choices(["freeze", "kill", "restart"], [4, 2, 1])[0]:
                case "freeze":
                    begins = time.monotonic()
                    os.kill(worker, signal.SIGSTOP)
                    time.sleep(chance.choice([0.2, TTL / 2, TTL * 1.5]))
                    os.kill(worker, signal.SIGCONT)
                    frozen = Disturbance(begins, time.monotonic() + 1, pid=worker)
                    self.disturbances.append(frozen)
                case "kill":
                    os.kill(worker, signal.SIGKILL)
                    self._killed[worker] = time.monotonic()
                case "restart":
                    begins = time.monotonic()
                    self.server.kill()
                    time.sleep(chance.random())
                    self.server.start()
                    back = Disturbance(begins, time.monotonic() + 2)
                    self.disturbances.append(back)
                    self.outages.append(back)

    def workers(self) -> list[int]:
        """The processes of the application."""
        wait_until(self.gunicorn.workers, "a worker")
        return self.gunicorn.workers()

    # What must hold afterwards.

    def check_computations(self) -> int:
        """Of what nothing has disturbed, one computed at a time; how many were computed."""
        self._note_failures()
        by_key = defaultdict(list)
        for kind, key, pid, asked, begins, ends in self._computed():
            by_key[kind, key].append((begins, ends, pid, asked))
        for (kind, key), computed in by_key.items():
            computed.sort()
            for at, (begins, ends, pid, asked) in enumerate(computed):
                for other, _, by, asked_by in computed[at + 1 :]:
                    if other >= ends:
                        break
                    # On a busy machine a lease may be lost before its holder begins.
                    assert self._may(key, (pid, by), min(asked, asked_by), other), (
                        f"{kind} {key}: computed by {pid} from {begins} to {ends}, and by {by} "
                        f"from {other}, who asked at {asked} and {asked_by}; last of all came "
                        f"{self._last_before(other)}"
                    )
        return sum(map(len, by_key.values()))

    def _may(self, key: int, pids: tuple[int, int], begins: float, other: float) -> bool:
        """Whether something has come between a lease and the beginning of another computation."""
        return any(
            disturbance.begins <= other
            # What is deleted for all keys are versions: one that was read before is another key.
            and disturbance.ends >= begins - (LOOKING if disturbance.key is None else 0)
            and disturbance.key in (None, key)
            and disturbance.pid in (None, *pids)
            for disturbance in self.disturbances
        )

    def _last_before(self, moment: float) -> list[Disturbance]:
        before = [it for it in self.disturbances if it.begins <= moment]
        return sorted(before, key=lambda it: it.ends)[-5:]

    def _computed(self) -> Iterator[Computation]:
        """Each computation."""
        lines = [line.split() for line in (self.folder / "computed").read_text().splitlines()]
        ends = {words[1]: float(words[2]) for words in lines if words[0] == "ends"}
        for words in lines:
            if words[0] == "begins":
                _, kind, key, pid, name, asked, begins = words
                last = ends.get(name, self._killed.get(int(pid), float(begins)))
                yield kind, int(key), int(pid), float(asked), float(begins), last

    def _note_failures(self) -> None:
        for line in (self.folder / "computed").read_text().splitlines():
            if line.startswith("failed"):
                failed = float(line.split()[2])
                self.disturbances.append(Disturbance(failed - 12, failed + 2))

    def check_leases(self) -> None:
        """None outlives its time to live, whoever was killed."""
        leases = f"/leases/{KEYS}"
        wait_until(lambda: self._get(leases) == "0", "the leases to end", 3 * TTL)

    def check_bounds(self, most_threads: int, most_files: int, most_megabytes: int) -> None:
        """No worker has more than it needs."""
        for _ in range(20):
            answer = self._get("/state")
            assert answer is not None
            _, memory, threads, files = map(int, answer.split())
            assert memory < most_megabytes * 1024, f"{memory} KiB"
            assert threads <= most_threads, f"{threads} threads"
            assert files <= most_files, f"{files} open files"
