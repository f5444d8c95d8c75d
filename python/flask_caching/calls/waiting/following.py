"""Single flight, as Python sees it: who computes, and how tasks and greenlets wait for each other.

Threads wait in the engine. A task, or a greenlet, lets others of its thread go on.
"""

from __future__ import annotations

import asyncio

from ..._engine import Turn, note_leader

__all__ = ["lead", "over", "task"]


def task() -> int:
    """What tells the task that runs from others."""
    return id(asyncio.current_task())


def lead(turn: Turn) -> None:
    """Let the task that runs be the one that computes ``turn``."""
    number = task()
    turn.lead_as(number)
    note_leader(number)


async def over(turn: Turn) -> None:
    """Wait until the call that ``turn`` follows is over, or for as long as it may wait."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    turn.wake_by(lambda: loop.call_soon_threadsafe(wake))
    # What it is to be does not matter: whoever waits looks.
    await asyncio.wait((woken,), timeout=turn.seconds_to_wait)
