"""Waiting for servers where an event loop has other things to do."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..._engine import Road, Turn
from .following import over
from .per_process import PerProcess

__all__ = ["elsewhere", "landed", "looked_up", "stepwise"]

#: As many operations wait at once; further ones wait for a thread. Every operation has a deadline.
_threads = PerProcess(partial(ThreadPoolExecutor, 32, "flask-caching"))


async def looked_up(road: Road, answer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What becomes of what ``road.approach`` returned: the call's answer, or its turn."""
    while type(answer) is Turn and (step := answer.next_step):
        if step == "follow":
            await over(answer)
        elif step == "hold":
            await road.policy.hold_awaited(answer)
        else:
            await elsewhere(road.read, answer)
        answer = road.arrive(answer, args, kwargs)
    return answer


async def landed(road: Road, turn: Turn, result: Any) -> Any:
    """``road.finish``."""
    road.settle(turn, result)
    if turn.waits:
        await elsewhere(road.write, turn)
    return road.finish(turn, result)


async def elsewhere(operation: Callable[..., Any], *args: Any) -> Any:
    """Run ``operation(*args)`` in a thread, in this context, while the event loop goes on.

    Not in the loop's own executor: a server that hangs would keep the application's work waiting.
    """
    run = partial(contextvars.copy_context().run, operation, *args)
    return await asyncio.get_running_loop().run_in_executor(_threads(), run)


async def stepwise(steps: Iterator[float], waits: bool) -> None:
    """Go through ``steps``, with so many seconds between them.

    :param steps: yields the seconds to wait before its next step.
    :param waits: whether a step may wait for a server.
    """
    while True:
        pause = await elsewhere(next, steps, None) if waits else next(steps, None)
        if pause is None:
            return
        await asyncio.sleep(pause)
