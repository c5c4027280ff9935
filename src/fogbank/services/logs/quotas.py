"""The limits of CloudWatch Logs, with AWS's values.

Those that a setting may raise or lower are a ``Quota``; the others are part of the language.
Source: CloudWatch Logs User Guide, "CloudWatch Logs quotas"; API Reference, PutLogEvents,
GetLogEvents, FilterLogEvents, PutRetentionPolicy.
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

EVENT_BYTES: Final = Quota("logs.event_bytes_max", 1 << 20, "PutLogEvents: an event, 1 MB")
BATCH_BYTES: Final = Quota(
    "logs.batch_bytes_max", 1 << 20, "PutLogEvents: a batch, 1,048,576 bytes"
)
SCAN_BYTES: Final = Quota(
    "logs.scan_bytes_max", 8 << 20, "ours: what one page of FilterLogEvents looks at"
)
REQUEST_BYTES: Final = Quota("logs.request_bytes_max", 1 << 20, "ours: requests without events")
EVENTS_REQUEST_BYTES: Final = Quota(
    "logs.events_request_bytes_max", 8 << 20, "ours: a batch, each of its bytes escaped in JSON"
)

EVENT_OVERHEAD_BYTES: Final = 26
BATCH_SPAN_MS: Final = 24 * 3_600_000
EVENT_AGE_MS_MAX: Final = 14 * 24 * 3_600_000
EVENT_AHEAD_MS_MAX: Final = 2 * 3_600_000
PAGE_EVENTS: Final = 10_000
PAGE_BYTES: Final = 1 << 20
DESCRIBE_PAGE: Final = 50
STREAM_NAME_BYTES_MAX: Final = 1_536
"""Ours: AWS counts 512 characters, whatever they weigh; a key has room for three bytes each."""
RETENTION_DAYS: Final = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
)  # fmt: skip
SEARCH_HOURS: Final = 300
"""Ours: hours with events that one page of FilterLogEvents looks at."""

DAY_MS: Final = 24 * 3_600_000
HOUR_MS: Final = 3_600_000
ROW_SPAN_MS: Final = 10_000
"""What one row of events may span, so that a reader knows how far back to look."""
ROW_BYTES: Final = 64 << 10
"""When a row of events is full."""
PART_BYTES: Final = 256 << 10
"""Messages above this are kept beside their row, in parts of this size."""
