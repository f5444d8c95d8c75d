"""Methods that are made of others, as cachelib's are: a subclass overrides all with one."""

from __future__ import annotations

from cachelib import BaseCache

__all__ = ["follow_overrides"]

#: For each method that is made of others: those that must be a subclass's own for it to be, too.
_MADE_OF = {
    "get_many": ("get",),
    "get_dict": ("get", "get_many"),
    "set_many": ("set",),
    "delete_many": ("delete", "has"),
    "inc": ("get", "set"),
    "dec": ("get", "set"),
}


def follow_overrides(cls: type[BaseCache], base: type) -> None:
    """Let the many-operations of ``cls`` call what it overrides of get, set, delete and has.

    :param cls: a subclass that was just made.
    :param base: the class whose many-operations do not call them. Where ``cls`` still has one of
        these over a part of its own, it gets cachelib's, which does.
    """

    def is_own(name: str) -> bool:
        return getattr(cls, name) is not getattr(base, name)

    for name, parts in _MADE_OF.items():
        if not is_own(name) and any(map(is_own, parts)):
            setattr(cls, name, getattr(BaseCache, name))
