"""Formats of stored values: what a codec writes, and that a backend has the right one."""

from __future__ import annotations

import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from cachelib.serializers import (
    BaseSerializer,
    FileSystemSerializer,
    JSONSerializer,
    RedisSerializer,
)
from flask_caching.backends import FileSystemCache, MemcachedCache, RedisCache
from flask_caching.codecs import Codec
from flask_caching.codecs.content_types import ContentTypes
from flask_caching.codecs.files import contents
from flask_caching.codecs.pylibmc import ByClient, Pylibmc, Sealed
from flask_caching.codecs.redis import RedisCodec
from flask_caching.codecs.serialized import ForeignTextError, Serialized
from flask_caching.errors import UnstorableValueError

CODECS: dict[str, Codec] = {
    "serialized": Serialized(BaseSerializer()),
    "redis": RedisCodec(RedisSerializer()),
    "pylibmc": Pylibmc(BaseSerializer()),
    "pylibmc by protocol 2": Pylibmc(BaseSerializer(), 2),
    "sealed": Sealed(BaseSerializer()),
    "content types": ContentTypes(BaseSerializer()),
    "files": contents(FileSystemSerializer())[1],
}
EVERY_CODEC = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)

VALUES: list[Any] = [
    None, True, False, 0, -7, 10**30, 1.5, "", "text", "12", "\udc80", b"", b"!bytes", b"12",
    [1, [2]], (1, 2), {"a": [1]}, {1: 2}, {1, 2}, ValueError("no"),
]  # fmt: skip


@EVERY_CODEC
def test_what_is_encoded_is_decoded(codec: Codec) -> None:
    for value in VALUES:
        data, flags = codec.encode(value)
        assert type(data) is bytes
        found = codec.decode(data, flags)
        assert type(found) is type(value)
        assert repr(found) == repr(value)


@EVERY_CODEC
def test_what_cannot_be_encoded_is_said_to_be_unstorable(codec: Codec) -> None:
    with pytest.raises(UnstorableValueError):
        codec.encode(threading.Lock())


@EVERY_CODEC
def test_what_is_no_value_is_not_decoded(codec: Codec) -> None:
    for data in (b"\x80\x05damaged", b"!\x80"):
        flags = codec.encode(ValueError())[1]
        with pytest.raises((pickle.UnpicklingError, ValueError, EOFError)):
            codec.decode(data, flags)


def test_bytes_and_flags_are_those_of_flask_caching() -> None:
    pickled = pickle.dumps([1], pickle.HIGHEST_PROTOCOL)
    assert CODECS["serialized"].encode([1]) == (pickled, 0)
    assert CODECS["files"].encode([1]) == (pickled, 0)
    assert CODECS["redis"].encode([1]) == (b"!" + pickled, 0)
    assert CODECS["redis"].encode(12) == (b"12", 0)
    assert CODECS["pylibmc"].encode([1]) == (pickled, 1)
    assert [CODECS["pylibmc"].encode(value) for value in (12, True, "ä", b"x")] == [
        (b"12", 4), (b"1", 2), ("ä".encode(), 16), (b"x", 0)
    ]  # fmt: skip
    assert CODECS["sealed"].encode(12) == (pickle.dumps(12, 2), 0)
    assert CODECS["content types"].encode({"a": 1}) == (json.dumps({"a": 1}).encode(), 0)


def test_text_of_others_is_told_from_damage() -> None:
    with pytest.raises(ForeignTextError):
        CODECS["redis"].decode(b"hello", 0)


def test_a_client_object_gets_the_value_itself() -> None:
    codec = ByClient(BaseSerializer())
    value = {"a": 1}
    assert codec.encode(value)[0] is value
    with pytest.raises(UnstorableValueError):
        codec.encode(threading.Lock())


def test_a_backend_follows_its_serializer(tmp_path: Path, memcached_server: Any) -> None:
    for cache in (
        RedisCache("127.0.0.1", 1, key_prefix="x"),
        MemcachedCache([memcached_server.address]),
        FileSystemCache(str(tmp_path)),
    ):
        before = cache._present_codec()
        assert cache._present_codec() is before
        cache.serializer = JSONSerializer()
        assert cache._dump("key", {"a": 1})[0] == b'{"a": 1}'
        with pytest.raises(UnstorableValueError):
            cache._dump("key", {1, 2})


def test_a_backend_follows_its_options(memcached_server: Any) -> None:
    cache = MemcachedCache([memcached_server.address])
    assert cache._dump("key", [1])[0] == pickle.dumps([1], pickle.HIGHEST_PROTOCOL)
    cache._client.behaviors = {"pickle_protocol": 2}
    assert cache._dump("key", [1])[0] == pickle.dumps([1], 2)


def test_only_bytes_are_signed_for_a_client_object() -> None:
    class Client:
        get = get_multi = set = set_multi = add = delete = delete_multi = flush_all = None

    cache = MemcachedCache(Client())
    assert cache._dump("key", [1]) == ([1], 0)
    cache.signing_keys = ["secret"]
    assert cache._dump("key", [1])[0] == pickle.dumps([1], pickle.HIGHEST_PROTOCOL)
