"""Where pages are answered."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[True, False], ids=["in_front", "in_place"])
def in_front(request: pytest.FixtureRequest) -> bool:
    flag: bool = request.param
    return flag
