"""``make demo`` and ``make serve``, with the package that is installed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from browsers import chromium

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def examples_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    # What is imported here would make one that nobody removes: test processes end without `atexit`.
    monkeypatch.setenv("GALLERY_FOLDER", str(tmp_path))


def test_the_tour_ends_well_and_its_table_says_what_the_cache_did() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gallery"], cwd=EXAMPLES, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr
    rows = [line for line in result.stdout.splitlines() if line.startswith("/")]
    assert [row.split()[-1] for row in rows] == ["hit"] * 6 + ["miss"] * 2
    # What a person reads in a minute, and where more is to be seen.
    assert len(result.stdout.splitlines()) < 20
    assert re.search(r"dashboard while this ran, http://127.0.0.1:\d+/_cache/\n", result.stdout)


def test_the_pages_say_of_each_part_whether_it_was_a_hit_how_old_it_is_and_what_it_cost() -> None:
    from gallery.server import serving

    made = r"made just now in [\d.]+ ms"
    kept = r"a hit, [\d.]+ s old; it was made in [\d.]+ ms"
    with chromium() as browser, serving() as (address, _):
        page = browser().page

        def parts(path: str) -> list[str]:
            page.goto(address + path)
            return [str(text) for text in page.locator(".part").all_inner_texts()]

        for path, again in (
            ("/", [kept]),
            ("/rooms/dragon", [kept, made]),
            ("/guestbook", [kept, made]),
        ):
            first = parts(path)
            assert len(first) == len(again)
            assert all(re.search(made, part) for part in first), first
            second = parts(path)
            for part, says in zip(second, again, strict=True):
                assert re.search(says, part), second


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
