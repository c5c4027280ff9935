"""The work of an import: writes the items of the objects of a bucket (``reading``) into a new table.

Rule: what is told to the log of records that are no items is told before they are counted, and may be
told again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.action import Scope
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.rules import imports as rules
from fogbank.services.dynamodb.rules.admitting import Admitted, Outcome, Reader, Refusal, source_of
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import COMPLETED, FAILED, TABLES, TableRecord
from fogbank.services.dynamodb.schema.imports import (
    IN_PROGRESS,
    ImportCounts,
    ImportPlace,
    ImportRecord,
)
from fogbank.services.dynamodb.state import imports, reading
from fogbank.services.dynamodb.state.asking import Asker, Refused
from fogbank.services.dynamodb.state.reading import Bounds, Later, Reading, Unfit

ATTEMPT_MS: Final = 600_000
"""How long an attempt lasts; a compressed object is inflated from its begin by the next."""


async def attempt(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Go on with an import, for as long as an attempt lasts.

    Raises:
        Weather: It has to be tried again.
    """
    name = TransferName(entry.payload.decode(), entry.id)

    async def look(tr: Transaction) -> tuple[ImportRecord, TableRecord] | None:
        record, table = await imports.find(tr, name), await TABLES.find(tr, name.table)
        if record is None or record.status != IN_PROGRESS or table is None:
            return None
        return record, table

    found = await facilities.holding(Domain(*entry.domain)).read(look)
    if found is None:
        return Verdict()
    work = _Work(facilities, entry, *found)
    try:
        await work.go_on()
    except Later:
        return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)
    except (Refused, Unfit) as failed:
        return work.ended(FAILED, failed.code, failed.message)
    if work.record.counts.errors:
        return work.ended(FAILED, *rules.FAILED_ITEMS)
    return work.ended(COMPLETED)


class _Work:
    """One attempt at an import.

    Args:
        facilities: What it may touch.
        entry: Its entry of the work list.
        record: The import, which is kept here as it was last written.
        table: The table that it fills; nobody else changes it meanwhile.
    """

    def __init__(
        self, facilities: Facilities, entry: WorkEntry, record: ImportRecord, table: TableRecord
    ) -> None:
        self._facilities = facilities
        self._store = facilities.holding(Domain(*entry.domain))
        self._scope = Scope(entry.domain[1], entry.domain[2])
        self.record = record
        self._table = table
        self._request = rules.request_of(record)
        self._format = rules.format_of(self._request)
        self._asker = Asker(facilities, record.principal, record.region)
        self._until_ms = facilities.clock.now_ms() + ATTEMPT_MS

    def ended(self, status: str, code: str = "", message: str = "") -> Verdict:
        """Return the verdict with which the import ends."""
        before, timers = self.record, self._facilities.timers
        after = msgspec.structs.replace(
            before,
            status=status,
            ended_ms=self._facilities.clock.now_ms(),
            failure_code=code,
            failure_message=message,
        )

        async def settle(tr: Transaction) -> None:
            await imports.end(tr, before, after, timers)

        return Verdict(settle=settle)

    async def go_on(self) -> None:
        """Read whatever is left to read.

        Raises:
            Later: It takes longer than an attempt may last.
            Refused: Something needed is refused.
            Unfit: There are no objects, or too many.
        """
        compression = self._request.get("InputCompressionType", "NONE")
        source = source_of(self._request["S3BucketSource"], compression)
        found = Reading(self._asker, source, self)
        if not self.counts.is_listed:
            await self._open_log()
            quota = self._facilities.quotas.value
            bytes_max = quota(quotas.IMPORT_BYTES)
            objects_max = quota(quotas.IMPORT_OBJECTS)
            await found.list_objects(Bounds(objects_max, bytes_max, bytes_max, rules.TOO_MUCH))
        await found.read()

    # What it is read for (``reading.Sink``).

    @property
    def place(self) -> ImportPlace:
        """Return how far it has come."""
        return self.record.place

    @property
    def counts(self) -> ImportCounts:
        """Return what was done so far."""
        return self.record.counts

    def reader_of(self, place: ImportPlace) -> Reader:
        """Return what reads the records of an object."""
        item_bytes_max = self._facilities.quotas.value(quotas.ITEM_BYTES)
        return Reader(self._format, self._table, item_bytes_max, place.header)

    async def keep(
        self, *, place: ImportPlace | None = None, counts: ImportCounts | None = None
    ) -> None:
        """Keep how far it has come."""
        await self._write([], place=place or self.place, counts=counts or self.counts)

    async def give_up(self, refusal: Refusal) -> None:
        """Count and log the error for which the rest of an object is not read."""
        await self._tell([refusal])
        counts = msgspec.structs.replace(
            self.counts, errors=self.counts.errors + 1, processed=self.counts.processed + 1
        )
        await self.keep(place=ImportPlace(key=self.place.key), counts=counts)

    async def write(self, outcomes: Sequence[Outcome], read_bytes: int) -> None:  # noqa: ARG002 (an import counts what the objects stand for)
        """Write items with the place behind them, and tell the log of records that are none."""
        admitted = [each.found for each in outcomes if isinstance(each.found, Admitted)]
        refused = [each.found for each in outcomes if isinstance(each.found, Refusal)]
        await self._tell(refused)
        counts = msgspec.structs.replace(
            self.counts,
            processed_bytes=self.counts.processed_bytes + outcomes[-1].end - self.place.offset,
            processed=self.counts.processed + len(admitted) + len(refused),
            imported=self.counts.imported + len(admitted),
            errors=self.counts.errors + len(refused),
        )
        await self._write(admitted, place=reading.behind(self.place, outcomes), counts=counts)

    async def _write(self, admitted: list[Admitted], **changes: Any) -> None:
        """Write items with what becomes of the record."""
        before, after = self.record, msgspec.structs.replace(self.record, **changes)
        clock, limit = self._facilities.clock, self._facilities.quotas.value

        async def body(tr: Transaction) -> None:
            await imports.write_piece(tr, before, after, admitted, clock=clock, limit=limit)

        await self._store.transact(body)
        self.record = after
        if clock.now_ms() >= self._until_ms:
            raise Later

    # The log.

    async def _open_log(self) -> None:
        """Make the group and the stream of the log, which stand whether there are errors or not."""
        await self._asker.make("CreateLogGroup", {"logGroupName": rules.LOG_GROUP})
        await self._asker.make("CreateLogStream", self._log_stream)

    @property
    def _log_stream(self) -> Wire:
        """Return the names of the log's group and stream."""
        return {"logGroupName": rules.LOG_GROUP, "logStreamName": f"{self.record.id}/error"}

    async def _tell(self, refusals: Sequence[Refusal]) -> None:
        """Tell the log of records that are no items."""
        if not refusals:
            return
        now_ms, key = self._facilities.clock.now_ms(), self.record.place.key
        events = [
            {
                "timestamp": now_ms,
                "message": rules.error_message(self._scope, self.record, key, each),
            }
            for each in refusals
        ]
        await self._asker.ask("logs", "PutLogEvents", {**self._log_stream, "logEvents": events})
