"""``flask cache doctor`` finds settings that bite, and nothing else."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.cli import cache as commands

REDIS = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1", "CACHE_SIGNING_KEY": "key"}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "UWSGI_PROCESSES", "UWSGI_HARAKIRI"):
        monkeypatch.delenv(name, raising=False)


def found(config: dict[str, Any], *more: dict[str, Any], ignore: tuple[str, ...] = ()) -> list[str]:
    # Applications of earlier examinations are none of this process any more.
    gc.collect()
    app = Flask("examined")
    for one in (config, *more):
        Cache(app, config=one)
    arguments = [word for name in ignore for word in ("--ignore", name)]
    number = ["--cache", "1"] if more else []
    result = app.test_cli_runner().invoke(commands, args=["doctor", *number, *arguments])
    lines = result.output.splitlines()
    if result.exit_code == 0:
        assert lines == ["nothing found"]
        return []
    assert result.exit_code == 1
    return [line[1:].partition("]")[0] for line in lines]


def test_simplecache_with_several_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = {"CACHE_TYPE": "SimpleCache"}
    assert found(config) == []
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    assert found(config) == []
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert found(config) == ["workers"]
    assert found(config, ignore=("workers",)) == []
    monkeypatch.delenv("WEB_CONCURRENCY")
    (tmp_path / "gunicorn.conf.py").write_text("bind = ':80'\nworkers = 3  # enough\n")
    assert found(config) == ["workers"]
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--bind=:80 -w 1")
    assert found(config) == []


@pytest.mark.parametrize(
    ("file", "text", "several"),
    [
        (
            "gunicorn.conf.py",
            "workers = multiprocessing.cpu_count() + 2",
            True,
        ),
        ("gunicorn.conf.py", "import os\nworkers = os.cpu_count() * 2 + 1\n", True),
        ("gunicorn.conf.py", "workers = 1\nthreads = 9\n", False),
        ("gunicorn.conf.py", "workers = int(settings()['workers'])\n", False),
        ("gunicorn.conf.py", "workers = (", False),
        ("gunicorn.conf.py", "workers: int = 4", True),
        ("gunicorn.conf.py", "workers: int", False),
        ("gunicorn.conf.py", "workers = int(os.environ.get('NUMBER_OF_WORKERS', '4'))", True),
        ("gunicorn.conf.py", "workers = int(getenv('NUMBER_OF_WORKERS'))", False),
        ("gunicorn.conf.py", "workers = settings.get('NUMBER_OF_WORKERS', 4)", False),
        ("gunicorn.conf.py", "workers = os.environ.get(*names)", False),
        ("Procfile", "release: make\nweb: gunicorn -w 3 app:app\n", True),
        ("Procfile", "web: gunicorn app:app --workers=2\n", True),
        ("Procfile", "web: gunicorn -w3 app:app\n", True),
        ("Procfile", "web: gunicorn -w ${NUMBER_OF_WORKERS:-3} app:app\n", True),
        ("Procfile", "web: gunicorn -w ${NUMBER_OF_WORKERS-1} app:app\n", False),
        ("Procfile", "web: gunicorn -w $NUMBER_OF_WORKERS app:app\n", False),
        ("gunicorn.conf.py", "cores = os.cpu_count()\nworkers = cores * 2 + 1\n", True),
        ("gunicorn.conf.py", "workers = cores * 2 + 1\n", False),
        ("Procfile", "web: gunicorn app:app\nworker: gunicorn -w 3\n", False),
        ("uwsgi.ini", "[uwsgi]\nmaster = true\nprocesses = 4\n", True),
        ("uwsgi.ini", "[uwsgi]\nworkers=2\n", True),
        ("uwsgi.ini", "[uwsgi]\n# processes = 4\nthreads = 4\n", False),
    ],
)
def test_where_the_number_of_workers_is_said(
    tmp_path: Path, file: str, text: str, several: bool
) -> None:
    (tmp_path / file).write_text(text)
    assert found({"CACHE_TYPE": "SimpleCache"}) == (["workers"] if several else [])
    shared = {"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path / "shared")}
    assert found(shared) == []


def test_a_server_without_a_signing_key() -> None:
    assert found(REDIS) == []
    assert found({**REDIS, "CACHE_SIGNING_KEY": None}) == ["signing"]


def test_prefixes(tmp_path: Path) -> None:
    assert found({**REDIS, "CACHE_KEY_PREFIX": ""}) == ["prefix"]
    shop = {**REDIS, "CACHE_KEY_PREFIX": "shop_"}
    assert found(shop, {**REDIS, "CACHE_KEY_PREFIX": "shop_eu_"}) == ["prefix"]
    assert found(shop, {**REDIS, "CACHE_KEY_PREFIX": "blog_"}) == []
    assert found(shop, {**REDIS, "CACHE_KEY_PREFIX": "shop_eu_", "CACHE_REDIS_PORT": 1}) == []


def test_a_prefix_of_another_application() -> None:
    gc.collect()
    shop = Flask("shop")
    cache = Cache(config={**REDIS, "CACHE_KEY_PREFIX": "shop_"})
    cache.init_app(shop)
    alike = Flask("shop")
    Cache(alike, config={**REDIS, "CACHE_KEY_PREFIX": "shop_"})
    elsewhere = Flask("elsewhere")
    Cache(elsewhere, config={**REDIS, "CACHE_KEY_PREFIX": "shop_eu_", "CACHE_REDIS_DB": 3})
    runner = shop.test_cli_runner()
    assert runner.invoke(commands, ["doctor"]).output == "nothing found\n"
    europe = Flask("europe")
    Cache(europe, config={**REDIS, "CACHE_KEY_PREFIX": "shop_eu_"})
    said = runner.invoke(commands, ["doctor"]).output
    assert "'shop_' begins the prefix 'shop_eu_' of the application 'europe'" in said
    said = europe.test_cli_runner().invoke(commands, ["doctor"]).output
    assert "'shop_eu_' begins with the prefix 'shop_' of the application 'shop'" in said


def test_a_prefix_of_an_application_in_another_process(redis_server: Any, tmp_path: Path) -> None:
    config = {**REDIS, "CACHE_REDIS_PORT": redis_server.port, "CACHE_REDIS_DB": 7}
    client = redis_server.admin
    client.execute_command("SELECT", 7)
    try:
        client.flushdb()
        for key in (
            "sho[p_own",
            "sho[p_flask_caching_stats/shop/0/0",
            "blog_flask_caching_stats/b/0/1",
        ):
            client.set(key, 1)
        shop = {**config, "CACHE_KEY_PREFIX": "sho[p_"}
        assert found(shop) == []
        client.set("sho[p_eu:flask_caching_stats/europe/0/0", 1)
        assert found(shop) == ["prefix"]
        assert found({**config, "CACHE_KEY_PREFIX": "sho[p_eu:x"}) == ["prefix", "prefix"]
    finally:
        client.flushdb()
        client.execute_command("SELECT", 0)


def test_a_directory_that_others_can_use(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(directory)}
    directory.mkdir(mode=0o700)
    assert found(config) == []
    for mode in (0o755, 0o711 | 0o040, 0o777):
        os.chmod(directory, mode)
        assert found(config) == ["directory"]


def test_deadlines_longer_than_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found({**REDIS, "CACHE_OPERATION_TIMEOUT": 60}) == ["deadline"]
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--timeout 90")
    assert found({**REDIS, "CACHE_OPERATION_TIMEOUT": 60}) == []
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--timeout=0")
    assert found({**REDIS, "CACHE_OPERATION_TIMEOUT": 60}) == []


def test_a_wait_longer_than_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_WAIT": 20}
    assert found(config) == []
    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nharakiri = 10\n")
    assert found(config) == ["deadline"]
    assert found({**config, "CACHE_WAIT": 5}) == []
    assert found({**config, "CACHE_SINGLE_FLIGHT": False}) == []


def test_no_cache_at_all() -> None:
    assert found({"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}) == ["null"]


def test_a_number_of_workers_that_the_environment_has_is_the_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        "import os\nworkers = int(os.getenv('NUMBER_OF_WORKERS', 4))\n"
    )
    assert found({"CACHE_TYPE": "SimpleCache"}) == ["workers"]
    monkeypatch.setenv("NUMBER_OF_WORKERS", "1")
    assert found({"CACHE_TYPE": "SimpleCache"}) == []
