"""One directory, both packages: each reads and counts what the other wrote."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask_caching.backends.filesystemcache import FileSystemCache


@pytest.mark.parametrize("timeout", [0, 300])
@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_each_reads_what_the_other_wrote(reference, ours, tmp_path, serializer, timeout):
    both = (ours, reference)
    for writer, reader in ((reference, ours), (ours, reference)):
        directory = str(tmp_path / ("by-ours" if writer is ours else "by-reference"))
        writer.call("file_programs", "write", directory, serializer, timeout)
        assert reader.call("file_programs", "read", directory, serializer) == {}
        if serializer == "json":
            # The reference loses its count where the serializer is not the default.
            continue
        kept = {worker.call("file_programs", "count", directory, serializer) for worker in both}
        assert len(kept) == 1
        counted, real = kept.pop()
        assert counted == real > 0


def test_the_methods_return_the_same(reference, ours, tmp_path):
    assert ours.call("file_programs", "answers", str(tmp_path / "ours")) == reference.call(
        "file_programs", "answers", str(tmp_path / "reference")
    )


def test_both_use_one_directory_at_once(reference, ours, tmp_path):
    threshold = 60
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(worker.call, "file_programs", "mixed", str(tmp_path), seed, threshold)
            for seed, worker in enumerate((reference, ours))
        ]
    assert [run.result() for run in runs] == [{"wrong": 0, "refused": 0}] * 2
    cache = FileSystemCache(str(tmp_path), threshold=threshold)
    # One more than the threshold is what the reference keeps on its own.
    assert cache._file_count == len(list(cache._list_dir())) <= threshold + 5
    cache.set("one more", 1)
    assert len(list(cache._list_dir())) <= threshold


def test_the_other_ones_bookkeeping_survives_a_clear(reference, ours, tmp_path):
    directory = str(tmp_path)
    for worker, other in ((ours, reference), (reference, ours)):
        other.call("file_programs", "write", directory, "pickle", 0)
        cache = FileSystemCache(directory)
        if worker is ours:
            assert cache.clear()
            assert not list(cache._list_dir())
        else:
            worker.call("file_programs", "answers", directory)
        assert other.call("file_programs", "count", directory, "pickle") == (0, 0)
    leftovers = [name for name in os.listdir(directory) if len(name) != 64]
    assert sorted(leftovers) == ["lock.__wz_cache"]
