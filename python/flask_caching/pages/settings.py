"""What an application's configuration says about pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._engine import PageFront

__all__ = ["PageSettings"]


@dataclass(slots=True)
class PageSettings:
    """What an application's configuration says about pages.

    :param most_bytes: ``CACHE_PAGE_MAX_BYTES``.
    :param says_status: ``CACHE_STATUS_HEADER``.
    :param front: what stands in front of the application, where ``CACHE_PAGES_IN_FRONT`` is set.
    """

    most_bytes: int = 1 << 20
    says_status: bool = True
    front: PageFront | None = None
