"""What buckets hold, counted: for whoever runs the cloud.

Rule: a count costs a bounded amount at a time, whatever a bucket holds; it is no snapshot, as what
is written meanwhile may be in it or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, TypeVar

import msgspec

from fogbank.platform.store.engine import DIRECTORY, Placement, Store, Transaction
from fogbank.platform.store.records import Record, Table
from fogbank.platform.store.tuples import Element
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.schema import OBJECTS, PARTS, UPLOADS, VERSIONS
from fogbank.services.s3.state import buckets

R = TypeVar("R", bound=Record)
Page = list[tuple[tuple[Element, ...], R]]

ROWS_PER_READ: Final = 256
"""Less than a millisecond's."""


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
    directory, after = placement.store_of(DIRECTORY), ""
    while True:

        async def body(tr: Transaction, after: str = after) -> list[str]:
            found = await buckets.list_names(tr, account, after, ROWS_PER_READ)
            return [name for name, entry in found if entry.active]

        names = await directory.read(body)
        for name in names:
            usage = await _usage_of(placement.store_of(domain_of(name)), account)
            if usage is not None:
                yield usage
        if not names:
            return
        after = names[-1]


async def _usage_of(store: Store, account: str) -> Usage | None:
    """Return what the bucket of a store holds; None if it has gone meanwhile."""
    bucket = await store.read(buckets.find_bucket)
    if bucket is None or bucket.account != account:
        return None
    usage = Usage(bucket.name, bucket.account, bucket.region)
    async for page in _pages(store, OBJECTS, bucket.bucket_id):
        usage.objects += len(page)
        usage.bytes += sum(record.size for _, record in page)
    async for page in _pages(store, VERSIONS, bucket.bucket_id):
        markers = sum(record.delete_marker for _, record in page)
        usage.markers += markers
        usage.versions += len(page) - markers
        usage.version_bytes += sum(record.size for _, record in page)
    async for page in _pages(store, UPLOADS, bucket.bucket_id):
        usage.uploads += len(page)
        for (_key, upload_id), _record in page:
            async for parts in _pages(store, PARTS, bucket.bucket_id, upload_id):
                usage.upload_bytes += sum(part.size for _, part in parts)
    return usage


async def _pages(store: Store, table: Table[R], *parts: Element) -> AsyncGenerator[Page[R]]:
    """Yield the records under some parts of a key, a bounded number at a time."""
    after: tuple[Element, ...] | None = None
    while True:

        async def body(tr: Transaction, after: tuple[Element, ...] | None = after) -> Page[R]:
            return await table.list(tr, *parts, limit=ROWS_PER_READ, after=after)

        page = await store.read(body)
        if page:
            yield page
        if len(page) < ROWS_PER_READ:
            return
        after = page[-1][0]
        await asyncio.sleep(0)  # noqa: TID251 (no time passes; the loop turns)
