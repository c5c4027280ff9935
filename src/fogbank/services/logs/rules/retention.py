"""How long events are kept."""

from __future__ import annotations

from fogbank.services.logs import quotas
from fogbank.services.logs.errors import InvalidParameterException
from fogbank.services.logs.schema import GroupRecord


def check_days(days: int) -> None:
    """Refuse a number of days that AWS does not offer."""
    if days not in quotas.RETENTION_DAYS:
        allowed = ", ".join(map(str, quotas.RETENTION_DAYS))
        raise InvalidParameterException(
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy "
            f"constraint: Member must satisfy enum value set: [{allowed}]"
        )


def kept_since_ms(group: GroupRecord, now_ms: int) -> int:
    """Return the time before which the group's events are gone."""
    return now_ms - group.retention_days * quotas.DAY_MS if group.retention_days else 0


def next_expiry_ms(group: GroupRecord, oldest_hour: int | None, now_ms: int) -> int:
    """Return when to look again for events to remove: when the oldest hour is over its time."""
    if oldest_hour is None:
        return now_ms + quotas.HOUR_MS
    over_ms = (oldest_hour + 1) * quotas.HOUR_MS + group.retention_days * quotas.DAY_MS
    return max(over_ms, now_ms + 1)
