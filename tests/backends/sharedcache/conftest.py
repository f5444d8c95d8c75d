"""Processes beside that of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sharing import Workers


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(tmp_path)
    yield workers
    for worker in workers.running:
        if worker.poll() is None:
            worker.kill()
        worker.communicate()
