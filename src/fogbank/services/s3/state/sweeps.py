"""Removing what nothing refers to any more, in pieces.

Rule: a part's row and its reference to the blob go in one transaction, so that two sweeps of the
same range cannot let go of a blob twice.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.blobs import rows
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.s3.schema import (
    BODIES,
    COMPLETED,
    MANIFEST_PARTS,
    MANIFESTS,
    NULLS,
    OBJECTS,
    PARTS,
    UPLOADS,
    VERSIONS,
    PartRecord,
    TaskRecord,
)
from fogbank.services.s3.schema.logs import LOG_LINES
from fogbank.services.s3.schema.metrics import METRICS

PIECE_ROWS: Final = 64
_PLAIN_TABLES: Final = (
    UPLOADS,
    MANIFEST_PARTS,
    MANIFESTS,
    COMPLETED,
    BODIES,
    OBJECTS,
    NULLS,
    VERSIONS,
    LOG_LINES,
    METRICS,
)


async def sweep_upload(store: Store, task: TaskRecord) -> bool:
    """Remove a piece of an upload's parts; return whether nothing is left."""
    if task.parts is None:
        return await _sweep_all(store, task)
    for at in range(0, len(task.parts), PIECE_ROWS):
        numbers = task.parts[at : at + PIECE_ROWS]

        async def body(tr: Transaction, numbers: tuple[int, ...] = numbers) -> None:
            for number in numbers:
                place = (task.bucket_id, task.upload_id, number)
                await _remove_part(tr, place, await PARTS.find(tr, *place))

        await store.transact(body)
    return True


async def _sweep_all(store: Store, task: TaskRecord) -> bool:
    """Remove a piece of everything an upload left."""

    async def body(tr: Transaction) -> bool:
        found = await PARTS.list(tr, task.bucket_id, task.upload_id, limit=PIECE_ROWS)
        for key, record in found:
            await _remove_part(tr, (task.bucket_id, task.upload_id, *key), record)
        if len(found) == PIECE_ROWS:
            return False
        for key, _ in await MANIFEST_PARTS.list(
            tr, task.bucket_id, task.upload_id, limit=PIECE_ROWS
        ):
            MANIFEST_PARTS.delete(tr, task.bucket_id, task.upload_id, *key)
        MANIFESTS.delete(tr, task.bucket_id, task.upload_id)
        return True

    return await store.transact(body)


async def _remove_part(
    tr: Transaction, place: tuple[tuples.Element, ...], record: PartRecord | None
) -> None:
    """Remove a part's row and let go of its blob."""
    if record is None:
        return
    if record.blob is not None:
        await rows.release(tr, record.blob)
    PARTS.delete(tr, *place)


async def sweep_bucket(store: Store, task: TaskRecord) -> bool:
    """Remove a piece of what lies under the id of a deleted bucket; return whether none is left."""

    async def body(tr: Transaction) -> bool:
        found = await PARTS.list(tr, task.bucket_id, limit=PIECE_ROWS)
        for key, record in found:
            await _remove_part(tr, (task.bucket_id, *key), record)
        if found:
            return False
        for table in _PLAIN_TABLES:
            begin = table.prefix(tr.domain, task.bucket_id)
            piece = await tr.range(begin, tuples.after_prefix(begin), limit=PIECE_ROWS)
            for key, _ in piece:
                tr.delete(key)
            if piece:
                return False
        return True

    return await store.transact(body)
