"""``flask cache doctor`` finds settings that bite, and nothing else."""

from __future__ import annotations

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
    for name in ("WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"):
        monkeypatch.delenv(name, raising=False)


def found(config: dict[str, Any], *more: dict[str, Any], ignore: tuple[str, ...] = ()) -> list[str]:
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


def test_a_server_without_a_signing_key() -> None:
    assert found(REDIS) == []
    assert found({**REDIS, "CACHE_SIGNING_KEY": None}) == ["signing"]


def test_prefixes(tmp_path: Path) -> None:
    assert found({**REDIS, "CACHE_KEY_PREFIX": ""}) == ["prefix"]
    shop = {**REDIS, "CACHE_KEY_PREFIX": "shop_"}
    assert found(shop, {**REDIS, "CACHE_KEY_PREFIX": "shop_eu_"}) == ["prefix"]
    assert found(shop, {**REDIS, "CACHE_KEY_PREFIX": "blog_"}) == []
    assert found(shop, {**REDIS, "CACHE_KEY_PREFIX": "shop_eu_", "CACHE_REDIS_PORT": 1}) == []


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


def test_no_cache_at_all() -> None:
    assert found({"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}) == ["null"]
