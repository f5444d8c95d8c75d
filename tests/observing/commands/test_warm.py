"""``flask cache warm``: pages of the application, and of a server that is really there."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask, Response, redirect
from flask_caching import Cache
from flask_caching.cli import cache as commands
from werkzeug.serving import make_server

SITEMAPS = "xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'"
IMAGES = "xmlns:image='http://www.google.com/schemas/sitemap-image/1.1'"


def urlset(*urls: str) -> str:
    entries = (
        f"<url><loc> {url}\n</loc><image:image><image:loc>/i.png</image:loc></image:image></url>"
        for url in urls
    )
    return f"<?xml version='1.0'?><urlset {SITEMAPS} {IMAGES}>{''.join(entries)}</urlset>"


def index(*urls: str) -> str:
    entries = (f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return f"<sitemapindex {SITEMAPS}>{''.join(entries)}</sitemapindex>"


@pytest.fixture
def app() -> Flask:
    app = Flask("warmed")
    app.config.update(CACHE_TYPE="SimpleCache", CACHE_STATUS_HEADER=True)
    cache = Cache(app)
    asked: list[str] = []
    app.extensions["asked"] = asked

    @app.route("/page/<name>")
    @cache.page(timeout=60)
    def page(name: str) -> str:
        asked.append(name)
        return name

    @app.route("/silent/<name>")
    def silent(name: str) -> str:
        return name

    @app.route("/view/<name>")
    @cache.cached(response_hit_indication=True)
    def view(name: str) -> str:
        return name

    @app.route("/sitemap.xml")
    def sitemap() -> Response:
        return Response(
            urlset("https://example.com/page/1?a=b", "https://example.com/page/2", "/page/3"),
            mimetype="text/xml",
        )

    @app.route("/index.xml")
    def index_of_sitemaps() -> str:
        return index("/sitemap.xml", "https://example.com/more.xml.gz")

    @app.route("/more.xml.gz")
    def packed() -> bytes:
        return gzip.compress(urlset("page/4", "/page/1?a=b").encode())

    @app.route("/nested.xml")
    def nested() -> str:
        return index("/index.xml")

    return app


@pytest.fixture
def server(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def warm(app: Flask, *arguments: str, status: int = 0, **options: Any) -> str:
    result: Result = app.test_cli_runner().invoke(commands, ["warm", *arguments], **options)
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def test_paths_are_asked_of_the_application(app: Flask, tmp_path: Path) -> None:
    said = warm(app, "/view/1", "/view/2", "/view/1")
    assert said == ("2 pages: 2 answered, 0 failed\nin the cache: 0 hits, 2 misses, 0 errors\n")
    urls = tmp_path / "urls.txt"
    urls.write_text("# pages\n/view/2\n\n/view/3\n")
    assert "1 hits, 1 misses" in warm(app, "--file", str(urls))
    assert "1 hits, 0 misses" in warm(app, "--file", "-", input="/view/3\n")
    said = warm(app, "/view/1", "/nowhere", status=1)
    assert "1 answered, 1 failed" in said
    assert "/nowhere: 404 NOT FOUND" in said


def test_redirects_within_the_application_are_followed(app: Flask) -> None:
    app.add_url_rule("/old/<name>", view_func=lambda name: redirect(f"/view/{name}?a=b"))
    app.add_url_rule("/away", "away", lambda: redirect("https://example.com/view/1"))
    app.add_url_rule("/circle/<int:n>", "circle", lambda n: redirect(f"/circle/{n % 3}", 308))
    app.add_url_rule("/endless/<int:n>", "endless", lambda n: redirect(f"{n + 1}"))
    app.add_url_rule("/slash/", "slash", app.view_functions["view"], defaults={"name": "s"})
    assert "0 hits, 1 misses" in warm(app, "/old/1")
    assert "1 hits, 0 misses" in warm(app, "/view/1")
    assert "0 hits, 1 misses" in warm(app, "/slash")
    assert "1 answered" in warm(app, "/away")
    for endless in ("/circle/1", "/endless/1"):
        assert "leads from one page to another" in warm(app, endless, status=1)


def test_redirects_within_an_application_that_is_mounted(app: Flask) -> None:
    app.config["APPLICATION_ROOT"] = "/mounted"
    app.add_url_rule("/from", "from", lambda: redirect("/mounted/view/3"))
    app.add_url_rule("/out", "out", lambda: redirect("/view/3"))
    assert "0 hits, 1 misses" in warm(app, "/from")
    assert "0 hits, 0 misses" in warm(app, "/out")


def test_urls_are_asked_of_their_servers(app: Flask, server: str) -> None:
    wanted = [f"{server}/page/{number}" for number in range(8)]
    said = warm(app, *wanted[:5], "--concurrency", "3")
    assert "5 pages: 5 answered, 0 failed\nby their answers: 0 hits, 5 misses\n" in said
    # Nothing was asked of this process as a client of its own.
    assert "in the cache" not in said
    said = warm(app, *wanted, f"{server}/silent/ä b", f"{server}/view/1")
    assert "by their answers: 5 hits, 3 misses, 2 that do not say" in said
    assert "by their answers: 1 hits, 0 misses" in warm(app, f"{server}/view/1")
    said = warm(app, f"{server}/nowhere", f"{server}/page/1", "http://127.0.0.1:1/", status=1)
    assert "1 answered, 2 failed\nby their answers: 1 hits, 0 misses\n" in said
    assert f"{server}/nowhere: 404 NOT FOUND" in said
    assert "http://127.0.0.1:1/: URLError" in said


def test_a_sitemap_of_the_application(app: Flask) -> None:
    said = warm(app, "--sitemap", "/sitemap.xml", "--concurrency", "2")
    assert "3 pages: 3 answered" in said
    assert sorted(app.extensions["asked"]) == ["1", "2", "3"]
    assert "4 pages: 4 answered" in warm(app, "--sitemap", "/index.xml")
    assert sorted(app.extensions["asked"]) == ["1", "2", "3", "4"]


def test_a_sitemap_of_a_server(app: Flask, server: str) -> None:
    said = warm(app, "--sitemap", f"{server}/more.xml.gz")
    assert "2 pages: 2 answered" in said
    assert "0 hits, 2 misses" in said
    assert "2 hits" in warm(app, "--sitemap", f"{server}/more.xml.gz")
    assert "404" in warm(app, "--sitemap", f"{server}/nothing.xml", status=1)


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_a_sitemap_in_files(app: Flask, tmp_path: Path, pack: Any) -> None:
    (tmp_path / "index.xml").write_bytes(pack(index("https://example.com/deep/one.xml")))
    (tmp_path / "one.xml").write_bytes(pack(urlset("https://example.com/page/7", "page/8")))
    assert "2 pages: 2 answered" in warm(app, "--sitemap", str(tmp_path / "index.xml"))
    assert sorted(app.extensions["asked"]) == ["7", "8"]


def test_what_is_no_sitemap_is_a_sentence(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "sitemap"
    for text, said in (
        (b"<!DOCTYPE x><x/>", "document type"),
        (b"<html><body/></html>", "is no sitemap, but <html>"),
        (b"neither", "is no XML"),
        (b"\x1f\x8b\x08broken", "cannot be read"),
        (b"", "is no XML"),
        (b"<?xml version='1.0' encoding='no-such'?><urlset/>", "is no XML"),
        (gzip.compress(b" " * (51 << 20)), "longer than 50 MB"),
        (urlset().encode(), "nothing to ask for"),
    ):
        file.write_bytes(text)
        status = 2 if said.startswith("nothing") else 1
        assert said in warm(app, "--sitemap", str(file), status=status)
    assert "cannot be read" in warm(app, "--sitemap", "no-file", status=1)
    assert "answers 404" in warm(app, "--sitemap", "/no-file.xml", status=1)
    assert "names another index" in warm(app, "--sitemap", "/nested.xml", status=1)


def test_what_is_written_wrongly_is_a_sentence(app: Flask) -> None:
    assert "neither a path" in warm(app, "file:///etc/passwd", status=2)
    assert "nothing to ask for" in warm(app, status=2)
    assert "0 is not in the range" in warm(app, "/", "--concurrency", "0", status=2)
    said = warm(app, "http://me:hunter2@127.0.0.1:1/", status=2)
    assert "has a user name in it" in said
    assert "hunter2" not in said


def test_pages_are_asked_for_under_the_host_that_visitors_come_to(app: Flask) -> None:
    host = "https://shop.example"
    warm(app, "--base-url", host, "/page/1")
    assert app.test_client().get("/page/1", base_url=host).get_data() == b"1"
    assert app.extensions["asked"] == ["1"]
    for wrong in ("shop.example", "https://", "/"):
        said = warm(app, "--base-url", wrong, "/page/1", status=2)
        assert "is no URL with a host" in said
