"""Requests that no client sends, to pages under real servers: the next one gets its own answer."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from gunicorn_server import Gunicorn
from servers import free_port
from uwsgi_server import Uwsgi

APPLICATION = Path(__file__).parent / "raw_app.py"


class RawGunicorn(Gunicorn):
    def is_ready(self) -> bool:
        return bool(send(self.port, plain("/place")))


class RawUwsgi(Uwsgi):
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__(folder, APPLICATION, "--http-socket", f"127.0.0.1:{self.port}")

    def is_ready(self) -> bool:
        return bool(send(self.port, plain("/place")))


@pytest.fixture(scope="module", params=["gunicorn", "uwsgi"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a server of one process listens."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "gunicorn":
        gunicorn = RawGunicorn(folder, APPLICATION, "--threads", "2")
        gunicorn.start()
        yield gunicorn.port
        gunicorn.stop()
    else:
        uwsgi = RawUwsgi(folder)
        uwsgi.start()
        yield uwsgi.port
        uwsgi.kill()


@pytest.fixture(params=["front", "place"])
def path(request: pytest.FixtureRequest) -> str:
    return f"/{request.param}"


def send(port: int, request: bytes) -> bytes:
    """All that a server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except ConnectionError:
            # It wants no more of it.
            pass
        return b"".join(parts)


def plain(path: str, *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: good.example", *headers, "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode()


def body_of(answer: bytes) -> str:
    return answer.partition(b"\r\n\r\n")[2].decode()


def visit(port: int, path: str, *headers: str) -> str:
    """What a visitor gets who asks as others do."""
    answer = send(port, plain(path, *headers))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return body_of(answer)


INNER = "GET /evil HTTP/1.1\r\nHost: evil.example\r\n\r\n"
ODD = {
    "an absolute target": "GET http://evil.example{path} HTTP/1.1\r\nHost: good.example\r\n\r\n",
    "another host there": "GET http://good.example{path} HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "two hosts": "GET {path} HTTP/1.1\r\nHost: good.example\r\nHost: evil.example\r\n\r\n",
    "two hosts the other way": (
        "GET {path} HTTP/1.1\r\nHost: evil.example\r\nHost: good.example\r\n\r\n"
    ),
    "hosts in a list": "GET {path} HTTP/1.1\r\nHost: good.example, evil.example\r\n\r\n",
    "a host of odd case": "GET {path} HTTP/1.1\r\nhOsT: eViL.eXaMpLe\r\n\r\n",
    "a host with an underscore": (
        "GET {path} HTTP/1.1\r\nHost: good.example\r\nX_Forwarded_Host: evil\r\n\r\n"
    ),
    "no host": "GET {path} HTTP/1.0\r\n\r\n",
    "no host in 1.1": "GET {path} HTTP/1.1\r\n\r\n",
    "a folded header": "GET {path} HTTP/1.1\r\nHost: good.example\r\n evil\r\n\r\n",
    "a space before the colon": "GET {path} HTTP/1.1\r\nHost : evil.example\r\n\r\n",
    "a method of odd case": "gEt {path} HTTP/1.1\r\nHost: good.example\r\n\r\n",
    "line breaks in the path": (
        "GET {path}/%0d%0aX-Evil:%20evil HTTP/1.1\r\nHost: good.example\r\n\r\n"
    ),
    "a bare line break": "GET {path}/\revil HTTP/1.1\r\nHost: good.example\r\n\r\n",
    "a request in the path": (
        "GET {path}/%20HTTP/1.1%0d%0aHost:%20evil%0d%0a%0d%0a HTTP/1.1\r\n"
        "Host: good.example\r\n\r\n"
    ),
    "a query in the path": "GET {path}%3Fevil=1 HTTP/1.1\r\nHost: good.example\r\n\r\n",
    "a fragment": "GET {path}#evil HTTP/1.1\r\nHost: good.example\r\n\r\n",
    "a header that is too large": (
        "GET {path} HTTP/1.1\r\nHost: good.example\r\nX-Large: " + "evil" * 8000 + "\r\n\r\n"
    ),
    "a body": (
        "GET {path} HTTP/1.1\r\nHost: good.example\r\n"
        f"Content-Length: {len(INNER)}\r\n\r\n{INNER}"
    ),
    "a body in chunks": (
        "GET {path} HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n"
    ),
    "two lengths": (
        "GET {path} HTTP/1.1\r\nHost: good.example\r\nContent-Length: 4\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER
    ),
    "a coding of odd case": (
        "GET {path} HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding: xchunked\r\n\r\n" + INNER
    ),
    "a part": "GET {path} HTTP/1.1\r\nHost: good.example\r\nRange: bytes=0-3\r\n\r\n",
    "an overridden method": (
        "GET {path} HTTP/1.1\r\nHost: good.example\r\nX-HTTP-Method-Override: POST\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_the_next_visitor_gets_what_he_asked_for(port: int, path: str, name: str) -> None:
    # A page of its own, which the odd request is the first to ask for.
    path = f"{path}/{name.replace(' ', '_')}"
    # The second one ends the connection, where the first has not.
    send(port, ODD[name].format(path=path).encode() + plain("/place/last"))
    clean = f"http|good.example|{path}?||end"
    assert visit(port, path) == clean
    assert visit(port, path) == clean
    send(port, ODD[name].format(path=path).encode() + plain("/place/last"))
    assert visit(port, path) == clean


def test_a_part_of_a_page_is_no_page(port: int, path: str) -> None:
    whole = visit(port, path)
    assert visit(port, path, "Range: bytes=0-3") == whole
    assert "evil" not in whole


def test_answers_of_one_connection_do_not_run_into_each_other(port: int, path: str) -> None:
    whole = visit(port, path)
    known = re.search(rb'(?i)etag: ("[^"]+")', send(port, plain(path)))
    assert known is not None
    etag = known.group(1).decode()
    ask = "{method} {path} HTTP/1.1\r\nHost: good.example\r\n{more}\r\n"
    many = [
        ask.format(method="HEAD", path=path, more=""),
        ask.format(method="GET", path=path, more=f"If-None-Match: {etag}\r\n"),
        ask.format(method="HEAD", path=path, more=f"If-None-Match: {etag}\r\n"),
        ask.format(method="GET", path=path, more=""),
    ]
    answers = send(port, "".join(many).encode() + plain(f"{path}?last"))
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answers)
    if len(statuses) == 1:
        pytest.skip("this server answers one request a connection")
    assert statuses == [b"200", b"304", b"304", b"200", b"200"]
    # Two of them have bodies.
    assert answers.count(b"|end") == 2
    assert answers.endswith(f"http|good.example|{path}?last||end".encode())
    assert answers.count(whole.encode()) == 1
