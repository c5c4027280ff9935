"""Bulk puts: their records, the work that waits on them, and what one piece of it writes.

Rule: how far a bulk put has come, what it has cost and what its reports have to tell change in the
transaction that writes the items. A line of a report refers to the bodies of large items, like a record
of a table's history, until a file tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Conflict, ServiceError
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.timers import Timers
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb.errors import (
    LimitExceededException,
    ResourceNotFoundException,
    ValidationException,
)
from fogbank.services.dynamodb.rules import bulks as rules
from fogbank.services.dynamodb.rules import indexes, items, sizes
from fogbank.services.dynamodb.rules.admitting import Admitted, Outcome, Refusal
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import ITEMS, NO_VALUE, TABLES, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.bulks import (
    BULK_FILES,
    BULK_LINES,
    BULKS,
    CANCELLING,
    ERROR,
    OUTPUT_TYPES,
    UNMET,
    BulkLineRecord,
    BulkOutput,
    BulkRecord,
)
from fogbank.services.dynamodb.schema.exports import ExportFileRecord
from fogbank.services.dynamodb.state import (
    admission,
    bodies,
    encryption,
    reading,
    rows,
    transfers,
    writing,
)
from fogbank.services.dynamodb.state.admission import Taker
from fogbank.services.dynamodb.state.entries import Limit

BULKING: Final = "dynamodb.bulks"
"""The work list of bulk puts that are under way; those of a table are counted under its id."""
_FIRST: Final = BulkOutput()


class Cancelled(Exception):
    """A request has cancelled the bulk put."""


class Gone(Exception):
    """The table is not there any more."""

    code, message = rules.GONE


class Stopped(Exception):
    """An item could not be written, and so none of its piece was.

    Args:
        at: Which one of the outcomes.
        error: Why.
    """

    def __init__(self, at: int, error: ServiceError) -> None:
        super().__init__(str(error))
        self.at = at
        self.error = error


class Writing(NamedTuple):
    """With what a piece is written."""

    taker: Taker
    """Takes what it costs of the table."""
    clock: Clock
    limit: Limit
    asked: frozenset[str]
    """Of what the reports are to tell (``OutputType``)."""


# Bulk puts.


async def begin(tr: Transaction, record: BulkRecord, of_domain_max: int, of_table_max: int) -> None:
    """Write a new bulk put and queue its work, unless too many are under way."""
    counts = await worklist.counts(tr, BULKING, record.table_id)
    for found, most, where in (
        (counts.of_word, of_table_max, " for a table"),
        (counts.of_domain, of_domain_max, ""),
    ):
        if found >= most:
            raise LimitExceededException(
                "Subscriber limit exceeded: There is a limit of"
                f" {most} concurrent bulk operations{where}"
            )
    put(tr, record)
    entry = WorkEntry(
        list=BULKING,
        id=record.id,
        domain=tr.domain.name,
        payload=record.table.encode(),
        created_ms=record.started_ms,
        visible_ms=record.started_ms,
        word=record.table_id,
    )
    worklist.put_counted(tr, entry, counts)


async def is_written(tr: Transaction, table: TableRecord) -> bool:
    """Return whether a bulk put of a table is under way."""
    return (await worklist.counts(tr, BULKING, table.id)).of_word > 0


def name_of(record: BulkRecord) -> TransferName:
    """Return the name of a bulk put."""
    return TransferName(record.table, record.id)


def put(tr: Transaction, record: BulkRecord) -> None:
    """Write a bulk put that was changed."""
    BULKS.put(tr, record, record.id)


async def find(tr: Transaction, name: TransferName) -> BulkRecord | None:
    """Return a bulk put, or None if there is none or it is not told any more."""
    record = await BULKS.find(tr, name.id)
    return record if record is not None and record.table == name.table else None


async def require(tr: Transaction, name: TransferName) -> BulkRecord:
    """Return the bulk put that a request names by its ARN."""
    record = await find(tr, name)
    if record is None:
        raise ResourceNotFoundException(f"Bulk operation not found: {name.id}")
    return record


async def list_bulks(tr: Transaction, before: TransferName | None, limit: int) -> list[BulkRecord]:
    """Return up to ``limit`` bulk puts, the latest first, those before one."""
    after = None if before is None else (before.id,)
    return [record for _, record in await BULKS.list(tr, limit=limit, after=after, reverse=True)]


async def cancel(tr: Transaction, name: TransferName) -> BulkRecord:
    """Have a bulk put stop; harmless to repeat.

    Raises:
        ValidationException: It has ended.
    """
    record = await require(tr, name)
    if record.is_over:
        raise ValidationException(f"The bulk operation has ended: {record.status}")
    cancelled = msgspec.structs.replace(record, status=CANCELLING)
    put(tr, cancelled)
    return cancelled


async def require_ours(tr: Transaction, before: BulkRecord) -> BulkRecord:
    """Return a bulk put as it is, which may have been cancelled since.

    Raises:
        Conflict: Another attempt has gone on with it.
    """
    found = await BULKS.find(tr, before.id)
    if found is None or msgspec.structs.replace(found, status=before.status) != before:
        raise Conflict(f"another attempt goes on with the bulk put {before.id}")
    return found


async def change(tr: Transaction, before: BulkRecord, after: BulkRecord) -> BulkRecord:
    """Write what has become of a bulk put, cancelled or not; return it."""
    found = await require_ours(tr, before)
    changed = msgspec.structs.replace(after, status=found.status)
    put(tr, changed)
    return changed


async def end(tr: Transaction, before: BulkRecord, ended_ms: int, timers: Timers) -> None:
    """End a bulk put whose reports are written and whose rows are gone."""
    assert before.ending, "what ends was over"
    assert before.is_told
    found = await require_ours(tr, before)
    after = rules.ended(found, ended_ms)
    put(tr, after)
    transfers.forget_later(tr, timers, transfers.FORGET_BULK, (after.id,), after.started_ms)


# Items.


async def write_piece(
    tr: Transaction,
    before: BulkRecord,
    outcomes: Sequence[Outcome],
    work: Writing,
    read_bytes: int,
) -> BulkRecord:
    """Write what some records are, and return the bulk put behind them.

    Args:
        tr: The transaction.
        before: The bulk put as it is thought to be.
        outcomes: What they are, in order: of several items with one key the last remains.
        work: With what they are written.
        read_bytes: What was read of all objects so far.

    Raises:
        Cancelled: It was.
        Conflict: Another attempt has gone on with it.
        Gone: The table is not there any more.
        Stopped: One of them cannot be written, or not now.
    """
    await _require_wanted(tr, before)
    table = await TABLES.find(tr, before.table)
    if table is None or table.id != before.table_id:
        raise Gone
    # A key of KMS may have been given to it since.
    keyed = rules.with_keys_of(before, table)
    piece = _Piece(tr, encryption.served(tr, table), keyed, work)
    for at, outcome in enumerate(outcomes):
        if isinstance(outcome.found, Refusal):
            piece.refuse(outcome.found)
        elif outcome.found is not None:
            try:
                await piece.write(outcome.number, outcome.found)
            except ServiceError as error:
                raise Stopped(at, error) from error
    after = msgspec.structs.replace(
        piece.record, place=reading.behind(before.place, outcomes), read_bytes=read_bytes
    )
    put(tr, after)
    return after


async def give_up(
    tr: Transaction, before: BulkRecord, after: BulkRecord, refusal: Refusal, work: Writing
) -> BulkRecord:
    """Keep the error for which the rest of an object is not read; return the bulk put behind it."""
    await _require_wanted(tr, before)
    table = rules.table_of(before)
    piece = _Piece(tr, table, before, work)
    piece.refuse(refusal)
    changed = msgspec.structs.replace(
        piece.record,
        place=after.place,
        read_bytes=after.read_bytes,
        done_bytes=after.done_bytes,
    )
    put(tr, changed)
    return changed


async def go_behind(tr: Transaction, before: BulkRecord, after: BulkRecord) -> BulkRecord:
    """Keep how far a bulk put has read; return it."""
    await _require_wanted(tr, before)
    put(tr, after)
    return after


async def _require_wanted(tr: Transaction, before: BulkRecord) -> None:
    """Refuse to go on with what was cancelled."""
    found = await require_ours(tr, before)
    if found.status != before.status:
        assert found.status == CANCELLING, "nothing else happens to one that is under way"
        raise Cancelled


class _Piece:
    """Some items while they are written in one transaction."""

    def __init__(
        self, tr: Transaction, table: TableRecord, before: BulkRecord, work: Writing
    ) -> None:
        self._tr = tr
        self._table = table
        self._work = work
        self._is_changed = table.indexes != rules.table_of(before).indexes
        """Whether items were held against other indexes than there are."""
        self.record = before

    def refuse(self, refusal: Refusal) -> None:
        """Count a record that is no item of the table."""
        self._count(errors=1)
        line = BulkLineRecord(
            key=self.record.place.key,
            number=refusal.number,
            message=rules.told_message(refusal.message),
        )
        self._tell(ERROR, line)

    async def write(self, number: int, wanted: Admitted) -> None:
        """Write an item, unless its condition does not hold for what is there.

        Raises:
            ServiceError: The table cannot have it, or has nothing left of its throughput.
        """
        tr, table, record = self._tr, self._table, wanted.record
        if self._is_changed:
            indexes.require_keys(table, items.item_of(table, record))
        before = await rows.find_item(tr, table, wanted.key)
        admitted = admission.begin_write(tr, self._work.taker, table, wanted.key, before)
        condition = wanted.expressions.condition
        if condition is not None and not condition.holds(items.found_item(table, before) or {}):
            await self._pass_over(number, items.kept_of(table, wanted.key, record), before)
            return
        followed = await writing.write_item(
            tr, table, wanted.key, before, record, clock=self._work.clock, limit=self._work.limit
        )
        if admitted is not None:
            admitted.end(record.size, followed.units)
        units = sizes.write_units(items.found_size(before), record.size)
        usage = rules.with_write(self.record.usage, units, followed.units)
        self.record = msgspec.structs.replace(self.record, usage=usage)
        self._count(imported=1)

    async def _pass_over(
        self, number: int, attempted: ItemRecord, existing: ItemRecord | None
    ) -> None:
        """Count an item whose condition does not hold, and keep it with what is there."""
        self._count()
        if UNMET not in self._work.asked:
            return
        placed = await bodies.placed(self._tr, self._table, attempted)
        found = NO_VALUE
        if existing is not None:
            await bodies.retain(self._tr, existing.body)
            found = msgspec.Raw(encode(bodies.closed(existing)))
        line = BulkLineRecord(
            key=self.record.place.key,
            number=number,
            attempted=msgspec.Raw(encode(bodies.closed(placed))),
            existing=found,
        )
        self._tell(UNMET, line, attempted, existing)

    def _count(self, *, imported: int = 0, errors: int = 0) -> None:
        """Count a record."""
        counts = self.record.counts
        changed = msgspec.structs.replace(
            counts,
            processed=counts.processed + 1,
            imported=counts.imported + imported,
            errors=counts.errors + errors,
        )
        self.record = msgspec.structs.replace(self.record, counts=changed)

    def _tell(
        self,
        kind: str,
        line: BulkLineRecord,
        attempted: ItemRecord | None = None,
        existing: ItemRecord | None = None,
    ) -> None:
        """Keep a line of a report, if it was asked for."""
        if kind not in self._work.asked:
            return
        number = OUTPUT_TYPES.index(kind)
        output = self.record.outputs[number]
        BULK_LINES.put(self._tr, line, self.record.id, number, output.lines)
        changed = msgspec.structs.replace(
            output,
            lines=output.lines + 1,
            size=output.size + rules.kept_size(line, attempted, existing),
        )
        self.record = with_output(self.record, number, changed)


# Reports.


def with_output(record: BulkRecord, kind: int, output: BulkOutput) -> BulkRecord:
    """Return a bulk put with what has become of the report of one type."""
    changed = tuple(output if at == kind else each for at, each in enumerate(record.outputs))
    return msgspec.structs.replace(record, outputs=changed)


class Line(NamedTuple):
    """A line that is kept of a report."""

    record: BulkLineRecord
    attempted: ItemRecord | None
    existing: ItemRecord | None


async def table_for(tr: Transaction, record: BulkRecord) -> TableRecord:
    """Return the table that lines are of, opened if it is sealed: with its keys as they are now.

    Raises:
        Unavailable: A key cannot be used now: its lines wait.
    """
    known, standing = rules.table_of(record), await TABLES.find(tr, record.table)
    if standing is not None and standing.id == record.table_id:
        known = msgspec.structs.replace(known, sse=standing.sse)
    return encryption.served(tr, known)


async def list_lines(
    tr: Transaction, record: BulkRecord, kind: int, first: int, limit: int
) -> list[Line]:
    """Return the lines of one type from a number on, in order; items in blobs are not open."""
    after = (first - 1,) if first else None
    found = await BULK_LINES.list(tr, record.id, kind, limit=limit, after=after)
    return [
        Line(each, await _item_in(tr, each.attempted), await _item_in(tr, each.existing))
        for _, each in found
    ]


async def _item_in(tr: Transaction, stored: msgspec.Raw) -> ItemRecord | None:
    """Return the record of an item that a line has."""
    if not rules.is_kept(stored):
        return None
    return await bodies.opened(tr, ITEMS.decode(bytes(stored)))


async def add_file(
    tr: Transaction, before: BulkRecord, kind: int, after: BulkOutput, file: ExportFileRecord
) -> BulkRecord:
    """Keep what is known of a file that was written; return the bulk put behind it."""
    BULK_FILES.put(tr, file, before.id, kind, before.outputs[kind].files)
    return await change(tr, before, with_output(before, kind, after))


async def list_files(
    tr: Transaction, record: BulkRecord, kind: int, first: int, limit: int
) -> list[ExportFileRecord]:
    """Return the files of one type from a number on, in order."""
    after = (first - 1,) if first else None
    found = await BULK_FILES.list(tr, record.id, kind, limit=limit, after=after)
    return [file for _, file in found]


async def forget_lines(tr: Transaction, record: BulkRecord, limit: int) -> int:
    """Remove lines that nobody is to tell of any more, or ever; return how many.

    Args:
        tr: The transaction.
        record: The bulk put: where its reports are written all of its lines go, else those that files
            have told of.
        limit: So many at most.
    """
    removed = 0
    for kind, output in enumerate(record.outputs):
        found = await BULK_LINES.list(tr, record.id, kind, limit=limit - removed)
        for key, line in found:
            (number,) = key
            assert isinstance(number, int), "lines are numbered"
            if not record.is_told and number >= output.told:
                break
            BULK_LINES.delete(tr, record.id, kind, number)
            await bodies.release_of(tr, BULK_LINES, encode(line))
            removed += 1
        if removed == limit:
            break
    return removed


async def forget_files(tr: Transaction, record: BulkRecord, limit: int) -> int:
    """Remove what is known of files, which the manifest has told of; return of how many."""
    found = await BULK_FILES.list(tr, record.id, limit=limit)
    for key, _ in found:
        BULK_FILES.delete(tr, record.id, *key)
    return len(found)
