"""``make serve``: the laboratory, here with the package that is installed on both sides."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from servers import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
#: What it is told to end by, and what it is told when its terminal is closed.
ENDING = (signal.SIGTERM, signal.SIGHUP)


class Laboratory:
    """A laboratory that runs.

    :param path: of programs; without ``redis-server`` there is no cache server.
    :param temporary: where it makes its directory, which it leaves where it is killed.
    """

    def __init__(self, path: str, temporary: Path) -> None:
        self.temporary = temporary
        # Whoever started the tests may have them ignore these, as `nohup` does.
        before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "laboratory", "--port", "0", "--reference", sys.executable],
            cwd=EXAMPLES,
            env={**os.environ, "PATH": path, "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for number, handler in before.items():
            signal.signal(number, handler)
        assert self.process.stdout is not None
        self.said = ""
        while "The laboratory is open at " not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line
        self.address = self.said.rpartition("open at ")[2].split()[0]

    def ask(self, path: str, *, press: bool = False, **headers: str) -> str:
        if press:
            headers["X-Laboratory"] = "button"
        request = urllib.request.Request(f"{self.address}/{path}", headers=headers)
        request.method = "POST" if press else "GET"
        with urllib.request.urlopen(request, timeout=60) as response:
            text: str = response.read().decode()
            return text

    def state(self) -> Any:
        return json.loads(self.ask("state"))

    def press(self, button: str) -> list[str]:
        came: list[str] = json.loads(self.ask(f"press/{button}", press=True))["came"]
        return came

    def children(self) -> set[int]:
        """The processes that it has started, and those of these."""
        found, new = set[int](), {self.process.pid}
        while new:
            pid = new.pop()
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                new |= {int(child) for child in task.read_text().split()} - found
            found |= new
        return found

    def end(self) -> str:
        os.kill(self.process.pid, signal.SIGINT)
        out, _ = self.process.communicate(timeout=60)
        return out


@contextlib.contextmanager
def running_laboratory(path: str, temporary: Path) -> Iterator[Laboratory]:
    running = Laboratory(path, temporary)
    yield running
    if running.process.poll() is None:
        running.end()
    assert running.process.stdout is not None
    running.process.stdout.close()


@pytest.fixture
def laboratory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Laboratory]:
    with running_laboratory(getattr(request, "param", os.environ["PATH"]), tmp_path) as running:
        yield running


def _goes(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_both_sides_answer_and_the_buttons_do_what_they_say(laboratory: Laboratory) -> None:
    if laboratory.state()["server"] is None:
        pytest.skip("redis-server is not on PATH; tools/support/install-system installs it")
    wait_until(
        lambda: all((side["hit_ratio"] or 0) > 0.3 for side in laboratory.state()["sides"]),
        "both sides to answer from the cache",
    )
    assert all(side["failed"] == 0 for side in laboratory.state()["sides"])

    for sentence in laboratory.press("visitors"):
        assert sentence.startswith("50 visitors were answered")
        # By one of all workers.
        assert sentence.endswith("computed once.")
    for sentence in laboratory.press("deletion"):
        assert sentence == "The price went from 10 to 20; visitors see 20."
    assert laboratory.press("worker") == ["3 workers from now on."] * 2
    log = laboratory.ask("log/ours")
    assert "/products/" in log
    assert "/cold/" in log

    # Frozen, nothing comes from the cache, and everybody is answered.
    assert laboratory.press("freeze") == ["The cache server is frozen."] * 2
    wait_until(
        lambda: all(
            side["hit_ratio"] == 0 and side["answered"] > 20 for side in laboratory.state()["sides"]
        ),
        "both sides to go on without the cache",
    )
    assert laboratory.press("freeze") == ["The cache server is running."] * 2
    for state in ("stopped", "running"):
        assert laboratory.press("stop") == [f"The cache server is {state}."] * 2
        assert laboratory.state()["server"] == state
    wait_until(
        lambda: all((side["hit_ratio"] or 0) > 0.3 for side in laboratory.state()["sides"]),
        "both sides to answer from the cache again",
    )

    started = laboratory.children()
    assert len(started) > 6
    folder = Path(f"/proc/{laboratory.process.pid}/cwd").resolve()
    assert folder == EXAMPLES
    assert laboratory.end().strip().endswith("Closed.")
    assert laboratory.process.returncode == 0
    wait_until(lambda: not any(_goes(pid) for pid in started), "all processes to end")


def test_who_starts_the_server_again_waits_for_no_visitor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from laboratory.experiments import Experiments

    experiments, thawed = Experiments([], None), threading.Event()

    def visitors() -> list[str]:
        return ["answered"] if thawed.wait(60) else ["in vain"]

    def freeze() -> list[str]:
        thawed.set()
        return ["running"]

    experiments.buttons |= {"visitors": visitors, "freeze": freeze}
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(experiments.press, "visitors")
        assert experiments.press("freeze") == ["running"]
        assert waiting.result() == ["answered"]


def ends_all_that_it_started(laboratory: Laboratory, number: signal.Signals) -> None:
    started = laboratory.children()
    assert started
    assert list(laboratory.temporary.iterdir())

    laboratory.process.send_signal(number)
    laboratory.process.communicate(timeout=60)

    assert laboratory.process.returncode == 0
    wait_until(lambda: not any(_goes(pid) for pid in started), "all processes to end")
    assert list(laboratory.temporary.iterdir()) == []


@pytest.mark.parametrize("laboratory", [""], indirect=True, ids=["no redis-server"])
def test_without_a_server_two_buttons_are_missing_and_it_says_so_and_ends_with_its_terminal(
    laboratory: Laboratory,
) -> None:
    assert "redis-server is not installed" in laboratory.said
    assert laboratory.state()["server"] is None
    with pytest.raises(urllib.error.HTTPError, match="404"):
        laboratory.press("freeze")
    wait_until(
        lambda: all((side["hit_ratio"] or 0) > 0.3 for side in laboratory.state()["sides"]),
        "both sides to answer from files",
    )
    ends_all_that_it_started(laboratory, signal.SIGHUP)


def test_a_server_that_ends_by_itself_is_stopped_and_told_to_end_all_ends(
    laboratory: Laboratory,
) -> None:
    if laboratory.state()["server"] is None:
        pytest.skip("redis-server is not on PATH; tools/support/install-system installs it")
    [server] = [
        pid
        for pid in laboratory.children()
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"redis-server")
    ]
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: laboratory.state()["server"] == "stopped", "its end to be seen")

    assert laboratory.press("stop") == ["The cache server is running."] * 2
    assert laboratory.press("freeze") == ["The cache server is frozen."] * 2
    assert laboratory.press("stop") == ["The cache server is stopped."] * 2
    # What is frozen while it does not run, is started first.
    assert laboratory.press("freeze") == ["The cache server is frozen."] * 2
    ends_all_that_it_started(laboratory, signal.SIGTERM)


def test_killed_it_leaves_nothing_behind(laboratory: Laboratory) -> None:
    started = laboratory.children()
    assert started
    if laboratory.state()["server"] is not None:
        # What is frozen ends as well.
        laboratory.press("freeze")

    laboratory.process.kill()
    laboratory.process.wait()

    wait_until(lambda: not any(_goes(pid) for pid in started), "all processes to end")


# What changes so little of a laboratory that all that follow share one.


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("laboratory")
    with running_laboratory(os.environ["PATH"], folder) as running:
        yield running


def test_another_site_presses_no_button(shared: Laboratory) -> None:
    request = urllib.request.Request(f"{shared.address}/press/worker", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=60)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        shared.ask("state", Host="evil.example")


def test_a_port_that_is_taken_is_an_error_before_anything_is_started(shared: Laboratory) -> None:
    port = shared.address.rpartition(":")[2]
    result = subprocess.run(
        [sys.executable, "-m", "laboratory", "--port", port, "--reference", sys.executable],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert f"port {port} cannot be served" in result.stderr


def test_in_a_browser_its_buttons_are_pressed_and_its_log_is_opened(shared: Laboratory) -> None:
    with chromium() as browser:
        from playwright.sync_api import expect

        window = browser()
        page = window.page
        page.goto(shared.address)
        expect(page.locator("article")).to_have_count(2)
        expect(page.locator("canvas")).to_have_count(6)
        for figure in ("answered", "p99", "hit_ratio"):
            for side in page.locator(f"[data-figure={figure}]").all():
                expect(side).to_have_text(re.compile("[1-9]"))
        window.focus("[data-press=visitors]")
        page.keyboard.press("Enter")
        expect(page.locator("#came")).to_contain_text("50 visitors were answered")
        if shared.state()["server"] is not None:
            for button, came, says in (
                ("freeze", "frozen", "Let it go on"),
                ("freeze", "running", "Freeze it"),
                ("stop", "stopped", "Start the cache server"),
                ("stop", "running", "Stop the cache server"),
            ):
                page.click(f"[data-press={button}]")
                expect(page.locator("#server")).to_have_text(f"The cache server is {came}.")
                expect(page.locator(f"[data-press={button}]")).to_have_text(says)
        with page.context.expect_page() as opened:
            page.click("article.ours a")
        assert "/cold/" in opened.value.inner_text("body")
        page.goto(f"{shared.address}/dashboard")
        expect(page.locator("#live")).to_contain_text("Live")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        page.goto(shared.address)
        expect(page.locator("canvas")).to_have_count(6)
        window.look(width=400, dark=True)
        expect(page.locator("canvas")).to_have_count(6)
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        assert window.complaints == []


def test_there_are_not_more_workers_than_a_machine_takes(shared: Laboratory) -> None:
    for _ in range(10):
        came = shared.press("worker")
    assert came == ["8 workers are as many as there can be."] * 2
