"""For the tests of applications and of cache backends.

:func:`manual_clock` tests expiry without waiting. :class:`BackendContract` tests a backend.
"""

from __future__ import annotations

import sys

if "pytest" in sys.modules:
    # Before the import: a failed assertion of the contract then shows its values.
    sys.modules["pytest"].register_assert_rewrite("flask_caching.testing.contract")

from .clock import ManualClock, manual_clock
from .contract import BackendContract

__all__ = ["BackendContract", "ManualClock", "manual_clock"]
