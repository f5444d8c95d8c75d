"""Classes whose objects cannot be changed, and so need no copy: one object serves every reader."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

__all__ = ["IMMUTABLE"]

#: By class, the name of the attribute that must not be changeable either, as its value is the
#: application's choice; None: there is none. A subclass may be changeable and is not meant.
IMMUTABLE: dict[type, str | None] = {
    Markup: None,
    Decimal: None,
    date: None,
    datetime: "tzinfo",
    time: "tzinfo",
    timedelta: None,
    timezone: None,
    ZoneInfo: None,
    UUID: None,
    Fraction: None,
    complex: None,
    range: None,
}
