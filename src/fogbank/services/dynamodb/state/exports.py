"""Exports: their records, the work that waits on them, and the moments of the tables they read."""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.base.errors import Conflict
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.timers import Timers
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb.errors import ExportNotFoundException, LimitExceededException
from fogbank.services.dynamodb.rules import filters
from fogbank.services.dynamodb.rules.exports import Span, request_of, table_of
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.exports import (
    EXPORT_FILES,
    EXPORTS,
    IN_PROGRESS,
    ExportFileRecord,
    ExportRecord,
)
from fogbank.services.dynamodb.state import history, transfers

EXPORTING: Final = "dynamodb.exports"
"""The work list of exports that are under way."""
_WORD: Final = "export"
"""All of a domain are counted, so that they can be bounded."""


class Line(msgspec.Struct, frozen=True):
    """What becomes a line of a file: an item, or what became of one."""

    after: ItemRecord | None
    before: ItemRecord | None = None
    at_ms: int = 0
    """When it was written last; 0: it is an item of a full export."""


async def begin(
    tr: Transaction, record: ExportRecord, table: TableRecord, span: Span, exports_max: int
) -> ExportRecord:
    """Keep the moments of a table that an export is of, write it and queue its work."""
    for name, second in zip(cuts_of(record), span.seconds, strict=True):
        table = await history.take_cut(tr, table, name, record.started_ms, second=second)
    return await begin_afar(tr, msgspec.structs.replace(record, table=encode(table)), exports_max)


async def begin_afar(tr: Transaction, record: ExportRecord, exports_max: int) -> ExportRecord:
    """Write an export whose moments were taken, and queue its work.

    Raises:
        LimitExceededException: Too many are under way; the transaction leaves no trace.
    """
    counts = await worklist.counts(tr, EXPORTING, _WORD)
    if counts.of_domain >= exports_max:
        raise LimitExceededException(
            f"Subscriber limit exceeded: There is a limit of {exports_max} concurrent exports"
        )
    put(tr, record)
    entry = WorkEntry(
        list=EXPORTING,
        id=record.id,
        domain=tr.domain.name,
        payload=record.name.encode(),
        created_ms=record.started_ms,
        visible_ms=record.started_ms,
        word=_WORD,
    )
    worklist.put_counted(tr, entry, counts)
    return record


def cuts_of(record: ExportRecord) -> list[str]:
    """Return the names of the moments that an export reads, the earlier first."""
    until = f"export/{record.id}"
    return [f"{until}/from", until] if record.from_ms else [until]


def name_of(record: ExportRecord) -> TransferName:
    """Return the name of an export."""
    return TransferName(record.name, record.id)


def put(tr: Transaction, record: ExportRecord) -> None:
    """Write an export that was changed."""
    EXPORTS.put(tr, record, *transfers.key_of(name_of(record)))


async def find(tr: Transaction, name: TransferName) -> ExportRecord | None:
    """Return an export, or None if there is none or it is not told any more."""
    return await EXPORTS.find(tr, *transfers.key_of(name))


async def require(tr: Transaction, name: TransferName) -> ExportRecord:
    """Return the export that a request names by its ARN."""
    record = await find(tr, name)
    if record is None:
        raise ExportNotFoundException(f"Export not found: {name.id}")
    return record


async def list_lines(
    tr: Transaction, record: ExportRecord, place: bytes, limit: int
) -> tuple[list[Line], bytes | None]:
    """Return the next lines of an export, and where those behind begin; None: there are none."""
    table, cuts = table_of(record), cuts_of(record)
    moments = [await history.require_cut(tr, table, name) for name in cuts]
    keys = filters.filter_of(request_of(record), table).from_place(place)
    if not record.from_ms:
        piece = await history.list_items_as_of(tr, table, moments[0], keys, limit=limit)
        lines, rest = [Line(item) for _, item in piece.items], piece.rest
    else:
        window = moments[0], moments[1]
        found = await history.list_changes_between(tr, table, window, keys, limit=limit)
        lines = [Line(each.after, each.before, each.at_ms) for each in found.changes]
        rest = found.rest
    return lines, None if rest is None else rest.begin


async def add_file(
    tr: Transaction, before: ExportRecord, after: ExportRecord, file: ExportFileRecord
) -> None:
    """Keep what is known of a file that was written, and how far the export has come with it."""
    await _require_unchanged(tr, before)
    EXPORT_FILES.put(tr, file, before.id, before.progress.files)
    put(tr, after)


async def list_files(
    tr: Transaction, record: ExportRecord, after: int | None, limit: int
) -> list[ExportFileRecord]:
    """Return the next files of an export behind a number, in order."""
    start = None if after is None else (after,)
    found = await EXPORT_FILES.list(tr, record.id, limit=limit, after=start)
    return [file for _, file in found]


async def end(tr: Transaction, before: ExportRecord, after: ExportRecord, timers: Timers) -> None:
    """End an export, and let the moments of its table go."""
    assert after.status != IN_PROGRESS
    await _require_unchanged(tr, before)
    # Those of another region are let go there, once they are asked after.
    for name in () if before.home else cuts_of(before):
        await history.release_cut(tr, table_of(before), name, after.ended_ms)
    put(tr, after)
    key = transfers.key_of(name_of(after))
    transfers.forget_later(tr, timers, transfers.FORGET_EXPORT, key, after.ended_ms)


async def forget_files(tr: Transaction, export_id: str, limit: int) -> int:
    """Remove what is known of files of an export that has ended; return of how many."""
    found = await EXPORT_FILES.list(tr, export_id, limit=limit)
    for key, _ in found:
        EXPORT_FILES.delete(tr, export_id, *key)
    return len(found)


async def _require_unchanged(tr: Transaction, before: ExportRecord) -> None:
    """Refuse to go on with an export that is not as it is thought to be."""
    if await find(tr, name_of(before)) != before:
        raise Conflict(f"another attempt goes on with the export {before.id}")
