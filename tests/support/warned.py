"""What a piece of code warns of, without what old libraries say of a new Python."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_THEIR_MODULES = r"(ast|click|flask|jinja2|pkgutil|werkzeug)(\.|$)"


@contextmanager
def caught_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Catch all warnings, but those that an old Flask and its libraries cause on a new Python."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=_THEIR_MODULES)
        yield caught
