"""SimpleCache: the contract of every backend, and what is its own."""

from flask_caching.backends.simplecache import SimpleCache
from flask_caching.testing import BackendContract


class TestContract(BackendContract):
    engine_clock = True

    def make_backend(self) -> SimpleCache:
        return SimpleCache()


class TestContractWithManyShards(BackendContract):
    engine_clock = True

    def make_backend(self) -> SimpleCache:
        return SimpleCache(threshold=1_000_000)
