"""The work of an import: reads the objects of a bucket, and writes their items a piece at a time.

Rule: what was read is kept in the transaction that writes it, so that an attempt which a crash cuts
short is made again from there: no item is lost and none is counted twice. What is told to the log
is told before, and may be told again. Objects are read in the name of who asked for the import, in
windows: nobody holds one open, and a permission that is withdrawn is missed at the next window.

Theory: a file is bytes, inflated, cut into records, each of which becomes an item or an error.
Whatever a file holds, there is in memory a window of it, one inflated piece and one record.

Whoever else fills a table from many items (``StartBulkPutItems``) can use ``imports.write_piece``
as it is: it asks for items that were admitted, and for a record that tells how far it has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec

from fogbank.base.errors import TransactionTooLarge
from fogbank.base.types import Wire
from fogbank.contract.action import Scope
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.rules import imports as rules
from fogbank.services.dynamodb.rules.exchange import packing
from fogbank.services.dynamodb.rules.exchange.faults import Malformed
from fogbank.services.dynamodb.rules.exchange.records import Cut, Cutter
from fogbank.services.dynamodb.rules.imports import Admitted, Outcome, Refusal
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    TABLES,
    ImportPlace,
    ImportRecord,
    TableRecord,
)
from fogbank.services.dynamodb.state import imports
from fogbank.services.dynamodb.state.asking import Asker, Refused

WINDOW_BYTES: Final = 1 << 20
"""What is read of an object at once."""
ITEMS_PER_PIECE: Final = 50
PIECE_BYTES: Final = 256 << 10
"""What the records of one transaction together may have; a larger one is alone."""
ATTEMPT_MS: Final = 600_000
"""How long an attempt lasts; a compressed object is inflated from its begin by the next."""
KEYS_PAGE: Final = 1_000


class _Later(Exception):
    """An attempt has lasted long enough; the next one goes on."""


class _Unfit(Exception):
    """What is to be imported cannot be.

    Args:
        message: Why.
        code: The same in a word.
    """

    def __init__(self, message: str, code: str = "ImportLimitExceeded") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


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
    except _Later:
        return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)
    except (Refused, _Unfit) as failed:
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
        self._compression: str = self._request.get("InputCompressionType", "NONE")
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
            _Later: It takes longer than an attempt may last.
            Refused: Something needed is refused.
            _Unfit: There are no objects, or too many.
        """
        if not self.record.counts.is_listed:
            await self._open_log()
            await self._list_objects()
        while await self._find_object():
            await self._read_object()

    async def _write(self, admitted: list[Admitted], **changes: Any) -> None:
        """Write items with what becomes of the record, in one transaction or in halves."""
        before, after = self.record, msgspec.structs.replace(self.record, **changes)
        clock, limit = self._facilities.clock, self._facilities.quotas.value

        async def body(tr: Transaction) -> None:
            await imports.write_piece(tr, before, after, admitted, clock=clock, limit=limit)

        await self._store.transact(body)
        self.record = after
        if clock.now_ms() >= self._until_ms:
            raise _Later

    # Objects.

    async def _page(self, after: str, limit: int) -> list[Wire]:
        """Return the next objects behind a key, in order."""
        source = self._request["S3BucketSource"]
        asked: Wire = {
            "Bucket": source["S3Bucket"],
            "Prefix": source.get("S3KeyPrefix", ""),
            "ExpectedBucketOwner": source["S3BucketOwner"],
            "MaxKeys": limit,
        }
        if after:
            asked["StartAfter"] = after
        reply = await self._asker.ask("s3", "ListObjectsV2", asked)
        return reply.get("Contents", [])

    async def _list_objects(self) -> None:
        """Find all objects once, before any is read: there may be too many."""
        quota = self._facilities.quotas.value
        objects_max, bytes_max = quota(quotas.IMPORT_OBJECTS), quota(quotas.IMPORT_BYTES)
        while not self.record.counts.is_listed:
            counts = self.record.counts
            found = await self._page(counts.last_key, KEYS_PAGE)
            counts = msgspec.structs.replace(
                counts,
                objects=counts.objects + len(found),
                object_bytes=counts.object_bytes + sum(each["Size"] for each in found),
                last_key=found[-1]["Key"] if found else counts.last_key,
                is_listed=len(found) < KEYS_PAGE,
            )
            if counts.objects > objects_max:
                raise _Unfit(f"There are more than {objects_max} objects to import")
            if counts.object_bytes > bytes_max:
                raise _Unfit(f"The objects to import have more than {bytes_max} bytes")
            if counts.is_listed and not counts.objects:
                raise _Unfit("There is no object to import", "S3NoSuchKey")
            await self._write([], counts=counts)

    async def _find_object(self) -> bool:
        """Turn to the next object unless one is half read; return whether there is one."""
        place = self.record.place
        if place.etag:
            return True
        while not place.etag:
            # What was put there since the objects were counted is not imported.
            found = [
                each
                for each in await self._page(place.key, 1)
                if each["Key"] <= self.record.counts.last_key
            ]
            if not found:
                return False
            key, size = found[0]["Key"], found[0]["Size"]
            # An object without bytes has no item, and no range of it can be asked for.
            place = ImportPlace(key=key, etag=found[0]["ETag"] if size else "", size=size)
        await self._write([], place=place)
        return True

    async def _read_object(self) -> None:
        """Write the items of the object that has been turned to."""
        place = self.record.place
        item_bytes_max = self._facilities.quotas.value(quotas.ITEM_BYTES)
        reader = rules.Reader(self._request, self._table, item_bytes_max, place.header)
        cutter = Cutter(place.offset, reader.record_bytes_max, quoted=reader.is_quoted)
        try:
            async with aclosing(self._pieces(place, cutter)) as pieces:
                async for piece in pieces:
                    await self._write_records(reader, piece)
        except Malformed as error:
            await self._give_up(error)
        else:
            await self._write([], place=ImportPlace(key=place.key))

    async def _give_up(self, error: Malformed) -> None:
        """Count and log the error for which the rest of an object is not read."""
        place, counts = self.record.place, self.record.counts
        await self._tell([Refusal(place.index, error.message)])
        counts = msgspec.structs.replace(
            counts, errors=counts.errors + 1, processed=counts.processed + 1
        )
        await self._write([], counts=counts, place=ImportPlace(key=place.key))

    async def _pieces(self, place: ImportPlace, cutter: Cutter) -> AsyncGenerator[list[Cut]]:
        """Yield the records behind a place in an object, so many as one transaction writes.

        Raises:
            Malformed: From some place on the object is not what it was said to be.
        """
        gathered: list[Cut] = []
        size, begin = 0, place.offset
        async with aclosing(self._cuts(place, cutter)) as batches:
            async for cuts in batches:
                for cut in cuts:
                    length, begin = cut.end - begin, cut.end
                    if gathered and size + length > PIECE_BYTES:
                        yield gathered
                        gathered, size = [], 0
                    gathered.append(cut)
                    size += length
                    if len(gathered) == ITEMS_PER_PIECE:
                        yield gathered
                        gathered, size = [], 0
                if gathered:
                    yield gathered
                    gathered, size = [], 0

    async def _cuts(self, place: ImportPlace, cutter: Cutter) -> AsyncGenerator[list[Cut]]:
        """Yield the records behind a place in an object, as they are read."""
        is_plain = self._compression == "NONE"
        at = place.offset if is_plain else 0
        skip = 0 if is_plain else place.offset
        inflater = packing.inflater(self._compression)
        while at < place.size:
            window = await self._window(place, at)
            at += len(window)
            for piece in inflater.inflate(window):
                yield cutter.cut(piece[skip:])
                skip = max(0, skip - len(piece))
                await asyncio.sleep(0)  # noqa: TID251 (lets requests go first; no time passes)
        inflater.finish()
        yield cutter.finish()

    async def _window(self, place: ImportPlace, at: int) -> bytes:
        """Return the next bytes of an object, which is still what it was when it was begun."""
        source = self._request["S3BucketSource"]
        end = min(at + WINDOW_BYTES, place.size)
        return await self._asker.body(
            {
                "Bucket": source["S3Bucket"],
                "Key": place.key,
                "Range": f"bytes={at}-{end - 1}",
                "IfMatch": place.etag,
                "ExpectedBucketOwner": source["S3BucketOwner"],
            }
        )

    # Records.

    async def _write_records(self, reader: rules.Reader, cuts: list[Cut]) -> None:
        """Write the items of some records, and tell the log of those that are none."""
        if reader.needs_header:
            reader.name_columns(cuts[0], quotas.CSV_HEADER_BYTES_MAX)
            place = msgspec.structs.replace(
                self.record.place, header=reader.header, offset=cuts[0].end
            )
            await self._write([], place=place)
            cuts = cuts[1:]
        index = self.record.place.index
        length = cuts[-1].end - self.record.place.offset if cuts else 0
        if length > quotas.STEP_BYTES:
            outcomes = await asyncio.to_thread(reader.outcomes, cuts, index)
        else:
            outcomes = reader.outcomes(cuts, index)
        await self._tell([each.found for each in outcomes if isinstance(each.found, Refusal)])
        if outcomes:
            await self._write_outcomes(outcomes)

    async def _write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Write items with the place behind them, in one transaction if it holds them."""
        admitted = [each.found for each in outcomes if isinstance(each.found, Admitted)]
        refused = sum(isinstance(each.found, Refusal) for each in outcomes)
        place, counts = self.record.place, self.record.counts
        last = outcomes[-1]
        changed = msgspec.structs.replace(place, offset=last.end, index=last.number + 1)
        counts = msgspec.structs.replace(
            counts,
            processed_bytes=counts.processed_bytes + last.end - place.offset,
            processed=counts.processed + len(admitted) + refused,
            imported=counts.imported + len(admitted),
            errors=counts.errors + refused,
        )
        try:
            await self._write(admitted, counts=counts, place=changed)
        except TransactionTooLarge:
            if len(outcomes) == 1:
                raise
            half = len(outcomes) // 2
            await self._write_outcomes(outcomes[:half])
            await self._write_outcomes(outcomes[half:])

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
