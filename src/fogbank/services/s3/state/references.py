"""References to bodies: who counts one more, who lets go of one.

Rule: a body goes with its last reference, in the transaction that takes it away; the parts of a
manifest, which may be many, are left to a sweep.
"""

from __future__ import annotations

import msgspec

from fogbank.platform.blobs import rows
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.schema import (
    BODIES,
    MANIFESTS,
    BucketRecord,
    ManifestRecord,
    ObjectRecord,
    TaskRecord,
)
from fogbank.services.s3.state.bodies import Body
from fogbank.services.s3.state.tasks import READ_GRACE_MS, put_task


async def require_manifest(
    tr: Transaction, bucket: BucketRecord, record: ObjectRecord
) -> ManifestRecord:
    """Return the manifest of a multipart object."""
    manifest = await MANIFESTS.find(tr, bucket.bucket_id, record.manifest)
    assert manifest is not None, "a multipart object has its manifest"
    assert manifest.references > 0
    return manifest


def attach(tr: Transaction, body: Body) -> None:
    """Count the first reference to the blob of a body just taken in."""
    if body.blob is not None:
        rows.attach(tr, body.blob, body.size)


async def share(tr: Transaction, bucket: BucketRecord, record: ObjectRecord) -> None:
    """Count one more reference to the body of an object: a copy inside its bucket."""
    if record.blob is not None:
        await rows.retain(tr, record.blob)
    elif record.manifest:
        manifest = await require_manifest(tr, bucket, record)
        more = msgspec.structs.replace(manifest, references=manifest.references + 1)
        MANIFESTS.put(tr, more, bucket.bucket_id, record.manifest)


async def release(tr: Transaction, bucket: BucketRecord, record: ObjectRecord, now_ms: int) -> None:
    """Count one reference less to the body of an object that goes."""
    if record.blob is not None:
        await rows.release(tr, record.blob)
    elif record.manifest:
        manifest = await require_manifest(tr, bucket, record)
        left = msgspec.structs.replace(manifest, references=manifest.references - 1)
        MANIFESTS.put(tr, left, bucket.bucket_id, record.manifest)
        if left.references == 0:
            sweep = TaskRecord(
                kind="sweep_upload",
                bucket_id=bucket.bucket_id,
                name=bucket.name,
                upload_id=record.manifest,
            )
            put_task(tr, sweep, now_ms=now_ms, delay_ms=READ_GRACE_MS)


async def drop(
    tr: Transaction, bucket: BucketRecord, key: str, record: ObjectRecord, now_ms: int
) -> None:
    """Let go of the body of a version that goes, wherever it lies."""
    await release(tr, bucket, record, now_ms)
    if record.inline:
        BODIES.delete(tr, bucket.bucket_id, key, record.order)
