"""``make demo`` and ``make serve``, with the package that is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def examples_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


def test_the_tour_ends_well_and_its_table_says_what_the_cache_did() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gallery"], cwd=EXAMPLES, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr
    rows = [line for line in result.stdout.splitlines() if line.startswith("/")]
    assert [row.split()[-1] for row in rows] == ["hit"] * 6 + ["miss"] * 2


def test_the_tour_complains_about_a_page_that_is_not_cached() -> None:
    from gallery.tour import Page, Visit, complaints

    page = Page("/", "whole page cached", hit=True, same_body=True)
    first = Visit(status=200, body=b"painted", seconds=0.1, hit=False)
    second = Visit(status=500, body=b"painted again", seconds=0.1, hit=False)

    assert complaints(page, first, second) == [
        "/: status 500",
        "/: the second request was a miss",
        "/: the second answer differs from the first",
    ]


def test_ctrl_c_closes_the_gallery() -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "gallery", "--serve", "0"],
        cwd=EXAMPLES,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal interrupts all that it started
        # a shell lets what it runs in the background, as this suite may be, ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert serving.stdout is not None
        assert "The gallery is open at http://127.0.0.1:" in serving.stdout.readline()
        os.killpg(serving.pid, signal.SIGINT)
        out, err = serving.communicate(timeout=60)
    except BaseException:
        os.killpg(serving.pid, signal.SIGKILL)
        raise
    assert out.strip() == "Closed."
    assert "Traceback" not in err
    assert serving.returncode == 0


def test_the_picture_is_a_png() -> None:
    import base64

    from gallery.painting import paint

    data = base64.b64decode(paint(0.285 + 0.01j, 4, 3).removeprefix("data:image/png;base64,"))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data[16:24] == (4).to_bytes(4, "big") + (3).to_bytes(4, "big")
