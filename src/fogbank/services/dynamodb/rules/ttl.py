"""Time to live: which tables delete their items by themselves, and when an item expires.

An item expires at the time that an attribute names: a number of seconds since the Unix epoch. What is no
number never comes, nor does what lies more than five years back, so that a mistake in a unit or
an old import deletes nothing.

Source: Developer Guide, "Using time to live (TTL) in DynamoDB"; messages of UpdateTimeToLive from
answers of AWS recorded by the maintainers of its controllers for Kubernetes (October 2026).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import items
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

SERVICE_PRINCIPAL: Final = "dynamodb.amazonaws.com"
"""Who deletes what has expired, as streams tell it."""
_LATEST_S: Final = 253_402_300_799
"""The end of the year 9999: later times never come."""
_OLDEST_S: Final = 5 * 365 * 86_400


def changed_table(table: TableRecord, specification: Request) -> TableRecord:
    """Return a table as an UpdateTimeToLive request wants it.

    Raises:
        ValidationException: It is so already, or another attribute counts.
    """
    name, enabled = specification["AttributeName"], specification["Enabled"]
    if table.ttl_attribute not in ("", name):
        raise ValidationException(
            "TimeToLive is active on a different AttributeName: current AttributeName is "
            f"{table.ttl_attribute}"
        )
    if enabled == bool(table.ttl_attribute):
        state = "enabled" if enabled else "disabled"
        raise ValidationException(f"TimeToLive is already {state}")
    return msgspec.structs.replace(table, ttl_attribute=name if enabled else "")


def description_of(table: TableRecord) -> shapes.TimeToLiveDescription:
    """Return what DescribeTimeToLive says of a table."""
    if not table.ttl_attribute:
        return {"TimeToLiveStatus": "DISABLED"}
    return {"TimeToLiveStatus": "ENABLED", "AttributeName": table.ttl_attribute}


def expiry_of(table: TableRecord, attribute: str, record: ItemRecord | None) -> int | None:
    """Return the first second at which an item has expired, or None if it never will."""
    if record is None:
        return None
    value = items.item_of(table, record).get(attribute, {}).get("N")
    if value is None:
        return None
    moment = Decimal(value)
    return int(moment.to_integral_value(ROUND_CEILING)) if 0 < moment <= _LATEST_S else None


def has_expired(expiry_s: int, now_s: int) -> bool:
    """Return whether an item that expires at a second is to be deleted."""
    return now_s - _OLDEST_S <= expiry_s <= now_s
