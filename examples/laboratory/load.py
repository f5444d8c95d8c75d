"""The load: the same for both sides, and what came of it."""

from __future__ import annotations

import http.client
import random
import statistics
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from laboratory.processes import Side

#: Requests a second for each side, who sends them, and how long each has patience.
RATE = 50
SENDERS = 24
PATIENCE = 5.0
PRODUCTS = 120
#: Seconds that figures are about: how many were answered, and how long that took.
WINDOW = 2.0
LONG_WINDOW = 5.0
#: Seconds of the steady load that the log has room for.
LOGGED = 120


@dataclass(frozen=True)
class Answer:
    """One answer, or its absence.

    :param at: when it came, on the monotonic clock; ``clock`` is the time of day.
    :param status: of HTTP; 0: none came.
    :param computed: the queries that it took.
    """

    at: float
    clock: str
    method: str
    path: str
    status: int
    seconds: float
    computed: int
    worker: str
    body: str

    def line(self) -> str:
        """It as a line of the log."""
        what = f"{self.status}" if self.status else "no answer"
        how = "" if not self.status else f"{self.computed} computed" if self.computed else "cached"
        return (
            f"{self.clock}  {self.method:<4} {self.path:<28} {what:<9} "
            f"{self.seconds * 1000:8.1f} ms  {how:<10}  worker {self.worker}"
        )


def request(side: Side, path: str, method: str = "GET", patience: float = PATIENCE) -> Answer:
    """Send one request on a connection of its own."""
    start = time.monotonic()
    status, computed, worker, body = 0, 0, "-", ""
    connection = http.client.HTTPConnection("127.0.0.1", side.port, timeout=patience)
    try:
        connection.request(method, path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        status = response.status
        computed = int(response.headers.get("X-Computed", 0))
        worker = response.headers.get("X-Worker", "-")
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    now = time.monotonic()
    clock = time.strftime("%H:%M:%S")
    return Answer(now, clock, method, path, status, now - start, computed, worker, body)


class Load:
    """A steady stream of requests to one side.

    :param side: where they go.
    :param seed: of the products that are asked for; the same for both sides.
    """

    def __init__(self, side: Side, seed: int) -> None:
        self.side = side
        self._answers: deque[Answer] = deque(maxlen=RATE * LOGGED)
        self._lock = threading.Lock()
        self._waiting: dict[int, float] = {}
        self._products = random.Random(seed)
        self._start = time.monotonic()
        self._sent = 0
        for _ in range(SENDERS):
            threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        while True:
            with self._lock:
                due = self._start + self._sent / RATE
                late = time.monotonic() - due
                if late > 1.0:
                    # Everybody was waiting: visitors who could not even ask are not made up for.
                    self._start += late
                    due += late
                self._sent += 1
                product = min(int(self._products.expovariate(1 / 25)), PRODUCTS - 1)
            time.sleep(max(0.0, due - time.monotonic()))
            sender = threading.get_ident()
            self._waiting[sender] = time.monotonic()
            self.note(request(self.side, f"/products/{product}"))
            del self._waiting[sender]

    def note(self, answer: Answer) -> None:
        """Put an answer into the log."""
        with self._lock:
            self._answers.append(answer)

    def log(self) -> list[str]:
        """The requests of the last two minutes, newest first."""
        with self._lock:
            answers = list(self._answers)
        return [answer.line() for answer in reversed(answers)]

    def figures(self) -> dict[str, Any]:
        """What came of the last seconds; who still waits for an answer counts as slow by now."""
        now = time.monotonic()
        with self._lock:
            answers = [a for a in self._answers if a.path.startswith("/products/")]
        recent = [answer for answer in answers if now - answer.at < WINDOW]
        good = [answer for answer in recent if answer.status == 200]
        longer = [answer for answer in answers if now - answer.at < LONG_WINDOW]
        times = [answer.seconds for answer in longer]
        times += [now - start for start in list(self._waiting.values()) if now - start > 1.0]
        times.sort()
        return {
            "answered": len(good) / WINDOW,
            "failed": sum(answer.status != 200 for answer in longer) / LONG_WINDOW,
            "hit_ratio": statistics.mean(not answer.computed for answer in good) if good else None,
            "p99": times[min(len(times) - 1, int(len(times) * 0.99))] if times else None,
            "workers": self.side.workers,
        }
