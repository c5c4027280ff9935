"""Renames of objects: one record moves to another key, in one transaction; no byte does.

Rule: what a rename took the place of goes as if it had been written over, and nothing is ever seen at
both keys or at neither.
"""

from __future__ import annotations

import msgspec

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.errors import IdempotencyParameterMismatch, NoSuchKey
from fogbank.services.s3.events import Happening
from fogbank.services.s3.rules import renaming
from fogbank.services.s3.rules.notifications import CREATED_COPY, REMOVED_DELETE
from fogbank.services.s3.rules.sequencing import sequencer_of
from fogbank.services.s3.schema import BODIES, OBJECTS, BucketRecord, CompletedRecord, ObjectRecord
from fogbank.services.s3.state import (
    buckets,
    notifications,
    objects,
    references,
    uploads,
    versions,
)


async def rename(call: Call, request: Request) -> None:
    """Give an object another key, in place of what is there.

    Raises:
        NoSuchKey: There is no such object, and the caller may know: it may list the bucket.
        PreconditionFailed: A condition does not hold.
        IdempotencyParameterMismatch: The token was used for another rename.
        NotBuilt: The bucket has versions, or the object's key is bound to its name.
    """
    source = renaming.source_of(request)
    token, now_ms = renaming.token_of(request, call.account), call.clock.now_ms()

    async def body(tr: Transaction) -> bool:
        bucket = await buckets.require_bucket(tr, call, request)
        renaming.check_bucket(bucket)
        if token and await _is_repeat(tr, bucket, token, request):
            return True
        record = await objects.find_object(tr, bucket, source)
        if record is None:
            return False
        renaming.check_source(request, source, record, now_ms)
        current = await objects.find_object(tr, bucket, request["Key"])
        renaming.check_destination(request, current, now_ms)
        await _move(tr, call, bucket, (source, request["Key"]), (record, current))
        if token:
            done = CompletedRecord(
                key=request["Key"],
                etag=record.etag,
                checksum=record.checksum,
                parts=renaming.digest_of(request),
            )
            uploads.remember(tr, call.timers, bucket, token, done, now_ms)
        return True

    if not await call.store.transact(body):
        prefix = {"s3:prefix": source}
        await call.require("s3:ListBucket", bucket_arn(call.region, request["Bucket"]), prefix)
        raise NoSuchKey(Key=source)


async def _is_repeat(tr: Transaction, bucket: BucketRecord, token: str, request: Request) -> bool:
    """Return whether a rename was done before under its token."""
    done = await uploads.find_completed(tr, bucket, token)
    if done is not None and done.parts != renaming.digest_of(request):
        raise IdempotencyParameterMismatch
    return done is not None


async def _move(
    tr: Transaction,
    call: Call,
    bucket: BucketRecord,
    keys: tuple[str, str],
    records: tuple[ObjectRecord, ObjectRecord | None],
) -> None:
    """Move a record from a key to another, over what is there, and tell of both."""
    (source, key), (record, current), now_ms = keys, records, call.clock.now_ms()
    opened = await objects.open_object(tr, bucket, source, record)
    place = await versions.next_place(tr, bucket, key, current, now_ms, call.request_id)
    # AWS: a rename "preserves all object metadata properties", the date of the last change too.
    moved = msgspec.structs.replace(record, sequencer=place.sequencer, order=place.order)
    if current is not None:
        await references.drop(tr, bucket, key, current, now_ms)
    if record.inline:
        content = opened.content
        assert content is not None
        BODIES.delete(tr, bucket.bucket_id, source, record.order)
        objects.put_content(tr, bucket, key, moved, content)
    OBJECTS.delete(tr, bucket.bucket_id, source)
    OBJECTS.put(tr, moved, bucket.bucket_id, key)
    made = Happening(CREATED_COPY, key, moved.sequencer, moved.size, moved.etag)
    gone = Happening(REMOVED_DELETE, source, sequencer_of(now_ms, record))
    for happening in (made, gone):
        await notifications.tell(tr, call, bucket, now_ms, happening)
