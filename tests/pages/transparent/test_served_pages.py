"""Pages under real servers, asked by real clients."""

from __future__ import annotations

import gzip
import http.client
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from gunicorn_server import Gunicorn, serving
from servers import program

APPLICATION = Path(__file__).parent / "page_app.py"


@pytest.fixture(
    scope="module",
    params=[["--workers", "3"], ["--threads", "4"], ["-k", "gevent", "--workers", "2"]],
    ids=["processes", "threads", "gevent"],
)
def gunicorn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gunicorn]:
    """A gunicorn whose processes share their pages; each test asks for others."""
    folder = tmp_path_factory.mktemp("gunicorn")
    settings = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(folder / "pages")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_PAGES", json.dumps(settings))
        with serving(folder, APPLICATION, *request.param) as server:
            yield server


def ask(server: Gunicorn, path: str, method: str = "GET", **headers: str) -> Any:
    """An answer: its status, its headers, and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=names)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_pages_are_shared_and_their_conditions_hold(gunicorn: Gunicorn) -> None:
    for path in ("/place", "/front"):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, [gunicorn] * 40, [path] * 40))
        # Those that came at the same time may have been computed once in each process.
        body = ask(gunicorn, path)[2]
        assert [status for status, _, _ in answers] == [200] * 40
        status, headers, again = ask(gunicorn, path)
        assert (status, again) == (200, body)
        assert headers["Cache-Status"].startswith("flask-caching; hit; ttl=")
        assert headers["Content-Length"] == str(len(body))
        assert int(headers["Age"]) >= 0
        status, unchanged, nothing = ask(gunicorn, path, If_None_Match=headers["ETag"])
        assert (status, nothing, unchanged["ETag"]) == (304, b"", headers["ETag"])
        status, head, nothing = ask(gunicorn, path, "HEAD")
        assert (status, nothing, head["Content-Length"]) == (200, b"", str(len(body)))
        assert head["ETag"] == headers["ETag"]


def test_a_change_reaches_all_processes(gunicorn: Gunicorn) -> None:
    before = {ask(gunicorn, "/front")[2] for _ in range(10)}
    assert ask(gunicorn, "/front", "POST")[2] == b"changed"
    after = {ask(gunicorn, "/front")[2] for _ in range(10)}
    assert not before & after


def test_odd_bytes_and_streams(gunicorn: Gunicorn) -> None:
    for _ in range(6):
        _, headers, body = ask(gunicorn, "/latin")
        assert body == b"caf\xc3\xa9 \x00\xff"
        assert headers["X-Name"] == "caf\u00e9"
        assert headers.get_all("X-Twice") == ["1", "2"]
        _, headers, body = ask(gunicorn, "/unstored")
        assert body == "".join(f"{part}," for part in range(1000)).encode()
        assert headers["Cache-Status"].endswith("detail=streamed")


def test_curl(gunicorn: Gunicorn, tmp_path: Path) -> None:
    etags = tmp_path / "etags"

    def curl(path: str, *options: str) -> str:
        url = f"http://127.0.0.1:{gunicorn.port}{path}"
        command = [program("curl"), "--silent", "--show-error", "--max-time", "20", *options, url]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    plain = curl("/zip")
    assert curl("/zip", "--compressed") == plain
    assert "content-encoding: gzip" in curl("/zip", "--compressed", "--head").lower()
    assert curl("/zip", "--etag-save", str(etags)) == plain
    code = ("--write-out", "%{http_code} %{size_download}", "--output", str(tmp_path / "out"))
    assert curl("/zip", "--etag-compare", str(etags), *code) == "304 0"
    assert curl("/zip", "--range", "0-3", *code).startswith("200 ")
    _, headers, body = ask(gunicorn, "/zip", Accept_Encoding="gzip")
    assert gzip.decompress(body).decode() == plain
    assert headers["Vary"] == "Accept-Encoding"


def test_a_browser_goes_back_and_asks_again(tmp_path: Path) -> None:
    settings = {"CACHE_TYPE": "SimpleCache"}
    with chromium() as browser, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_PAGES", json.dumps(settings))
        with serving(tmp_path, APPLICATION) as server:
            page = browser().page
            at = f"http://127.0.0.1:{server.port}"
            for path in ("/zip", "/place"):
                page.goto(at + path)
                shown = page.inner_text("body")
                page.goto(f"{at}/pid")
                page.go_back()
                assert page.inner_text("body") == shown
                page.go_forward()
                page.go_back()
                page.reload()
                assert page.inner_text("body") == shown
            seen = {tuple(line) for line in json.loads(ask(server, "/log")[2])}
            # It had them when it was to show them anew, and was told so.
            assert {("/zip", True, "304"), ("/place", True, "304")} <= seen
            assert not {status for _, _, status in seen} - {"200", "304", "404"}
