"""Methods under the name of the class that people know, not of the one they are written in."""

from __future__ import annotations

from types import FunctionType

__all__ = ["name_methods"]


def name_methods(cls: type) -> None:
    """Let Python call the public methods of ``cls`` by its name where they are wrongly called.

    It takes them from those of this package's classes that nobody makes objects of, and gives
    ``cls`` copies under other names, which are the same code.

    :param cls: ``Cache``, or the class of a backend.
    """
    for base in cls.__mro__[1:]:
        if not base.__module__.startswith("flask_caching.") or "backend_spec" in vars(base):
            continue
        for name, method in vars(base).items():
            if isinstance(method, FunctionType) and name[0] != "_" and getattr(cls, name) is method:
                setattr(cls, name, _renamed(method, cls))


def _renamed(method: FunctionType, cls: type) -> FunctionType:
    code, names, closure = method.__code__, method.__globals__, method.__closure__
    copy = FunctionType(code, names, method.__name__, method.__defaults__, closure)
    copy.__kwdefaults__ = method.__kwdefaults__
    copy.__annotations__ = method.__annotations__
    # Where pickle looks for it.
    copy.__doc__, copy.__module__ = method.__doc__, cls.__module__
    copy.__dict__.update(method.__dict__)
    copy.__qualname__ = f"{cls.__qualname__}.{method.__name__}"
    return copy
