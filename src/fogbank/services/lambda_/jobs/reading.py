"""How a lane of a shard is read: from its cursor on, until there is a batch or nothing more."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.platform.runtime.sources import SourceReader
from fogbank.services.lambda_.rules import mappings
from fogbank.services.lambda_.rules.lanes import Gathering
from fogbank.services.lambda_.schema import CursorRecord, LaneRecord

log = logging.getLogger("fogbank.functions")

PAGES_MAX: Final = 16
"""Pages of a shard that one step reads: a batch has 10,000 records at most."""
PAGE: Final = 1_000
_GONE: Final = "ResourceNotFoundException"
_TRIMMED: Final = "TrimmedDataAccessException"
_EXPIRED: Final = "ExpiredIteratorException"


async def gather(
    lane: LaneRecord, cursor: CursorRecord, reader: SourceReader, gathered: Gathering, limit: int
) -> bool:
    """Read what may be the next batch; return whether the shard ends behind it.

    Args:
        lane: The lane.
        cursor: Where to begin.
        reader: Who reads.
        gathered: Takes what is read.
        limit: So many records a page.

    Raises:
        ServiceError: The stream cannot be read.
        RoleNotAssumableError: Lambda may not assume the function's role.
    """
    if gathered.full:
        return False
    kept = reader.kept_at(cursor.position)
    iterator = kept or await _begin(lane, cursor, reader)
    for _ in range(PAGES_MAX):
        if iterator is None:
            return True
        try:
            page = await reader.records(iterator, limit)
        except ServiceError as error:
            if error.code == _EXPIRED and iterator == kept:
                iterator = await _begin(lane, cursor, reader)
            else:
                iterator = await _begin_again(lane, cursor, reader, error)
            continue
        for record in page["Records"]:
            gathered.add(record)
        iterator = page.get("NextShardIterator")
        if gathered.full:
            return False
        if iterator is not None and not page["Records"]:
            if gathered.position == cursor.position:
                reader.keep(cursor.position, iterator)
            return False
    return False


async def _begin(lane: LaneRecord, cursor: CursorRecord, reader: SourceReader) -> str | None:
    """Return the iterator of the place to read on; None if the shard is gone."""
    if not cursor.position and cursor.iterator:
        return cursor.iterator
    try:
        if cursor.position:
            kind = "AFTER_SEQUENCE_NUMBER"
            return await reader.iterator(lane.shard, kind, SequenceNumber=cursor.position)
        if cursor.since_ms:
            # Records say when they were made by the second.
            since_ms = cursor.since_ms // 1_000 * 1_000
            return await reader.iterator(lane.shard, "AT_TIMESTAMP", Timestamp=since_ms)
        return await reader.iterator(lane.shard, mappings.TRIM_HORIZON)
    except ServiceError as error:
        if error.code != _GONE:
            return await _begin_again(lane, cursor, reader, error)
        log.warning("%s: its shard is gone", lane)
        return None


async def _begin_again(
    lane: LaneRecord, cursor: CursorRecord, reader: SourceReader, error: ServiceError
) -> str | None:
    """Return where to read on when a place is no good any more.

    Raises:
        ServiceError: It is another trouble.
    """
    if error.code == _EXPIRED and cursor.iterator:
        return await _begin(lane, msgspec.structs.replace(cursor, iterator=""), reader)
    if error.code != _TRIMMED:
        raise error
    log.warning("%s: records were trimmed before they were read", lane)
    return await reader.iterator(lane.shard, mappings.TRIM_HORIZON)
