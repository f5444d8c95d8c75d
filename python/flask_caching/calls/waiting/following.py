"""Single flight, as Python sees it: who computes, and how tasks and greenlets wait for each other.

Threads wait in the engine. A task, or a greenlet, lets others of its thread go on.
"""

from __future__ import annotations

import asyncio

from ..._engine import Turn

__all__ = ["over", "task"]


def task() -> int:
    """A number that no other task has while the running one lives."""
    return id(asyncio.current_task())


async def over(turn: Turn) -> None:
    """Wait until the call that ``turn`` follows is over, or for as long as it may wait."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    turn.wake_by(lambda: loop.call_soon_threadsafe(wake))
    # Woken or not, the caller looks again at what has become of the call.
    await asyncio.wait((woken,), timeout=turn.seconds_to_wait)
