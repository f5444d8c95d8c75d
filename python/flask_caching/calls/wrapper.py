"""The decorated function: a plain Python function that goes through the doors of the road."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from .._engine import MISSING, Road, Turn
from .._types import Timeout
from ..requests.context import active_context, active_request_context
from ..requests.sessions import SessionUse
from ..utils import join_generator, normalize_timeout
from ..values.private import why_private
from ..values.responses import is_server_error
from .waiting.following import task
from .waiting.offload import landed, looked_up

if TYPE_CHECKING:
    from .policy import CallPolicy

__all__ = ["answer_awaited", "computer", "wrap"]


def wrap(policy: CallPolicy, timeout: Timeout | None) -> Any:
    """The function that an application sees in place of the one it decorated.

    :param policy: the policy of its calls.
    :param timeout: its ``cache_timeout``, which an application may read and set.
    :raises ValueError: it is a text that is no number, or options make no sense with it.
    """
    policy.options.check_with(normalize_timeout(timeout))
    f, attributes = policy.f, policy.attributes
    if hasattr(f, "__name__"):
        # A partial's or callable object's attributes are its own business.
        attributes.update(getattr(f, "__dict__", {}))
    attributes.update(
        uncached=f,
        cache_timeout=timeout,
        make_cache_key=policy.built_in_make_cache_key,
        _flask_caching_policy=policy,
    )
    policy.road = Road(policy, policy.parts())
    policy.cache._policies.add(policy)
    policy.compute = computer(policy)
    wrapper: Any = policy.make_wrapper() or _answering(policy)
    wrapper.__dict__ = attributes
    functools.update_wrapper(wrapper, f, updated=())
    policy.wrapper = wrapper
    return wrapper


def _answering(policy: CallPolicy) -> Callable[..., Any]:
    wrapper = _of_request(policy) if policy.reads_request else _of_arguments(policy)
    if policy.unless is not None or policy.forced_update is not None:
        wrapper = _asking(policy, wrapper)
    return _asynchronous(policy, wrapper) if policy.is_async else wrapper


def _of_arguments(policy: CallPolicy) -> Callable[..., Any]:
    begin, compute, f = policy.road.begin, policy.compute, _function(policy)

    def decorated_function(*args: Any, **kwargs: Any) -> Any:
        context = active_context(None)
        answer = begin(args, kwargs, None if context is None else context.app.extensions)
        return answer if type(answer) is not Turn else compute(answer, f, args, kwargs)

    return decorated_function


def _of_request(policy: CallPolicy) -> Callable[..., Any]:
    begin, compute, f = policy.road.begin, policy.compute, _function(policy)

    def decorated_function(*args: Any, **kwargs: Any) -> Any:
        # The contexts' attributes: Flask's proxies cost a multiple of it.
        context, active = active_context(None), active_request_context(None)
        if active is None:
            answer = begin(args, kwargs, None if context is None else context.app.extensions)
        else:
            request = active.request
            answer = begin(
                args,
                kwargs,
                context.app.extensions,
                request.method,
                request.path,
                request.query_string,
            )
        return answer if type(answer) is not Turn else compute(answer, f, args, kwargs)

    return decorated_function


def _function(policy: CallPolicy) -> Callable[..., Any]:
    """The undecorated function as it is run, a coroutine function to its end.

    The decorated one closes over it: extensions look there for the arguments of a view.
    """
    # Not `policy.run` where it can be avoided: calling a bound method takes some of the C stack.
    return policy.f if policy.runs_as_it_is else policy.run


def computer(policy: CallPolicy) -> Callable[..., Any]:
    """The function that computes a turn: it runs ``f``, and brings the result to the road."""
    finish, fail = policy.road.finish, policy.road.fail
    results, is_view = policy.results, policy.is_view

    def compute(turn: Turn, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_view and not turn.is_open:
            return f(*args, **kwargs)
        use = SessionUse() if is_view else None
        try:
            result = f(*args, **kwargs)
            if type(result) is GeneratorType and turn.is_open:
                # Its code is the view's, which may use the session: it is run to its end here.
                result = join_generator(result)
        except results as error:
            result = error
        except BaseException as error:
            answer = fail(turn, error)
            if answer is MISSING:
                raise
            return answer
        finally:
            reason = None if use is None else use.end()
        if use is not None:
            answer = _withheld(policy, turn, result, reason)
            if answer is not MISSING:
                return answer
        return finish(turn, result)

    return compute


async def answer_awaited(
    policy: CallPolicy, answer: Any, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The answer of a call that a task has begun, which is found, or awaited and stored.

    :param answer: what ``Road.approach`` returned.
    """
    road = policy.road
    turn = await looked_up(road, answer, args, kwargs)
    if type(turn) is not Turn:
        return turn
    if not turn.is_open:
        return await f(*args, **kwargs)
    turn.lead_as(task())
    use = SessionUse() if policy.is_view else None
    try:
        result = await f(*args, **kwargs)
        if type(result) is GeneratorType:
            result = join_generator(result)
    except policy.results as error:
        result = error
    except BaseException as error:
        answer = road.fail(turn, error)
        if answer is MISSING:
            raise
        return answer
    finally:
        reason = None if use is None else use.end()
    if use is not None:
        answer = _withheld(policy, turn, result, reason)
        if answer is not MISSING:
            return answer
    return await landed(road, turn, result)


def _withheld(policy: CallPolicy, turn: Turn, result: Any, reason: str | None) -> Any:
    """The answer to a view's call whose result is not to be stored; ``MISSING``: it may be.

    :param reason: what makes it one visitor's, as far as the session says it.
    """
    if turn.rejects_errors and is_server_error(result):
        answer = policy.road.fail(turn, result)
        return result if answer is MISSING else answer
    reason = reason or why_private(result)
    if reason and policy.keeps_back(result, reason):
        return policy.road.refuse(turn, result)
    return MISSING


def _asking(policy: CallPolicy, answer: Callable[..., Any]) -> Callable[..., Any]:
    """The decorated function that asks ``unless`` and ``forced_update`` before ``answer``."""
    refresh, compute, f = policy.road.refresh, policy.compute, _function(policy)
    # Looked up once: this makes a call cheaper by a tenth.
    asks_unless, asks_update = policy.unless is not None, policy.forced_update is not None

    def decorated_function(*args: Any, **kwargs: Any) -> Any:
        if asks_unless and policy.is_bypassed(args, kwargs):
            return f(*args, **kwargs)
        if asks_update:
            is_refreshed = policy.is_refreshed(args, kwargs)
            if is_refreshed is None:
                return f(*args, **kwargs)
            if is_refreshed:
                return compute(refresh(args, kwargs, False), f, args, kwargs)
        return answer(*args, **kwargs)

    return decorated_function


def _asynchronous(policy: CallPolicy, answer: Callable[..., Any]) -> Callable[..., Any]:
    """The decorated coroutine function: awaited in a running loop, run to its end elsewhere."""
    f = policy.f if policy.runs_when_called else policy.run_awaited

    def decorated_function(*args: Any, **kwargs: Any) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return answer(*args, **kwargs)
        return _await(policy, f, args, kwargs)

    return decorated_function


async def _await(policy: CallPolicy, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call in a running loop, which servers do not keep waiting."""
    road = policy.road
    is_refreshed = None if policy.is_bypassed(args, kwargs) else policy.is_refreshed(args, kwargs)
    if is_refreshed is None:
        return await f(*args, **kwargs)
    if is_refreshed:
        answer = road.refresh(args, kwargs, True)
    else:
        context, active = active_context(None), active_request_context(None)
        extensions = None if context is None else context.app.extensions
        it = active.request if policy.reads_request and active is not None else None
        request = None if it is None else (it.method, it.path, it.query_string)
        answer = road.approach(args, kwargs, extensions, request)
    return await answer_awaited(policy, answer, f, args, kwargs)
