"""``flask cache …`` by the ``flask`` command itself, and by click's runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cachelib
import pytest
from click.testing import Result
from flask import Flask
from flask_caching import Cache
from flask_caching.cli import cache as commands
from flask_caching.cli._stats import table
from flask_caching.stats import BackendStats, CacheStats, FunctionCounts, Latency

SECRET = "hunter2-is-secret"
FLASK = Path(sys.executable).parent / "flask"


@pytest.fixture
def app() -> Flask:
    return Flask("commanded")


@pytest.fixture
def cache(app: Flask) -> Cache:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.route("/page/<int:number>")
    @cache.cached(query_string=True)
    def page(number: int) -> str:
        return str(number)

    return cache


def run(app: Flask, *arguments: str, status: int = 0, **options: Any) -> str:
    result: Result = app.test_cli_runner().invoke(commands, args=arguments, **options)
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def test_they_are_found_without_configuration(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\nfrom flask_caching import Cache\n"
        "app = Flask('shop')\ncache = Cache(app, config={'CACHE_TYPE': 'SimpleCache'})\n"
    )
    # Flask 2.1 has no option --app.
    done = subprocess.run(
        [FLASK, "cache", "ping"],
        cwd=tmp_path,
        env={**os.environ, "FLASK_APP": "shop"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("SimpleCache")
    environment = {name: value for name, value in os.environ.items() if name != "FLASK_APP"}
    done = subprocess.run(
        [FLASK, "cache", "ping"],
        cwd=tmp_path / "..",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Could not locate a Flask application" in done.stderr


def test_keys_are_read_listed_and_deleted(app: Flask, cache: Cache) -> None:
    with app.app_context():
        cache.set_many({"a": [1, 2], "ab": "x" * 5000, "b\n": None})
    assert run(app, "get", "a") == "[1, 2]\n"
    assert len(run(app, "get", "ab")) < 1100
    about = run(app, "get", "ab", "--info").split()
    assert about[:3] == ["type", "str", "size"]
    assert about[5:] == ["expires", "in", "5", "min"]
    assert len(run(app, "get", "ab", "--full")) > 5000
    assert run(app, "get", "b\n") == "None\n"
    assert "nothing under 'z'" in run(app, "get", "z", status=1)
    assert run(app, "keys") == "a\nab\n'b\\n'\n"
    assert run(app, "keys", "--prefix", "a") == "a\nab\n"
    assert run(app, "keys", "--most", "1").startswith("a\n")
    said = run(app, "delete", "a", "z")
    assert "1 of 2 deleted\n" in said
    assert "nothing in the processes that serve" in said
    assert run(app, "keys") == "ab\n'b\\n'\n"


def test_a_terminal_that_lacks_characters_gets_others(app: Flask, cache: Cache) -> None:
    with app.app_context():
        cache.set("größe-ключ", "…")
        runner = app.test_cli_runner(charset="latin-1")
        assert runner.invoke(commands, ["keys"]).output == "größe-\\u043a\\u043b\\u044e\\u0447\n"
        assert runner.invoke(commands, ["get", "größe-ключ"]).output == "'\\u2026'\n"


def test_everything_is_deleted_after_a_question(app: Flask, cache: Cache) -> None:
    with app.app_context():
        cache.set("a", 1)
        assert "Aborted" in run(app, "clear", input="n\n", status=1)
        assert cache.get("a") == 1
        run(app, "clear", input="y\n")
        assert cache.get("a") is None
        cache.set("a", 1)
        run(app, "clear", "--yes")
        assert cache.get("a") is None


def test_results_of_functions_are_deleted(app: Flask, cache: Cache) -> None:
    runs: list[int] = []

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return a

    with app.app_context():
        function(1), function(1)
        run(app, "delete-memoized", f"{__name__}:{function.__qualname__}")
        function(1)
    assert runs == [1, 1]
    assert "no function json:nothing" in run(app, "delete-memoized", "json:nothing", status=1)
    assert "is not memoized" in run(app, "delete-memoized", "json:dumps", status=1)
    assert "module:function" in run(app, "delete-memoized", "function", status=2)


def test_results_of_all_functions_of_a_name_are_deleted(app: Flask, cache: Cache) -> None:
    def made(number: int) -> Any:
        @cache.memoize()
        def function() -> int:
            runs.append(number)
            return number

        return function

    runs: list[int] = []
    functions = [made(number) for number in range(3)]
    with app.app_context():
        for function in functions:
            function(), function()
        run(app, "delete-memoized", f"{__name__}:{functions[0].__qualname__}")
        for function in functions:
            function()
    assert runs == [0, 1, 2, 0, 1, 2]


def test_pages_are_deleted(app: Flask, cache: Cache) -> None:
    runs: list[int] = []

    @app.route("/paged")
    @cache.page(timeout=60)
    def paged() -> str:
        runs.append(1)
        return "page"

    client = app.test_client()
    client.get("/paged"), client.get("/paged")
    assert len(runs) == 1
    assert "deleted" in run(app, "delete-page", "/paged")
    client.get("/paged")
    assert len(runs) == 2
    assert "neither a path" in run(app, "delete-page", "paged", status=2)
    run(app, "delete-page", "http://elsewhere.example/paged")
    client.get("/paged")
    assert len(runs) == 2
    run(app, "delete-page", "http://localhost/paged")
    client.get("/paged")
    assert len(runs) == 3
    with app.app_context():
        assert any(counts.kind == "page" for counts in cache.stats().functions.values())


def test_what_has_a_tag_is_deleted(app: Flask, cache: Cache) -> None:
    runs: list[int] = []

    @cache.memoize(tags=["tagged"])
    def function(a: int) -> int:
        runs.append(a)
        return a

    with app.app_context():
        function(1), function(1)
        assert "'tagged' is deleted" in run(app, "delete-tags", "tagged")
        function(1)
    assert runs == [1, 1]
    assert "must not be empty" in run(app, "delete-tags", "", status=1)


def test_what_is_known_of_an_entry(app: Flask, cache: Cache) -> None:
    @app.route("/paged")
    @cache.page(timeout=0)
    def paged() -> str:
        return "page"

    app.test_client().get("/paged")
    with app.app_context():
        cache.set("tagged", [1], tags=["b", "a"])
    about = run(app, "get", "tagged", "--info").splitlines()
    assert about[0] == "type     list"
    assert about[-1] == "tags     a, b"
    keys = run(app, "keys", "--prefix", "page:").split()
    key = next(key for key in keys if "_memver" not in key)
    about = run(app, "get", key, "--info").splitlines()
    assert about[2] == "expires  never"
    assert about[3].startswith("stored   ")
    assert about[3].endswith(" ago")


def test_of_several_caches_one_is_named(app: Flask, cache: Cache, tmp_path: Path) -> None:
    Cache(app, config={"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)})
    assert "--cache N" in run(app, "ping", status=2)
    assert run(app, "ping", "--cache", "1").startswith("SimpleCache")
    assert run(app, "ping", "--cache", "2").startswith("FileSystemCache")
    assert "has 2" in run(app, "ping", "--cache", "3", status=2)
    assert "cannot list" in run(app, "keys", "--cache", "2", status=1)
    assert "has no cache" in run(Flask("empty"), "ping", status=1)


class Foreign(cachelib.SimpleCache):  # type: ignore[misc]
    """A backend of an application's own, which knows nothing of this package."""

    key_prefix = "own_"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()


def make_foreign(app: Flask, config: Any, args: Any, kwargs: Any) -> Foreign:
    return Foreign()


COMMANDS = [
    ["get", "a"],
    ["get", "a", "--info"],
    ["keys"],
    ["ping"],
    ["config"],
    ["doctor"],
    ["stats"],
    ["stats", "--json"],
    ["delete", "a"],
    ["delete-tags", "a"],
    ["delete-page", "/page/1"],
    ["warm", "/page/1"],
    ["clear", "--yes"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ["foreign", "NullCache"])
def test_each_command_on_backends_that_know_less(
    app: Flask, arguments: list[str], kind: str
) -> None:
    backend = f"{__name__}.make_foreign" if kind == "foreign" else kind
    config = {"CACHE_TYPE": backend, "CACHE_NO_NULL_WARNING": True}
    cache = Cache(app, config=config)

    @app.route("/page/1")
    @cache.cached()
    def page() -> str:
        return "page"

    with app.app_context():
        cache.set("a", 1)
    result = app.test_cli_runner().invoke(commands, args=arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert result.exit_code in (0, 1)
    assert "Traceback" not in result.output


def test_what_is_written_wrongly_is_a_sentence(app: Flask, cache: Cache, tmp_path: Path) -> None:
    for arguments in (
        ["get"],
        ["delete"],
        ["delete-tags"],
        ["delete-memoized"],
        ["delete-memoized", ":"],
        ["delete-page"],
        ["keys", "--most", "0"],
        ["stats", "--every", "0"],
        ["stats", "--every", "now"],
        ["ping", "--cache", "0"],
        ["ping", "--cache", "none"],
        ["config", "more"],
        ["nosuch"],
    ):
        said = run(app, *arguments, status=2)
        assert "Error: " in said
        assert max(map(len, said.splitlines())) <= 80


def test_the_list_of_commands_is_whole_at_eighty_columns(app: Flask) -> None:
    said = run(app, "--help", terminal_width=80)
    assert "..." not in said.partition("Commands:")[2]


def test_a_module_that_cannot_be_imported_is_a_sentence(
    app: Flask, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('not today')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    said = run(app, "delete-memoized", "broken_module:f", status=1)
    assert said == "Error: there is no function broken_module:f: not today\n"


def test_watching_ends_with_ctrl_c_and_outlives_an_outage(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": 1}
    Cache(app, config={**config, "CACHE_KEY_PREFIX": "watched:"})
    rounds = iter((None, None))

    def sleep(seconds: float) -> None:
        if next(rounds, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    said = run(app, "stats", "--watch")
    assert said.count("127.0.0.1:1") == 3


def test_a_server_that_is_down_is_a_sentence() -> None:
    app = Flask("down")
    password = {"CACHE_REDIS_PASSWORD": SECRET, "CACHE_REDIS_HOST": "127.0.0.1"}
    Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": 1, **password})
    for arguments in (["ping"], ["get", "a"], ["keys"], ["stats"], ["clear", "--yes"]):
        said = run(app, *arguments, status=1)
        assert said.startswith("Error: ")
        assert SECRET not in said


def test_settings_say_where_they_come_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = Flask("configured")
    monkeypatch.setenv("FLASK_CACHE_THRESHOLD", "7")
    app.config.from_prefixed_env()
    app.config["CACHE_DIR"] = str(tmp_path)
    both = Flask("both")
    Cache(both, config={"CACHE_TYPE": "SimpleCache"})
    assert "'SimpleCache'  [Cache(config=…)]" in run(both, "config")
    cache = Cache(config={"CACHE_TYPE": "FileSystemCache", "CACHE_SIGNING_KEY": SECRET})
    cache.init_app(app, {"CACHE_DEFAULT_TIMEOUT": 9, "CACHE_REDIS_URL": f"redis://:{SECRET}@h"})
    # The columns are as wide as the longest name.
    said = " ".join(run(app, "config").split())
    assert SECRET not in said
    for line in (
        "CACHE_TYPE 'FileSystemCache' [Cache(config=…)]",
        "CACHE_SIGNING_KEY (set, not shown) [Cache(config=…)]",
        "CACHE_DEFAULT_TIMEOUT 9 [init_app(config=…)]",
        "CACHE_THRESHOLD 7 [app.config, $FLASK_CACHE_THRESHOLD is set]",
        "CACHE_DIR '/",
        "CACHE_SOURCE_CHECK False [default]",
        "CACHE_REDIS_URL (not read by this backend) [init_app(config=…)]",
    ):
        assert line in said
    assert SECRET not in run(app, "config", "--json")
    assert json.loads(run(app, "config", "--json"))[0]["setting"] == "CACHE_TYPE"


def test_a_table_is_eighty_columns_wide(app: Flask, cache: Cache) -> None:
    counts = {"hits": 123_456_789, "misses": 98_765, "computed": 9, "computing_time": 8.5}
    numbers = {**counts, "time_saved": 4e6}
    latency = Latency(10**9, 10**6, 5.0, ((0.0004, 10**9),))
    stats = CacheStats(
        **numbers,
        refusals={"because " * 30 + "\x1b[31m": 10**6},
        functions={f"\x1b[2Ja.long.module.name.{n}": FunctionCounts(**numbers) for n in range(30)},
        backend=BackendStats(
            "RedisSentinelCache", 10**8, 10**12, 10**8, latencies={"delete_many": latency}
        ),
        processes=9,
    )
    shown = table(stats)
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    assert "8 processes of the application" in shown
    assert "10 more" in shown
    assert max(map(len, run(app, "stats").splitlines())) <= 80
    assert json.loads(run(app, "stats", "--json"))["processes"] == 1
