"""Multipart uploads: their records, their parts, and the manifest that completing one leaves."""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.platform.blobs import rows
from fogbank.platform.scheduler.timers import Timer, Timers
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.s3.errors import NoSuchUpload
from fogbank.services.s3.rules.listings import Walk
from fogbank.services.s3.rules.multipart import CHUNK_PARTS, Assembled, chunks_of
from fogbank.services.s3.schema import (
    COMPLETED,
    MANIFEST_PARTS,
    MANIFESTS,
    PARTS,
    UPLOADS,
    BucketRecord,
    CompletedRecord,
    ManifestPartsRecord,
    ManifestRecord,
    PartRecord,
    TaskRecord,
    UploadRecord,
)
from fogbank.services.s3.state import bodies, buckets
from fogbank.services.s3.state.bodies import Body
from fogbank.services.s3.state.objects import walk_rows
from fogbank.services.s3.state.tasks import put_task

PARTS_PER_READ: Final = 500
UPLOADS_LOOKED_AT_MAX: Final = 1_000
"""How many uploads of one key are looked through for those of another account."""
COMPLETED_KEPT_MS: Final = 24 * 3_600_000
"""How long a repeated CompleteMultipartUpload is answered as the first one was."""
FORGET_COMPLETED: Final = "s3.completed"


def put_upload(
    tr: Transaction, bucket: BucketRecord, key: str, upload_id: str, record: UploadRecord
) -> None:
    """Write an upload."""
    UPLOADS.put(tr, record, bucket.bucket_id, key, upload_id)


async def find_upload(
    tr: Transaction, bucket: BucketRecord, key: str, upload_id: str
) -> UploadRecord | None:
    """Return an upload under way, or None."""
    return await UPLOADS.find(tr, bucket.bucket_id, key, upload_id)


async def has_begun(tr: Transaction, bucket: BucketRecord, key: str, account: str) -> bool:
    """Return whether an account other than the bucket's has begun one of a key's uploads."""
    found = await UPLOADS.list(tr, bucket.bucket_id, key, limit=UPLOADS_LOOKED_AT_MAX)
    return any(record.initiator == account for _, record in found)


async def require_upload(
    tr: Transaction, bucket: BucketRecord, key: str, upload_id: str
) -> UploadRecord:
    """Return an upload under way.

    Raises:
        NoSuchUpload: There is none of that id at that key.
    """
    record = await find_upload(tr, bucket, key, upload_id)
    if record is None:
        raise NoSuchUpload(UploadId=upload_id)
    return record


async def keep_part(call: Call, request: Request, body: Body) -> PartRecord:
    """Write the part that a request names, whose bytes have been taken, or let go of them.

    Raises:
        NoSuchUpload: The upload has been completed or aborted meanwhile.
    """
    part = PartRecord(
        etag=body.etag,
        size=body.size,
        modified_ms=call.clock.now_ms(),
        checksum=body.checksum,
        blob=body.blob,
    )
    key, upload_id, number = request["Key"], request["UploadId"], request["PartNumber"]

    async def commit(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        await add_part(tr, bucket, key, upload_id, (number, part))

    try:
        await call.store.transact(commit)
    except bodies.REFUSALS:
        await bodies.discard(call.blobs, body)
        raise
    return part


async def add_part(
    tr: Transaction,
    bucket: BucketRecord,
    key: str,
    upload_id: str,
    numbered: tuple[int, PartRecord],
) -> None:
    """Write a part in place of an earlier one of its number, and own its blob.

    Raises:
        NoSuchUpload: The upload has been completed or aborted.
    """
    upload = await require_upload(tr, bucket, key, upload_id)
    if upload.completing:
        # Who is completing it has read the parts already, and must read them again.
        mark_completing(tr, bucket, key, upload_id, upload, "")
    number, record = numbered
    place = (bucket.bucket_id, upload_id, number)
    await _release_part(tr, await PARTS.find(tr, *place))
    if record.blob is not None:
        rows.attach(tr, record.blob, record.size)
    PARTS.put(tr, record, *place)


def mark_completing(
    tr: Transaction,
    bucket: BucketRecord,
    key: str,
    upload_id: str,
    upload: UploadRecord,
    token: str,
) -> None:
    """Note which request is completing an upload; none if the token is empty."""
    marked = msgspec.structs.replace(upload, completing=token)
    put_upload(tr, bucket, key, upload_id, marked)


async def _release_part(tr: Transaction, record: PartRecord | None) -> None:
    """Let go of the blob of a part."""
    if record is not None and record.blob is not None:
        await rows.release(tr, record.blob)


async def list_parts(
    tr: Transaction, bucket_id: bytes, upload_id: str, after: int, limit: int
) -> list[tuple[int, PartRecord]]:
    """Return up to ``limit`` parts with numbers above ``after``, in order."""
    found = await PARTS.list(tr, bucket_id, upload_id, limit=limit, after=(after,))
    return [(int(key[0] or 0), record) for key, record in found]


async def all_parts(store: Store, bucket: BucketRecord, upload_id: str) -> dict[int, PartRecord]:
    """Return every part of an upload by number, in short reads."""
    parts: dict[int, PartRecord] = {}
    after = 0
    while True:

        async def body(tr: Transaction, after: int = after) -> list[tuple[int, PartRecord]]:
            return await list_parts(tr, bucket.bucket_id, upload_id, after, PARTS_PER_READ)

        page = await store.read(body)
        parts.update(page)
        if len(page) < PARTS_PER_READ:
            return parts
        after = page[-1][0]


def put_manifest(
    tr: Transaction, bucket: BucketRecord, upload_id: str, assembled: Assembled
) -> None:
    """Write the index of an object's parts, with one reference."""
    chunks = chunks_of(assembled.parts)
    manifest = ManifestRecord(references=1, chunks=chunks)
    MANIFESTS.put(tr, manifest, bucket.bucket_id, upload_id)
    for index in range(len(chunks)):
        row = assembled.parts[index * CHUNK_PARTS : (index + 1) * CHUNK_PARTS]
        MANIFEST_PARTS.put(tr, ManifestPartsRecord(row), bucket.bucket_id, upload_id, index)


async def close_upload(
    tr: Transaction, bucket: BucketRecord, key: str, upload_id: str, now_ms: int
) -> None:
    """Remove an upload that is aborted; its parts are swept."""
    UPLOADS.delete(tr, bucket.bucket_id, key, upload_id)
    put_task(tr, _sweep(bucket, upload_id, None), now_ms=now_ms)


def _sweep(bucket: BucketRecord, upload_id: str, parts: tuple[int, ...] | None) -> TaskRecord:
    """Return the task that removes parts of an upload."""
    return TaskRecord(
        kind="sweep_upload",
        bucket_id=bucket.bucket_id,
        name=bucket.name,
        upload_id=upload_id,
        parts=parts,
    )


def complete_upload(
    tr: Transaction,
    timers: Timers,
    bucket: BucketRecord,
    upload_id: str,
    outcome: tuple[CompletedRecord, tuple[int, ...]],
    now_ms: int,
) -> None:
    """Remove an upload that is complete, remember it for repeats, sweep parts left out."""
    completed, dropped = outcome
    UPLOADS.delete(tr, bucket.bucket_id, completed.key, upload_id)
    remember(tr, timers, bucket, upload_id, completed, now_ms)
    if dropped:
        put_task(tr, _sweep(bucket, upload_id, dropped), now_ms=now_ms)


def remember(
    tr: Transaction,
    timers: Timers,
    bucket: BucketRecord,
    name: str,
    completed: CompletedRecord,
    now_ms: int,
) -> None:
    """Remember what was done under a name, for repeats of the request, and for a day."""
    COMPLETED.put(tr, completed, bucket.bucket_id, name)
    timers.put(
        tr,
        Timer(
            kind=FORGET_COMPLETED,
            domain=tr.domain.name,
            key=tuples.pack(bucket.bucket_id, name),
            due_ms=now_ms + COMPLETED_KEPT_MS,
        ),
    )


async def find_completed(
    tr: Transaction, bucket: BucketRecord, upload_id: str
) -> CompletedRecord | None:
    """Return what completing an upload came to, or None."""
    return await COMPLETED.find(tr, bucket.bucket_id, upload_id)


def forget_completed(tr: Transaction, key: bytes) -> None:
    """Forget a completed upload by the key of its timer."""
    COMPLETED.delete(tr, *tuples.unpack(key))


async def walk_uploads(store: Store, bucket: BucketRecord, walk: Walk) -> Walk:
    """Take a walk over the uploads of a bucket to its end, in short reads."""

    def base(tr: Transaction) -> bytes:
        return UPLOADS.prefix(tr.domain, bucket.bucket_id)

    return await walk_rows(store, walk, base)
