"""Versions that are not current, and delete markers: how they come, go, and become current.

Rule: a key has a row in ``objects`` if and only if its newest version is an object. Whatever takes
the newest away makes the next one current in the same transaction; a version keeps its order, and
thereby its body, for life.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.s3.rules.listings import Place, Row, Walk, behind
from fogbank.services.s3.rules.retention import check_removal
from fogbank.services.s3.rules.versions import NULL, Placed, order_of, placed
from fogbank.services.s3.schema import (
    NULLS,
    OBJECTS,
    VERSIONS,
    BucketRecord,
    NullRecord,
    ObjectRecord,
)
from fogbank.services.s3.state import references

ROWS_PER_READ: Final = 64
"""Rows of each of the two tables that one transaction of a listing reads."""
READS_PER_TRANSACTION: Final = 4
CURRENT: Final = "current"
"""What stands for the order of a current version in the place of a walk."""
_Entry = tuple[bytes, Row]


async def find_top(
    tr: Transaction, bucket: BucketRecord, key: str, current: ObjectRecord | None
) -> ObjectRecord | None:
    """Return the newest version or delete marker of a key, given its current object."""
    if current is not None or not bucket.versioning:
        return current
    found = await VERSIONS.list(tr, bucket.bucket_id, key, limit=1)
    return found[0][1] if found else None


async def next_place(
    tr: Transaction,
    bucket: BucketRecord,
    key: str,
    current: ObjectRecord | None,
    now_ms: int,
    request_id: str,
) -> Placed:
    """Return where the next version of a key goes, given its current object."""
    return placed(bucket, await find_top(tr, bucket, key, current), now_ms, key, request_id)


async def find_version(
    tr: Transaction, bucket: BucketRecord, key: str, version_id: str
) -> ObjectRecord | None:
    """Return the version or delete marker that has an id, or None.

    Raises:
        InvalidArgument: It cannot be an id.
    """
    wanted = "" if version_id == NULL else version_id
    order = order_of(version_id) if wanted else None
    current = await OBJECTS.find(tr, bucket.bucket_id, key)
    if current is not None and current.version_id == wanted:
        return current
    if order is None:
        null = await NULLS.find(tr, bucket.bucket_id, key)
        if null is None:
            return None
        order = null.order
    found = await VERSIONS.find(tr, bucket.bucket_id, key, order)
    return found if found is not None and found.version_id == wanted else None


async def make_way(
    tr: Transaction,
    bucket: BucketRecord,
    key: str,
    newest: ObjectRecord,
    current: ObjectRecord | None,
) -> None:
    """Take the current object out of the way of a newer version or marker.

    It is kept as a version that is not current; a ``null`` version goes where the newest is one.
    """
    if not newest.version_id:
        await _drop_null(tr, bucket, key, newest.modified_ms)
    if current is None:
        return
    if newest.version_id or current.version_id:
        _keep(tr, bucket, key, current)
    else:
        await references.drop(tr, bucket, key, current, newest.modified_ms)
    OBJECTS.delete(tr, bucket.bucket_id, key)


def _keep(tr: Transaction, bucket: BucketRecord, key: str, record: ObjectRecord) -> None:
    """Keep a version or marker among those that are not current."""
    VERSIONS.put(tr, record, bucket.bucket_id, key, record.order)
    if not record.version_id:
        NULLS.put(tr, NullRecord(record.order), bucket.bucket_id, key)


async def _drop_null(tr: Transaction, bucket: BucketRecord, key: str, now_ms: int) -> None:
    """Remove the ``null`` version that is not current, if there is one."""
    null = await NULLS.find(tr, bucket.bucket_id, key)
    if null is None:
        return
    record = await VERSIONS.find(tr, bucket.bucket_id, key, null.order)
    assert record is not None, "a null version is where it is said to be"
    assert record.protection is None, "versions that replace none are written where there are locks"
    assert not record.version_id
    await _forget(tr, bucket, key, record, now_ms)


async def _forget(
    tr: Transaction, bucket: BucketRecord, key: str, record: ObjectRecord, now_ms: int
) -> None:
    """Remove a version or marker that is not current."""
    await references.drop(tr, bucket, key, record, now_ms)
    _take_out(tr, bucket, key, record)


def _take_out(tr: Transaction, bucket: BucketRecord, key: str, record: ObjectRecord) -> None:
    """Take a record out of those that are not current."""
    VERSIONS.delete(tr, bucket.bucket_id, key, record.order)
    if not record.version_id:
        NULLS.delete(tr, bucket.bucket_id, key)


async def revise(tr: Transaction, bucket: BucketRecord, key: str, record: ObjectRecord) -> None:
    """Write the record of a version anew where it lies; its order and body are what they were."""
    current = await OBJECTS.find(tr, bucket.bucket_id, key)
    if current is not None and current.order == record.order:
        OBJECTS.put(tr, record, bucket.bucket_id, key)
    else:
        VERSIONS.put(tr, record, bucket.bucket_id, key, record.order)


async def put_marker(
    tr: Transaction,
    bucket: BucketRecord,
    key: str,
    marker: ObjectRecord,
    current: ObjectRecord | None,
) -> None:
    """Put a delete marker on top of a key."""
    assert bucket.versioning
    assert marker.delete_marker
    await make_way(tr, bucket, key, marker, current)
    _keep(tr, bucket, key, marker)


async def remove_version(  # noqa: PLR0913 (what, where, and who removes it)
    tr: Transaction,
    bucket: BucketRecord,
    key: str,
    record: ObjectRecord,
    current: ObjectRecord | None,
    now_ms: int,
    *,
    bypasses: bool = False,
) -> None:
    """Remove a version or marker for good; if it was the newest, the next becomes current.

    Raises:
        AccessDenied: It is protected, and ``bypasses`` is no help.
    """
    check_removal(record, now_ms, bypasses=bypasses)
    if current == record:
        await references.drop(tr, bucket, key, record, now_ms)
        OBJECTS.delete(tr, bucket.bucket_id, key)
    else:
        await _forget(tr, bucket, key, record, now_ms)
    if current is None or current == record:
        await _promote(tr, bucket, key)


async def _promote(tr: Transaction, bucket: BucketRecord, key: str) -> None:
    """Make the newest version current, if it is an object."""
    found = await VERSIONS.list(tr, bucket.bucket_id, key, limit=1)
    if found and not found[0][1].delete_marker:
        _take_out(tr, bucket, key, found[0][1])
        OBJECTS.put(tr, found[0][1], bucket.bucket_id, key)


# Listings.


async def find_place(tr: Transaction, bucket: BucketRecord, key: str, version_id: str) -> Place:
    """Return the place behind a version of a key, which need not be there any more."""
    found = await find_version(tr, bucket, key, version_id)
    if found is None:
        return Place((key,) if version_id == NULL else (key, str(order_of(version_id))))
    current = await OBJECTS.find(tr, bucket.bucket_id, key)
    return Place((key, CURRENT if found == current else str(found.order)))


async def walk_versions(store: Store, bucket: BucketRecord, walk: Walk) -> Walk:
    """Take a walk over all versions of a bucket's objects to its end, in short reads.

    A row's ``upload_id`` is its order, or ``CURRENT``.
    """

    async def body(tr: Transaction, sofar: Walk) -> Walk:
        going = sofar.clone()
        for _ in range(READS_PER_TRANSACTION):
            await _read_some(tr, bucket, going)
            if going.done:
                break
        return going

    while not walk.done:
        sofar = walk
        walk = await store.read(lambda tr, sofar=sofar: body(tr, sofar))
    return walk


async def _read_some(tr: Transaction, bucket: BucketRecord, walk: Walk) -> None:
    """Feed a walk with rows of both tables, in one order, as far as both were read."""
    objects = await _entries(tr, OBJECTS.prefix(tr.domain, bucket.bucket_id), walk)
    versions = await _entries(tr, VERSIONS.prefix(tr.domain, bucket.bucket_id), walk)
    # Behind the last row of a table that may have more, the other's rows must wait.
    ends = [found[-1][0] for found in (objects, versions) if len(found) == ROWS_PER_READ]
    merged = sorted((*objects, *versions), key=_suffix)
    if ends:
        merged = [entry for entry in merged if entry[0] <= min(ends)]
    before = walk.place
    walk.feed([row for _, row in merged], last=not ends)
    if walk.place is before and merged and not walk.done:
        walk.place = behind(merged[-1][1])  # all were outside the prefix: it ends in NULs


def _suffix(entry: _Entry) -> bytes:
    """Return what entries of both tables are ordered by: the end of the key in the store."""
    return entry[0]


async def _entries(tr: Transaction, base: bytes, walk: Walk) -> list[_Entry]:
    """Return the next rows of one table, each with the end of its key."""
    inside = base + tuples.text_prefix(walk.prefix) if walk.prefix else base
    begin = max(inside, _begin(base, walk.place))
    found = await tr.range(begin, tuples.after_prefix(inside), limit=ROWS_PER_READ)
    return [(key[len(base) :], _row(key[len(base) :], value)) for key, value in found]


def _row(suffix: bytes, value: bytes) -> Row:
    """Return a stored row as a listing takes it."""
    key, *order = tuples.unpack(suffix)
    return Row(str(key), str(order[0]) if order else CURRENT, value)


def _begin(base: bytes, place: Place) -> bytes:
    """Return the first key of a table that a walk has not seen."""
    if not place.after:
        return base
    key, *order = place.after
    if place.past:
        return tuples.after_prefix(base + tuples.text_prefix(key))
    own = base + tuples.pack(key)
    if not order:
        return tuples.after_prefix(own)
    # Behind the very key lie its versions; the row of the current one is the key itself.
    return (
        own + b"\0"
        if order[0] == CURRENT
        else tuples.after_prefix(own + tuples.pack(int(order[0])))
    )
