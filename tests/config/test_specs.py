"""What a backend says about itself, and what follows from it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache, backends
from flask_caching.backends import _registry
from flask_caching.backends.base import BaseCache
from flask_caching.backends.spec import COUNT, OPTIONAL_TEXT, BackendSpec, Setting
from flask_caching.config import DEFAULTS, GENERAL
from flask_caching.errors import CacheConfigError

#: The names of Flask-Caching, now and in former releases.
NAMES = {
    "NullCache": ["null"],
    "SimpleCache": ["simple"],
    "FileSystemCache": ["filesystem"],
    "RedisCache": ["redis"],
    "RedisSentinelCache": ["redissentinel", "RedisSentinel"],
    "RedisClusterCache": ["rediscluster", "RedisCluster"],
    "MemcachedCache": ["memcached", "gaememcached"],
    "SASLMemcachedCache": ["saslmemcached"],
    "SpreadSASLMemcachedCache": ["spreadsaslmemcached", "spreadsaslmemcachedcache"],
    "UWSGICache": ["uwsgi"],
    "GoogleCloudStorageCache": [],
}


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout


def test_every_backend_is_found_by_its_names() -> None:
    assert {spec.name for spec in _registry.specs()} >= NAMES.keys()
    for name, former in NAMES.items():
        backend = _registry.find(name)
        assert backend.__name__ == backend.backend_spec.name == name
        assert all(_registry.find(other) is backend for other in former)
    assert _registry.find("BaseCache") is None
    assert _registry.find("") is None


@pytest.mark.parametrize(
    ("cache_type", "imported"),
    [
        (None, ["simplecache"]),
        ("SimpleCache", ["simplecache"]),
        ("filesystem", ["filesystemcache", "simplecache"]),
        ("RedisSentinelCache", ["rediscache", "simplecache"]),
        ("saslmemcached", ["memcache", "simplecache"]),
    ],
)
def test_no_backend_is_imported_that_is_not_used(cache_type: str | None, imported: list) -> None:
    found = run(
        "import sys, flask_caching\n"
        "from flask_caching.backends import _registry\n"
        f"{cache_type!r} and _registry.find({cache_type!r})\n"
        "print(*(name for name in _registry.modules() if name in sys.modules))"
    )
    modules = {name.rpartition(".")[2] for name in found.split()} - {"base", "spec"}
    assert sorted(modules) == imported


def test_a_backend_that_was_not_imported_is_there_all_the_same() -> None:
    run(
        "import flask_caching\n"
        "assert flask_caching.backends.rediscache.RedisCache is flask_caching.backends.RedisCache\n"
        "assert flask_caching.backends.memcache.MemcachedCache\n"
        "from flask_caching.backends import *\n"
        "assert SpreadSASLMemcachedCache.__mro__[1] is SASLMemcachedCache\n"
    )
    for name in backends.__all__:
        assert getattr(backends, name).__name__ == name
    for name in ("NoSuchCache", "redis", "UWSGICache", "_no_such_module", "uwsgicache"):
        assert not hasattr(backends, name)


class Kept(BaseCache):
    """A backend of somebody else's that describes itself as ours do."""

    backend_spec = BackendSpec(
        "Kept",
        "nowhere",
        settings=(
            Setting("KEPT_FIRST", OPTIONAL_TEXT, "first", option="first", goes="first"),
            Setting("KEPT_LAST", OPTIONAL_TEXT, "last", default="z", option="last", goes="last"),
            Setting("KEPT_WORD", OPTIONAL_TEXT, "word", default="w", option="word"),
            Setting("KEPT_IF_SET", OPTIONAL_TEXT, "if set", option="if_set", goes="if_set"),
            Setting("KEPT_UNLESS", COUNT, "unless given", 9, option="unless", goes="unless_given"),
            Setting("KEPT_ASIDE", OPTIONAL_TEXT, "for somebody else"),
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.made_with = (args, kwargs)


@pytest.mark.parametrize(
    ("config", "options", "args", "kwargs"),
    [
        ({}, {}, (None, "arg", "z"), {"word": "w"}),
        ({"KEPT_FIRST": "a", "KEPT_LAST": "b"}, {}, ("a", "arg", "b"), {"word": "w"}),
        ({"KEPT_WORD": None}, {"word": "option"}, (None, "arg", "z"), {"word": None}),
        ({"KEPT_IF_SET": ""}, {"if_set": 1}, (None, "arg", "z"), {"word": "w", "if_set": 1}),
        ({"KEPT_IF_SET": "s"}, {"if_set": 1}, (None, "arg", "z"), {"word": "w", "if_set": "s"}),
        ({"KEPT_UNLESS": 0}, {}, (None, "arg", "z"), {"word": "w", "unless": 0}),
        ({"KEPT_UNLESS": 0}, {"unless": 1}, (None, "arg", "z"), {"word": "w", "unless": 1}),
    ],
)
def test_settings_go_where_the_spec_says(
    config: dict[str, Any], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    app = Flask("x")
    given = {"CACHE_TYPE": Kept, "CACHE_ARGS": ["arg"], "CACHE_OPTIONS": options, **config}
    made_args, made_kwargs = Cache(app, config=given).cache.made_with
    general = {"default_timeout": 300, "ignore_delete_many_errors": False}
    assert (made_args, made_kwargs) == (args, {**general, **kwargs})


def test_what_has_to_be_given_is_asked_for() -> None:
    with pytest.raises(CacheConfigError, match="GoogleCloudStorageCache needs CACHE_GCS_BUCKET"):
        Cache(Flask("x"), config={"CACHE_TYPE": "GoogleCloudStorageCache"})


def settings() -> list[tuple[BackendSpec, Setting]]:
    return [(spec, setting) for spec in _registry.specs() for setting in spec.settings]


@pytest.mark.parametrize(
    ("spec", "setting"), settings(), ids=lambda part: getattr(part, "name", None)
)
def test_a_setting_is_a_parameter_of_the_constructor(spec: BackendSpec, setting: Setting) -> None:
    parameters = inspect.signature(_registry.find(spec.name)).parameters
    assert setting.doc
    assert setting.name.startswith("CACHE_")
    if setting.option not in parameters:
        assert parameters["kwargs"].kind is inspect.Parameter.VAR_KEYWORD
    elif setting.goes in ("keyword", "unless_given") and setting.name not in DEFAULTS:
        default = parameters[setting.option].default
        assert default in (setting.default, None, ""), "one default, in one place"


def test_a_default_is_of_its_own_kind() -> None:
    for setting in [*GENERAL, *(setting for _, setting in settings())]:
        if setting.default is not None:
            assert setting.kind.accepts(setting.default), setting.name


@pytest.mark.parametrize("setting", [setting for _, setting in settings()])
def test_a_message_names_the_setting_and_hides_what_is_secret(setting: Setting) -> None:
    class Odd:
        def __repr__(self) -> str:
            return "hunter2"

    with pytest.raises(CacheConfigError, match=setting.name) as caught:
        setting.check({setting.name: Odd()})
    assert ("hunter2" in str(caught.value)) is not setting.secret
    assert "Odd" in str(caught.value) or not setting.secret


def test_a_backend_is_added_by_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "keptcache.py").write_text(
        "from flask_caching.backends.simplecache import SimpleCache\n"
        "from flask_caching.backends.spec import COUNT, BackendSpec, Setting\n"
        "class KeptCache(SimpleCache):\n"
        "    backend_spec = BackendSpec('KeptCache', 'here', (\n"
        "        Setting('CACHE_KEPT', COUNT, 'how many', 5, option='threshold'),\n"
        "    ), deprecated=('keeper',))\n"
    )
    run(
        "import warnings\n"
        "from flask import Flask\n"
        "from flask_caching import Cache, CacheConfigError, backends\n"
        f"backends.__path__.append({str(tmp_path)!r})\n"
        "def make(**config):\n"
        "    return Cache(Flask('x'), config={'CACHE_TYPE': 'KeptCache', **config}).cache\n"
        "assert type(make()) is backends.KeptCache\n"
        "assert make()._threshold == 5 and make(CACHE_KEPT=7)._threshold == 7\n"
        "for wrong in ({'CACHE_KEPT': 'x'}, {'CACHE_TYPE': 'NoSuchCache'}):\n"
        "    try:\n"
        "        make(**wrong)\n"
        "    except CacheConfigError as error:\n"
        "        assert 'CACHE_KEPT must be' in str(error) or 'KeptCache' in str(error)\n"
        "    else:\n"
        "        raise AssertionError(wrong)\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    assert make(CACHE_TYPE='keeper')\n"
        "told = [w.category for w in caught if 'keeper' in str(w.message)]\n"
        "assert told == [DeprecationWarning], caught\n"
    )


def test_whoever_looks_around_sees_all_backends() -> None:
    assert set(backends.__all__) < set(dir(backends))
