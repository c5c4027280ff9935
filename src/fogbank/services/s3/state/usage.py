"""What buckets hold, counted: for whoever runs the cloud, and for the daily metrics.

Rule: a step of a count costs a bounded amount, whatever a bucket holds, and says where the next one goes
on; a count is no snapshot, as what is written meanwhile may be in it or not. Nothing is counted as it is
written: every write to a bucket would contend for one record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import msgspec

from fogbank.platform.store.engine import DIRECTORY, Placement, Store, Transaction
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.schema import OBJECTS, PARTS, UPLOADS, VERSIONS, AccountBucketRecord
from fogbank.services.s3.schema.metrics import MeasureRecord
from fogbank.services.s3.state import buckets

Entry = tuple[str, AccountBucketRecord]
"""A bucket in the list of its account."""
ROWS_PER_READ: Final = 256
"""Less than a millisecond's."""
_replace: Final = msgspec.structs.replace


class Usage(msgspec.Struct):
    """What a bucket holds; bytes are those that were put, whatever the disk needs for them."""

    bucket: str
    account: str
    region: str
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
    upload_bytes: int = 0
    """Of the parts that were sent so far."""


async def usages_of(placement: Placement, account: str) -> AsyncGenerator[Usage]:
    """Yield what each bucket of an account holds, by name."""
    async for name, _ in names_of(placement, account):
        usage = await _usage_of(placement.store_of(domain_of(name)), account)
        if usage is not None:
            yield usage


async def names_of(
    placement: Placement, account: str, after: str = ""
) -> AsyncGenerator[tuple[str, str]]:
    """Yield the buckets of an account that are behind a name, with their regions, by name."""
    directory = placement.store_of(DIRECTORY)
    while True:

        async def body(tr: Transaction, after: str = after) -> list[Entry]:
            return await buckets.list_names(tr, account, after, ROWS_PER_READ)

        found = await directory.read(body)
        for name, entry in found:
            if entry.active:
                yield name, entry.region
        if not found:
            return
        after = found[-1][0]


async def _usage_of(store: Store, account: str) -> Usage | None:
    """Return what the bucket of a store holds; None if it has gone meanwhile."""
    bucket = await store.read(buckets.find_bucket)
    if bucket is None or bucket.account != account:
        return None
    measure = MeasureRecord(at_ms=0)
    while not is_done(measure):

        async def body(tr: Transaction, sofar: MeasureRecord = measure) -> MeasureRecord:
            return await counted(tr, bucket.bucket_id, sofar)

        measure = await store.read(body)
        await asyncio.sleep(0)  # noqa: TID251 (no time passes; the loop turns)
    return Usage(
        bucket.name,
        bucket.account,
        bucket.region,
        objects=measure.objects,
        bytes=measure.bytes,
        versions=measure.versions,
        version_bytes=measure.version_bytes,
        markers=measure.markers,
        uploads=measure.uploads,
        upload_bytes=measure.upload_bytes,
    )


# A count, step by step.


def is_done(measure: MeasureRecord) -> bool:
    """Return whether all of a bucket is counted."""
    return measure.stage == len(_STAGES)


async def counted(tr: Transaction, bucket_id: bytes, measure: MeasureRecord) -> MeasureRecord:
    """Return a count that is not done, gone on over some rows."""
    return await _STAGES[measure.stage](tr, bucket_id, measure)


def _on(measure: MeasureRecord, *, goes_on: bool) -> MeasureRecord:
    """Return a count, at the beginning of its next stage if this one is over."""
    if goes_on:
        return measure
    stage = measure.stage + 1
    return _replace(measure, stage=stage, key="", order=0, upload_id="", number=0)


async def _objects(tr: Transaction, bucket_id: bytes, measure: MeasureRecord) -> MeasureRecord:
    """Count some current objects."""
    after = (measure.key,) if measure.key else None
    rows = await OBJECTS.list(tr, bucket_id, limit=ROWS_PER_READ, after=after)
    more = _replace(
        measure,
        key=str(rows[-1][0][0]) if rows else "",
        objects=measure.objects + len(rows),
        bytes=measure.bytes + sum(record.size for _, record in rows),
    )
    return _on(more, goes_on=len(rows) == ROWS_PER_READ)


async def _versions(tr: Transaction, bucket_id: bytes, measure: MeasureRecord) -> MeasureRecord:
    """Count some versions that are not current, and delete markers."""
    after = (measure.key, measure.order) if measure.key else None
    rows = await VERSIONS.list(tr, bucket_id, limit=ROWS_PER_READ, after=after)
    key, order = rows[-1][0] if rows else ("", 0)
    markers = sum(record.delete_marker for _, record in rows)
    more = _replace(
        measure,
        key=str(key),
        order=int(order or 0),
        markers=measure.markers + markers,
        versions=measure.versions + len(rows) - markers,
        version_bytes=measure.version_bytes + sum(record.size for _, record in rows),
    )
    return _on(more, goes_on=len(rows) == ROWS_PER_READ)


async def _uploads(tr: Transaction, bucket_id: bytes, measure: MeasureRecord) -> MeasureRecord:
    """Count some parts of an upload under way, or find the next upload."""
    if measure.number < 0 or not measure.upload_id:
        after = (measure.key, measure.upload_id) if measure.upload_id else None
        found = await UPLOADS.list(tr, bucket_id, limit=1, after=after)
        if not found:
            return _on(measure, goes_on=False)
        key, upload_id = (str(each) for each in found[0][0])
        uploads = measure.uploads + 1
        return _replace(measure, key=key, upload_id=upload_id, number=0, uploads=uploads)
    rows = await PARTS.list(
        tr, bucket_id, measure.upload_id, limit=ROWS_PER_READ, after=(measure.number,)
    )
    return _replace(
        measure,
        number=int(rows[-1][0][0] or 0) if len(rows) == ROWS_PER_READ else _COUNTED,
        parts=measure.parts + len(rows),
        upload_bytes=measure.upload_bytes + sum(record.size for _, record in rows),
    )


_COUNTED: Final = -1
"""In the place of the number of a part: all of the upload are counted."""
_STAGES: Final[
    tuple[Callable[[Transaction, bytes, MeasureRecord], Awaitable[MeasureRecord]], ...]
] = (_objects, _versions, _uploads)
