"""Metrics: which requests of a bucket are measured, and how much it was found to hold.

Rule: what a bucket holds is counted in pieces, now and then; a count under way is a record of the bucket.
What the counts of an account's buckets come to lies in a domain of its own, with the points that tell it.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.store.records import Record, Table

_SERVICE: Final = "s3"


class MetricsRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.metrics/1"):
    """(bucket id, id): a metrics configuration of a bucket."""

    form: str = ""
    """How the filter was written: ``prefix``, ``tag``, ``point`` (one condition) or ``and``; empty: none."""
    prefix: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    point: str = ""
    """The ARN of an access point."""


class MeasureRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.measure/1"):
    """(bucket id): what the bucket holds is counted, or was; bytes are those that were put."""

    at_ms: int
    """The midnight that the count is of."""
    stage: int = 0
    """What is counted next (``state.usage``)."""
    key: str = ""
    order: int = 0
    upload_id: str = ""
    number: int = 0
    """With the three above: the last row that was counted."""
    objects: int = 0
    """Keys that have a current object."""
    bytes: int = 0
    """Of these."""
    versions: int = 0
    """Versions that are not current."""
    version_bytes: int = 0
    markers: int = 0
    """Delete markers."""
    uploads: int = 0
    """Uploads in parts that are under way."""
    parts: int = 0
    """That were sent of these so far."""
    upload_bytes: int = 0
    """Of the parts."""


class MeasuredRecord(Record, frozen=True, array_like=True, tag="s3.measured/1"):
    """Account and region, (): of how many of the buckets is told what they hold."""

    at_ms: int
    """The midnight that it is told of."""
    after: str
    """The last bucket, in order of the names."""
    done: bool
    """Whether all are."""
    sums: dict[str, int]
    """What those up to the last come to, by the names of metrics of the account."""


METRICS: Final = Table(_SERVICE, 0x1D, MetricsRecord)
MEASURES: Final = Table(_SERVICE, 0x1E, MeasureRecord)
MEASURED: Final = Table(_SERVICE, 0x1F, MeasuredRecord)
