"""What a FileSystemCache of either package does; run in a process with one of them."""

from __future__ import annotations

import logging
import os
import random
from typing import Any

from cachelib.serializers import BaseSerializer, JSONSerializer
from flask import Response
from flask_caching.backends.filesystemcache import FileSystemCache

SERIALIZERS: dict[str, type[BaseSerializer]] = {"pickle": BaseSerializer, "json": JSONSerializer}

PLAIN = {
    "str": "text",
    "int": 7,
    "big": 2**80,
    "bool": True,
    "float": 1.5,
    "none": None,
    "list": [1, {"a": [None]}],
    "long": "x" * 100_000,
    "é\0\n": "odd key",
}
OBJECTS = {"bytes": b"\0bytes", "tuple": (1, {2}, frozenset("3")), "complex": 1j}


def open_cache(directory: str, serializer: str = "pickle", threshold: int = 500) -> FileSystemCache:
    cache = FileSystemCache(directory, threshold=threshold)
    cache.serializer = SERIALIZERS[serializer]()
    return cache


def write(directory: str, serializer: str, timeout: int) -> None:
    cache = open_cache(directory, serializer)
    for key, value in values(serializer).items():
        assert cache.set(key, value, timeout)
    if serializer == "pickle":
        response = Response("body", 201, {"X-Test": "yes"})
        assert cache.set("response", response, timeout)


def read(directory: str, serializer: str) -> dict[str, Any]:
    """What is read, by what should have been: empty where all is right."""
    cache = open_cache(directory, serializer)
    wrong: dict[str, Any] = {}
    for key, value in values(serializer).items():
        found = cache.get(key)
        if found != value or type(found) is not type(value) or not cache.has(key):
            wrong[key] = repr(found)
    if serializer == "pickle":
        response = cache.get("response")
        if (response.data, response.status_code, response.headers["X-Test"]) != (
            b"body",
            201,
            "yes",
        ):
            wrong["response"] = repr(response)
    return wrong


def values(serializer: str) -> dict[str, Any]:
    return PLAIN | (OBJECTS if serializer == "pickle" else {})


def count(directory: str, serializer: str) -> tuple[int, int]:
    """The number of entries as it is kept, and as it is, without opening the directory anew."""
    cache = FileSystemCache(directory, threshold=0)
    cache.serializer = SERIALIZERS[serializer]()
    return cache._file_count, len(list(cache._list_dir()))


def answers(directory: str) -> list[Any]:
    """What the methods return."""
    cache = open_cache(directory)
    return [
        cache.get("none"),
        cache.has("none"),
        cache.delete("none"),
        cache.set("a", 1),
        cache.add("a", 2),
        cache.add("b", 2),
        cache.get("a"),
        cache.has("a"),
        cache.set_many({"c": 3, "d": 4}),
        cache.get_many("a", "none", "c"),
        cache.get_dict("a", "none"),
        cache.delete("a"),
        cache.has("a"),
        cache.delete_many("b", "none"),
        cache.inc("n"),
        cache.inc("n", 4),
        cache.dec("n", 2),
        cache.get("n"),
        cache.dec("m"),
        cache.clear(),
        cache.get("n"),
        cache.clear(),
        sorted(os.path.basename(cache._get_filename(key)) for key in ("a", "é", "")),
    ]


class Overtaken(logging.Handler):
    """Counts the writes of Flask-Caching that succeeded, and are called failures.

    After a file is in its place its size is looked at; somebody else may have removed it by then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, FileNotFoundError):
            # Had the file not come into its place, it would be the temporary one that is missing.
            self.count += not str(error.filename).endswith(".__wz_cache")


def mixed(directory: str, seed: int, threshold: int) -> dict[str, int]:
    """Use a directory at random while others do the same; what went wrong in it."""
    overtaken = Overtaken()
    logging.getLogger().addHandler(overtaken)
    try:
        return _mixed(directory, seed, threshold, overtaken)
    finally:
        logging.getLogger().removeHandler(overtaken)


def _mixed(directory: str, seed: int, threshold: int, overtaken: Overtaken) -> dict[str, int]:
    cache = open_cache(directory, threshold=threshold)
    chance = random.Random(seed)
    outcome = {"wrong": 0, "refused": 0}
    for _ in range(400):
        key = str(chance.randrange(3 * threshold))
        choice = chance.random()
        if choice < 0.5:
            before = overtaken.count
            stored = cache.set(key, "value " + key)
            outcome["refused"] += not stored and overtaken.count == before
        elif choice < 0.8:
            outcome["wrong"] += cache.get(key) not in (None, "value " + key)
        elif choice < 0.9:
            cache.delete(key)
        else:
            cache.add(key, "value " + key)
    return outcome
