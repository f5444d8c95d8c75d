"""What a call is, and what may be stored of it: the face's side of the road.

A *policy* describes the calls of one function, and judges their results; it never reads or writes.
The road itself (:class:`flask_caching._engine.Road`) does, in the one order that there is.
"""

from __future__ import annotations

import os

from .._engine import forget_flights

# A forked child has none of its parent's other threads, and none of their computations.
os.register_at_fork(after_in_child=forget_flights)
