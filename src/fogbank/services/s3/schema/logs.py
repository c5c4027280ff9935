"""Records of requests that wait to be delivered (server access logs)."""

from __future__ import annotations

from typing import Final

from fogbank.platform.store.records import Record, Table

_SERVICE: Final = "s3"


class LogLineRecord(Record, frozen=True, array_like=True, tag="s3.log_line/1"):
    """(bucket id, time, request id): the record of a request, to be delivered.

    Of further records of one request the id ends in a number.
    """

    line: str


class LogTimerRecord(Record, frozen=True, array_like=True, tag="s3.log_timer/1"):
    """(bucket id): records wait, and a timer is set."""

    due_ms: int


class LogBatchRecord(Record, frozen=True, array_like=True, tag="s3.log_batch/1"):
    """(bucket id): records are on their way."""

    key: str
    """Of the object that they become."""
    last_ms: int
    last_id: str
    """With the time: the last of them."""


LOG_LINES: Final = Table(_SERVICE, 0x1A, LogLineRecord)
LOG_TIMERS: Final = Table(_SERVICE, 0x1B, LogTimerRecord)
LOG_BATCHES: Final = Table(_SERVICE, 0x1C, LogBatchRecord)
