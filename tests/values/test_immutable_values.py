"""Values that cannot be changed are handed out as they are; of others each reader has a copy."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask_caching.backends import SimpleCache
from json_serializer import JSONSerializer
from markupsafe import Markup
from shown import shown

MOMENT = datetime(2026, 11, 24, 12, 30)


class OwnZone(tzinfo):
    """A time zone that can be changed."""

    name = "own"

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, moment: datetime | None) -> str:
        return self.name


class OwnDecimal(Decimal):
    """A number that can be changed."""


@pytest.mark.parametrize(
    "value",
    [
        Markup("<b>"),
        Decimal("1.10"),
        Fraction(1, 3),
        date(2026, 11, 24),
        MOMENT,
        MOMENT.replace(tzinfo=UTC),
        MOMENT.replace(tzinfo=ZoneInfo("Europe/Berlin")),
        time(12, 30),
        time(12, 30, tzinfo=UTC),
        timedelta(days=1),
        timezone(timedelta(hours=1), "CET"),
        ZoneInfo("Europe/Berlin"),
        uuid.UUID(int=7),
        1 + 2j,
        range(3),
    ],
    ids=shown,
)
def test_one_object_serves_every_reader(value: Any) -> None:
    cache = SimpleCache()
    cache.set("alone", value)
    assert cache.get("alone") is value
    cache.set("in a row", [{"cell": value}])
    one, other = cache.get("in a row"), cache.get("in a row")
    assert one == [{"cell": value}]
    assert one is not other
    assert one[0]["cell"] is value


@pytest.mark.parametrize(
    "value",
    [OwnDecimal("1.10"), MOMENT.replace(tzinfo=OwnZone()), time(12, 30, tzinfo=OwnZone())],
    ids=shown,
)
def test_what_could_be_changed_is_copied(value: Any) -> None:
    cache = SimpleCache()
    cache.set("key", value)
    copy = cache.get("key")
    assert copy == value
    assert copy is not value
    part = getattr(value, "tzinfo", None)
    assert part is None or copy.tzinfo is not part


def test_a_serializer_of_the_applications_own_sees_them() -> None:
    cache = SimpleCache()
    cache.serializer = JSONSerializer()
    assert cache.set("key", Markup("<b>")) is False
    assert cache.get("key") is None
