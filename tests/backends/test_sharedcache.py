"""SharedCache: the contract of every backend, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask_caching.backends.sharedcache import SharedCache
from flask_caching.testing import BackendContract


class TestContract(BackendContract):
    engine_clock = True

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "cache"

    def make_backend(self) -> SharedCache:
        return SharedCache(str(self.directory), max_bytes=8 << 20)


class TestContractSigned(TestContract):
    def make_backend(self) -> SharedCache:
        cache = super().make_backend()
        cache.signing_keys = ["secret"]
        return cache
