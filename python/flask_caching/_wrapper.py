"""The decorated function: a plain Python function that makes one native call."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ._types import Timeout

if TYPE_CHECKING:
    from ._decorated import Decorated

__all__ = ["wrap"]


def wrap(core: Decorated, timeout: Timeout | None) -> Any:
    """The function that an application sees in place of the one it decorated.

    :param core: what answers its calls.
    :param timeout: its ``cache_timeout``, which an application may read and set.
    """
    f = core.f
    # Which of the functions below it becomes is known once its attributes are set.
    wrapper: Any = _plain(core)
    _dress(wrapper, core, timeout)
    hits = core.make_hits()
    if hits is None or not core.is_simple:
        return wrapper
    fast: Any = core.wrap_hits(hits.call)
    if core.unless is not None or core.forced_update is not None:
        fast = _asking(core, fast)
    fast.__dict__ = wrapper.__dict__
    functools.update_wrapper(fast, f, updated=())
    core.wrapper = fast
    return fast


def _dress(wrapper: Any, core: Decorated, timeout: Timeout | None) -> None:
    f = core.f
    # A partial's or callable object's attributes are its own business.
    functools.update_wrapper(wrapper, f, updated=("__dict__",) if hasattr(f, "__name__") else ())
    wrapper.uncached = f
    wrapper.cache_timeout = timeout
    wrapper.make_cache_key = core.built_in_make_cache_key
    wrapper._flask_caching_core = core
    core.wrapper = wrapper


def _plain(core: Decorated) -> Any:
    call = core.call

    def decorated_function(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    return decorated_function


def _asking(core: Decorated, answer: Any) -> Any:
    """The same for a function with ``unless`` or ``forced_update``, which are asked first."""
    unless, forced_update = core.unless, core.forced_update

    def decorated_function(*args: Any, **kwargs: Any) -> Any:
        if unless is not None and core.is_bypassed(args, kwargs):
            return core.run(args, kwargs)
        if forced_update is not None and core.is_refreshed(args, kwargs):
            return core.answer(args, kwargs, refreshed=True)
        return answer(*args, **kwargs)

    return decorated_function
