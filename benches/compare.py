"""How does this package compare with Flask-Caching? ``make bench``, ``make bench-growth``.

Two worker processes, one for each package and both pinned to one core, take turns; the table shows
medians. Times on a busy machine are worth little, ratios are worth more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from question import COMPARISON, GROWTH, WITHOUT, Question, load
from stores.bench_memcached import PORT as MEMCACHED_PORT
from stores.bench_redis import PORT as REDIS_PORT

HERE = Path(__file__).parent
ROUNDS = 11
ROUND_SECONDS = 0.04


class Worker:
    """One of the two processes."""

    def __init__(self, python: str, cores: str) -> None:
        self._process = subprocess.Popen(
            [python, str(HERE / "worker.py"), cores],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        """Send an order and wait for its answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the worker ended at {order}")
        reply = json.loads(line)
        assert isinstance(reply, dict)
        return reply

    def has(self, module: str) -> bool:
        """Whether it can import a module."""
        return bool(self.ask(do="has", module=module)["has"])

    def forget(self) -> None:
        """Let go of what the last question has built."""
        self.ask(do="forget")

    def time(self, question: str, peer: str | None, number: int) -> float:
        """Seconds for ``number`` runs."""
        reply = self.ask(do="time", question=question, peer=peer, number=number)
        return float(reply["seconds"])

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=30)


@dataclass(frozen=True)
class Contender:
    """Who is asked: a worker, and there the package under test or a peer of it."""

    worker: Worker
    peer: str | None = None

    def micros(self, question: Question, number: int) -> float:
        """Microseconds for what is asked, over ``number`` runs of the statement."""
        seconds = self.worker.time(question.text, self.peer, number)
        return seconds / number / question.runs * 1e6

    def calibrated(self, question: str) -> int:
        """How many runs fill a round."""
        number = 1
        while (seconds := self.worker.time(question, self.peer, number)) < ROUND_SECONDS / 4:
            number *= 4
        return max(1, round(number * ROUND_SECONDS / seconds))


@dataclass(frozen=True)
class Row:
    """An answer: microseconds, and whether the target is met."""

    question: str
    ours_us: float
    theirs_us: float
    peers_us: dict[str, float]
    ratio: float
    target: str
    met: str


def medians(question: Question, contenders: list[Contender], smoke: bool) -> list[float]:
    """The median microseconds of each contender, over rounds in which all of them take turns."""
    numbers = [1 if smoke else c.calibrated(question.text) for c in contenders]
    samples: list[list[float]] = [[] for _ in contenders]
    order = list(range(len(contenders)))
    for _ in range(1 if smoke else ROUNDS):
        for i in order:
            samples[i].append(contenders[i].micros(question, numbers[i]))
        order.reverse()  # so that a drift of the machine's speed meets all alike
    return [statistics.median(sample) for sample in samples]


def row(question: Question, times: list[float], earlier: list[Row]) -> Row:
    """Compare with the target: a ratio, a number of µs, or the time of something else.

    :param times: ours, theirs, the peers', and ours and theirs without what is asked about.
    """
    ours, theirs = times[:2]
    if question.without is not None:
        *times, ours_without, theirs_without = times
        ours, theirs = ours - ours_without, theirs - theirs_without
    peers = dict(zip(question.peers, times[2:], strict=True))
    wanted: list[str] = []
    met: list[bool] = []
    if question.ratio is not None:
        wanted.append(f"{question.ratio:g}x")
        met.append(theirs / ours >= question.ratio)
    if question.micros is not None:
        base = peers[question.baseline] if question.baseline else 0.0
        wanted.append(f"{question.baseline} + " * bool(base) + f"{question.micros:g} µs")
        met.append(ours <= base + question.micros)
    if question.at_most_twice is not None:
        limits = [2 * r.ours_us for r in earlier if r.question == question.at_most_twice]
        wanted.append("2x that of 1,000")
        met.append(all(ours <= limit for limit in limits))
    word = "" if not met else "yes" if all(met) else "ratio" if met[0] and met[1:] else "no"
    return Row(question.text, ours, theirs, peers, theirs / ours, ", ".join(wanted), word)


def significant(number: float) -> str:
    """Three digits that mean something."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


LINE = "{:<42} {:>9} {:>9} {:>8}   {:<21} {:<5} {}"

HEADINGS = ("question", "ours", "theirs", "ratio", "target", "met", "others")


def print_row(row: Row) -> None:
    """One line of the table."""
    peers = ", ".join(f"{name} {significant(us)}" for name, us in row.peers_us.items())
    numbers = (significant(row.ours_us), significant(row.theirs_us), f"{row.ratio:.1f}x")
    print(LINE.format(row.question, *numbers, row.target, row.met, peers).rstrip(), flush=True)


#: What Flask-Caching talks to the servers with.
CLIENTS = {REDIS_PORT: "redis", MEMCACHED_PORT: "pylibmc"}

#: What to run for the questions that need the variable; ``{}`` stands for the port.
SERVERS = {
    REDIS_PORT: ("redis-server", "--port", "{}", "--bind", "127.0.0.1", "--save", ""),
    MEMCACHED_PORT: ("memcached", "-p", "{}", "-l", "127.0.0.1", "-U", "0", "-u", "root"),
}


@contextmanager
def server(name: str, *options: str) -> Iterator[int | None]:
    """The port of a server that runs while the block does; None where none is installed."""
    program = shutil.which(name)
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [program, *(option.format(port) for option in options)]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with socket.socket() as client:
                    if client.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=10)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, help="an interpreter with this package")
    parser.add_argument("--theirs", required=True, help="an interpreter with Flask-Caching")
    parser.add_argument("--growth", action="store_true", help="ask how cost grows")
    parser.add_argument("--json", type=Path, help="write the table to this file as well")
    parser.add_argument("--only", default="", help="ask the questions that contain this text")
    parser.add_argument("--smoke", action="store_true", help="run each statement once")
    return parser.parse_args()


def ask(question: Question, ours: Worker, theirs: Worker, smoke: bool, earlier: list[Row]) -> Row:
    """Time one question and let go of what it has built."""
    contenders = [Contender(ours), Contender(theirs)]
    for peer in question.peers:
        contenders.append(Contender(ours if peer == question.baseline else theirs, peer))
    if question.without is not None:
        contenders += [Contender(ours, WITHOUT), Contender(theirs, WITHOUT)]
    times = medians(question, contenders, smoke)
    ours.forget()
    theirs.forget()
    answer = row(question, times, earlier)
    return replace(answer, met="") if smoke else answer  # one run proves nothing


def lacks(needed: str, theirs: Worker) -> str | None:
    """What questions with such a need are missing: the server, or Flask-Caching's client."""
    if needed not in os.environ:
        return SERVERS[needed][0]
    return None if theirs.has(CLIENTS[needed]) else CLIENTS[needed]


def main() -> None:
    """Ask every question and print the table."""
    options = parse()
    cores = sorted(os.sched_getaffinity(0))
    # Threads need more than one core; everything else is quieter on one.
    pinned = ",".join(map(str, cores if options.growth else cores[-1:]))
    questions = [
        question
        for question in load(GROWTH if options.growth else COMPARISON)
        if options.only in question.text
    ]
    rows: list[Row] = []
    with ExitStack() as stack:
        for variable in sorted({question.needs for question in questions if question.needs}):
            port = stack.enter_context(server(*SERVERS[variable]))
            if port is not None:
                os.environ[variable] = str(port)
        ours = stack.enter_context(Worker(options.ours, pinned))
        theirs = stack.enter_context(Worker(options.theirs, pinned))
        names = [worker.ask(do="name")["package"] for worker in (ours, theirs)]
        print(f"{names[0]} and {names[1]}, CPython {platform.python_version()}, µs\n")
        print(LINE.format(*HEADINGS))
        for question in questions:
            if question.needs and (missing := lacks(question.needs, theirs)):
                print(f"{question.text}: not asked, {missing} is not installed")
                continue
            rows.append(ask(question, ours, theirs, options.smoke, rows))
            print_row(rows[-1])
        weighed = (ours, theirs) if options.growth else ()
        weights = [worker.ask(do="weigh")["bytes"] for worker in weighed]
    if weights:
        print("\nbytes an entry, key and store: {:.0f}, theirs {:.0f}".format(*weights))
    if options.json:
        report = {
            "ours": names[0],
            "theirs": names[1],
            "python": sys.version,
            "machine": platform.platform(),
            "rounds": ROUNDS,
            "bytes_per_entry": weights,
            "questions": [asdict(found) for found in rows],
        }
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
