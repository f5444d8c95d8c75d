"""What the buttons do: the same to both sides at the same time, by real requests."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from laboratory.load import Answer, Load, request
from laboratory.processes import CacheServer

VISITORS = 50


class Experiments:
    """The buttons.

    :param loads: both sides'.
    :param server: the cache server; None: there is none, and no buttons for it.
    """

    def __init__(self, loads: Sequence[Load], server: CacheServer | None) -> None:
        self._loads = loads
        self._server = server
        # What visitors wait for can be ended: who starts the server again waits for none of them.
        self._server_lock, self._visitors_lock = threading.Lock(), threading.Lock()
        self.buttons: dict[str, Callable[[], list[str]]] = {
            "visitors": self.visitors,
            "deletion": self.deletion,
            "worker": self.worker,
        }
        if server is not None:
            self.buttons |= {"stop": self.stop, "freeze": self.freeze}

    def press(self, button: str) -> list[str] | None:
        """What came of it, a sentence for each side; None: there is no such button."""
        experiment = self.buttons.get(button)
        if experiment is None:
            return None
        is_of_server = button in ("stop", "freeze")
        with self._server_lock if is_of_server else self._visitors_lock:
            return experiment()

    def _both(self, ask: Callable[[Load], str]) -> list[str]:
        with ThreadPoolExecutor(len(self._loads)) as threads:
            return list(threads.map(ask, self._loads))

    def stop(self) -> list[str]:
        """Stop the cache server, or start it again."""
        assert self._server is not None
        self._server.stop_or_start()
        return [f"The cache server is {self._server.state}."] * 2

    def freeze(self) -> list[str]:
        """Freeze the cache server, or let it go on."""
        assert self._server is not None
        self._server.freeze_or_thaw()
        return [f"The cache server is {self._server.state}."] * 2

    def worker(self) -> list[str]:
        """One worker more on each side."""
        return [
            f"{load.side.workers} workers from now on."
            if load.side.add_worker()
            else f"{load.side.workers} workers are as many as there can be."
            for load in self._loads
        ]

    def visitors(self) -> list[str]:
        """Many ask at once for a page that is not cached and takes a second."""
        path = f"/cold/{secrets.token_hex(4)}"

        def ask(load: Load) -> str:
            with ThreadPoolExecutor(VISITORS) as threads:
                answers = list(threads.map(lambda _: _asked(load, path, 60.0), range(VISITORS)))
            good = [answer for answer in answers if answer.status == 200]
            if not good:
                return "Nobody was answered within a minute."
            computed = sum(answer.computed for answer in good)
            slowest = max(answer.seconds for answer in good)
            return (
                f"{len(good)} visitors were answered, the last after {slowest:.1f} s. "
                f"The page was computed {_times(computed)}."
            )

        return self._both(ask)

    def deletion(self) -> list[str]:
        """Change a price, and delete what is cached of it, while it is being computed."""
        article = secrets.token_hex(4)

        def ask(load: Load) -> str:
            with ThreadPoolExecutor(1) as threads:
                early = threads.submit(_asked, load, f"/offers/{article}")
                time.sleep(0.4)
                changed = _asked(load, f"/offers/{article}/20", method="POST")
                early.result()
            later = _asked(load, f"/offers/{article}")
            if 200 not in (changed.status, later.status):
                return "No answer."
            if later.body == "20":
                return "The price went from 10 to 20; visitors see 20."
            return f"The price went from 10 to 20; visitors still see {later.body}, for a minute."

        return self._both(ask)


def _asked(load: Load, path: str, patience: float = 20.0, method: str = "GET") -> Answer:
    answer = request(load.side, path, method, patience)
    load.note(answer)
    return answer


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
