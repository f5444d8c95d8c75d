"""A clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask_caching.testing import manual_clock


@pytest.fixture
def clock() -> Iterator[Any]:
    with manual_clock() as clock:
        yield clock
