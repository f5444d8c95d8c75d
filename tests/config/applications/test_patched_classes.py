"""Subclasses of any metaclass, and methods that are patched on classes while they are in use."""

from __future__ import annotations

from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar
from unittest import mock

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching._engine import replaced_methods
from flask_caching.backends import FileSystemCache, SimpleCache

T = TypeVar("T")


class Singleton(type):
    """The metaclass of classes with one instance each."""

    instances: dict[type, Any] = {}  # noqa: RUF012

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls not in cls.instances:
            cls.instances[cls] = super().__call__(*args, **kwargs)
        return cls.instances[cls]


class Getting(Protocol):
    def get(self, key: str) -> Any: ...


class Abstract(ABC):
    @abstractmethod
    def name(self) -> str: ...


class Plain:
    """A base class that adds nothing."""


def with_abc(base: type) -> type:
    class Own(base, Abstract):  # type: ignore[misc,valid-type]
        def name(self) -> str:
            return "own"

    return Own


def with_abc_meta(base: type) -> type:
    return ABCMeta("Own", (base,), {})


def with_singleton(base: type) -> type:
    return Singleton("Own", (base,), {})


def with_generic(base: type) -> type:
    class Own(base, Generic[T]):  # type: ignore[misc,valid-type]
        pass

    return Own[int].__origin__  # type: ignore[no-any-return,attr-defined]


def with_protocol(base: type) -> type:
    class Own(base, Getting):  # type: ignore[misc,valid-type]
        pass

    return Own


KINDS = [with_abc, with_abc_meta, with_singleton, with_generic, with_protocol]


class Program:
    """An application whose functions count their runs, and who asks `get`."""

    def __init__(self, cache: type[Cache] = Cache, backend: type | str = "SimpleCache") -> None:
        self.app = Flask("patched")
        self.cache = cache(self.app, config={"CACHE_TYPE": backend})
        self.runs = 0

        @self.cache.memoize()
        def memoized(a: int) -> str:
            self.runs += 1
            return "computed"

        @self.app.route("/")
        @self.cache.cached()
        def view() -> str:
            self.runs += 1
            return "computed"

        self.memoized = memoized

    def call(self) -> list[str]:
        with self.app.app_context():
            return [self.memoized(1), self.app.test_client().get("/").text]

    def warm(self) -> None:
        for _ in range(3):
            assert self.call() == ["computed", "computed"]
        assert self.runs == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["cache", "backend"])
def test_another_metaclass_is_no_matter(kind: Callable[[type], type], what: str) -> None:
    program = Program(kind(Cache)) if what == "cache" else Program(backend=kind(SimpleCache))
    program.warm()
    assert not replaced_methods(program.cache, program.cache.cache)
    with program.app.app_context():
        program.cache.delete_memoized(program.memoized, 1)
    program.call()
    assert program.runs == 3


def other(*_: Any, **__: Any) -> str:
    return "patched"


#: Of which classes a method may be patched, by the class of the program's cache and backend.
class Base(Cache):
    pass


class Derived(Base, Plain):
    pass


class BaseBackend(SimpleCache):
    pass


class DerivedBackend(BaseBackend, Plain):
    pass


PATCHED = [
    pytest.param(patched, cache, backend, id=f"{patched.__name__}-{cache.__name__}")
    for patched, cache, backend in [
        (Cache, Cache, SimpleCache),
        (Cache, Derived, SimpleCache),
        (Base, Derived, SimpleCache),
        (Derived, Derived, SimpleCache),
        (SimpleCache, Cache, SimpleCache),
        (SimpleCache, Cache, DerivedBackend),
        (BaseBackend, Cache, DerivedBackend),
        (DerivedBackend, Cache, DerivedBackend),
    ]
]
patched_classes = pytest.mark.parametrize(("patched", "cache", "backend"), PATCHED)


@patched_classes
@pytest.mark.parametrize("by", ["monkeypatch", "mock", "assignment"])
def test_a_patch_is_seen_by_the_next_call(
    patched: type, cache: type[Cache], backend: type, by: str
) -> None:
    program = Program(cache, backend)
    program.warm()
    for _ in range(3):
        if by == "monkeypatch":
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.setattr(patched, "get", other)
                assert program.call() == ["patched", "patched"]
        elif by == "mock":
            with mock.patch.object(patched, "get", side_effect=other) as get:
                assert program.call() == ["patched", "patched"]
                assert get.call_count == 2
        else:
            before = vars(patched).get("get")
            patched.get = other  # type: ignore[attr-defined]
            try:
                assert program.call() == ["patched", "patched"]
            finally:
                if before is None:
                    del patched.get  # type: ignore[attr-defined]
                else:
                    patched.get = before  # type: ignore[attr-defined]
        assert program.call() == ["computed", "computed"]
    assert program.runs == 2


@patched_classes
def test_more_patches_than_a_class_has_version_tags(
    patched: type, cache: type[Cache], backend: type
) -> None:
    # CPython gives a class a thousand tags, and none after that.
    program = Program(cache, backend)
    program.warm()
    for number in range(1100):
        with mock.patch.object(patched, "get", other):
            if number % 50 == 0 or number > 1090:
                assert program.call() == ["patched", "patched"]
            else:
                with program.app.app_context():
                    assert program.memoized(1) == "patched"
        if number % 50 == 0 or number > 1090:
            assert program.call() == ["computed", "computed"]
    assert program.runs == 2
    assert "get" not in replaced_methods(program.cache, program.cache.cache)
    with mock.patch.object(patched, "get", other):
        assert "get" in replaced_methods(program.cache, program.cache.cache)


def test_a_base_class_that_is_put_in_between_is_seen() -> None:
    class Own(Base):
        pass

    class With(Cache):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            return "patched"

    program = Program(Own)
    program.warm()
    Own.__bases__ = (With, Base)
    assert program.call() == ["patched", "patched"]
    Own.__bases__ = (Base,)
    assert program.call() == ["computed", "computed"]


@pytest.mark.parametrize("method", ["set", "set_many", "add"])
def test_a_patched_write_is_seen(method: str) -> None:
    program = Program(Derived, DerivedBackend)
    with program.app.app_context():
        program.memoized(0)
    written: list[Any] = []
    for patched in (Cache, Derived, SimpleCache, DerivedBackend):
        original = getattr(patched, method)

        def write(*args: Any, original: Any = original, **kwargs: Any) -> Any:
            written.append(args[1])
            return original(*args, **kwargs)

        with program.app.app_context(), mock.patch.object(patched, method, write):
            program.cache.clear()
            program.memoized(1)
            program.memoized(1)
            seen = len(written)
            assert method in replaced_methods(program.cache, program.cache.cache)
        with program.app.app_context():
            program.cache.clear()
            program.memoized(1)
        assert len(written) == seen
    if method == "set":
        assert len(written) == 4


def test_patches_of_one_backend_leave_others_alone(tmp_path: Any) -> None:
    program = Program()
    program.warm()
    files = Flask("files")
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    program.cache.init_app(files, config=config)
    with mock.patch.object(FileSystemCache, "get", other):
        assert program.call() == ["computed", "computed"]
        with files.app_context():
            assert program.memoized(1) == "patched"
            assert program.call()[0] == "computed"
    with files.app_context():
        assert program.memoized(1) == "computed"
