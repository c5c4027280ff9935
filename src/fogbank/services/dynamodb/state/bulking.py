"""The work of a bulk put: writes the items of the objects of a bucket (``reading``) into a table.

Rule: items are written as PutItem writes them, beside whoever else writes the table, and take what they
cost of its throughput; where that is used up they wait. What is not written is told by reports, whose
lines are kept until a file has them.

Theory: a piece that a transaction cannot have for one of its items ends before that item: what stands
before it is written, then the item waits or is refused by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from fogbank.base.errors import TransactionTooLarge
from fogbank.contract.action import Scope
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict
from fogbank.contract.option import Option
from fogbank.contract.quota import Quota
from fogbank.platform.metering.throughput import Name, Rate, Tab
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.rules import bulks as rules
from fogbank.services.dynamodb.rules import items, outputs, throughput
from fogbank.services.dynamodb.rules.admitting import Outcome, Reader, Refusal
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import COMPLETED, FAILED
from fogbank.services.dynamodb.schema.bulks import (
    CANCELLED,
    CANCELLING,
    COMPLETED_WITH_ERRORS,
    OUTPUT_TYPES,
    BulkRecord,
)
from fogbank.services.dynamodb.schema.imports import ImportCounts, ImportPlace
from fogbank.services.dynamodb.state import bulks
from fogbank.services.dynamodb.state.asking import Asker, Refused
from fogbank.services.dynamodb.state.bulks import Cancelled, Gone, Stopped, Writing
from fogbank.services.dynamodb.state.outputs import Outputs
from fogbank.services.dynamodb.state.reading import Bounds, Later, Reading, Unfit
from fogbank.services.dynamodb.state.reports import Reports

ATTEMPT_MS: Final = 600_000
"""How long an attempt lasts; a compressed object is inflated from its begin by the next."""
PAUSE_MS: Final = 1_000
"""So long it waits for throughput before it looks again, also whether it was cancelled."""
_WHOLE: Final = -1


async def attempt(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Go on with a bulk put, for as long as an attempt lasts.

    Raises:
        Weather: It has to be tried again.
    """
    name = TransferName(entry.payload.decode(), entry.id)
    store = facilities.holding(Domain(*entry.domain))
    record = await store.read(lambda tr: bulks.find(tr, name))
    if record is None or record.is_over:
        return Verdict()
    work = _Work(facilities, entry, record)
    try:
        await work.go_on()
    except Later as later:
        again_ms = max(later.until_ms, facilities.clock.now_ms())
        return Verdict(retry_at_ms=again_ms, uncounted=True)
    return work.ended()


class _Taker:
    """Takes what writes cost, as a call does.

    Args:
        facilities: With the meters and the settings.
        domain: Of the table.
        scope: Of who asked.
    """

    def __init__(self, facilities: Facilities, domain: Domain, scope: Scope) -> None:
        self.facilities = facilities
        self.operation = ""
        self.domain = domain
        self.scope = scope
        self.tab = Tab()

    def limit(self, quota: Quota) -> int:
        """Return the value of a quota."""
        return self.facilities.quotas.value(quota)

    def chosen(self, option: Option) -> bool:
        """Return what the deployment has chosen."""
        return self.facilities.options.value(option)


class _Work:
    """One attempt at a bulk put.

    Args:
        facilities: What it may touch.
        entry: Its entry of the work list.
        record: The bulk put, which is kept here as it was last written.
    """

    def __init__(self, facilities: Facilities, entry: WorkEntry, record: BulkRecord) -> None:
        domain = Domain(*entry.domain)
        self._facilities = facilities
        self._clock = facilities.clock
        self._store = facilities.holding(domain)
        self._scope = Scope(entry.domain[1], entry.domain[2])
        self._record = record
        self._table = rules.table_of(record)
        self._request = rules.request_of(record)
        self._asker = Asker(facilities, record.principal, record.region)
        self._source = rules.source_of(self._request)
        output = self._request["OutputS3Configuration"]
        self._outputs = Outputs(self._asker, outputs.put_members(output))
        self._reports = Reports(facilities, self._store, self._outputs, self._scope)
        self._taker = _Taker(facilities, domain, self._scope)
        limit = self._taker.limit
        self._writing = Writing(self._taker, self._clock, limit, frozenset(output["OutputType"]))
        self._meter = facilities.meters.meter_of(Name(record.id, _WHOLE, writes=True))
        units = rules.rate_of(
            self._request, limit(quotas.BULK_STANDARD_UNITS), limit(quotas.BULK_ACCELERATED_UNITS)
        )
        self._rate = Rate(units, units) if units else None
        self._until_ms = self._clock.now_ms() + ATTEMPT_MS

    async def go_on(self) -> None:
        """Do whatever is left to do but to end.

        Raises:
            Later: It takes longer than an attempt may last.
        """
        if not self._record.ending:
            status, code, message = await self._read()
            after = msgspec.structs.replace(
                self._record, ending=status, failure_code=code, failure_message=message
            )
            await self._change(after)
        if not self._record.is_told:
            await self._report()
        await self._reports.forget(self._record)

    def ended(self) -> Verdict:
        """Return the verdict with which the bulk put ends."""
        before, timers, ended_ms = self._record, self._facilities.timers, self._clock.now_ms()

        async def settle(tr: Transaction) -> None:
            await bulks.end(tr, before, ended_ms, timers)

        return Verdict(settle=settle)

    async def _change(self, after: BulkRecord) -> None:
        """Keep what has become of it, cancelled or not."""
        before = self._record
        self._record = await self._store.transact(lambda tr: bulks.change(tr, before, after))

    async def _read(self) -> tuple[str, str, str]:
        """Write what is left to write; return the status with which it ends, and why."""
        reading = Reading(self._asker, self._source, self)
        if self._record.status == CANCELLING:
            return CANCELLED, *rules.CANCELLED_BY
        try:
            if not self.counts.is_listed:
                await self._outputs.put(f"{rules.folder_of(self._record)}_started", b"")
                await reading.list_objects(self._bounds())
            await reading.read()
        except Cancelled:
            self._record = msgspec.structs.replace(self._record, status=CANCELLING)
            return CANCELLED, *rules.CANCELLED_BY
        except (Refused, Unfit, Gone) as failed:
            return FAILED, failed.code, failed.message
        return (COMPLETED_WITH_ERRORS if self.counts.errors else COMPLETED), "", ""

    def _bounds(self) -> Bounds:
        """Return what the objects may be."""
        limit = self._facilities.quotas.value
        return Bounds(
            limit(quotas.BULK_OBJECTS),
            limit(quotas.BULK_BYTES),
            limit(quotas.BULK_OBJECT_BYTES),
            rules.TOO_MUCH,
        )

    # What objects are read for (``reading.Sink``).

    @property
    def place(self) -> ImportPlace:
        """Return how far it has come."""
        return self._record.place

    @property
    def counts(self) -> ImportCounts:
        """Return what was done so far."""
        return self._record.counts

    def reader_of(self, place: ImportPlace) -> Reader:
        """Return what reads the records of an object."""
        item_bytes_max = self._facilities.quotas.value(quotas.ITEM_BYTES)
        return Reader(rules.format_of(self._request), self._table, item_bytes_max, place.header)

    async def keep(
        self, *, place: ImportPlace | None = None, counts: ImportCounts | None = None
    ) -> None:
        """Keep how far it has come."""
        before = self._record
        after = msgspec.structs.replace(
            before, place=place or before.place, counts=counts or before.counts
        )
        if place is not None and not place.etag and before.place.etag:
            after = self._behind_object(after)
        self._record = await self._store.transact(lambda tr: bulks.go_behind(tr, before, after))
        self._require_time()

    def _behind_object(self, record: BulkRecord) -> BulkRecord:
        """Return a bulk put that has read all that it will read of its object."""
        done = record.done_bytes + self.place.size
        return msgspec.structs.replace(record, done_bytes=done, read_bytes=done)

    async def give_up(self, refusal: Refusal) -> None:
        """Count the error for which the rest of an object is not read, and go behind it."""
        before = self._record
        after = self._behind_object(
            msgspec.structs.replace(before, place=ImportPlace(key=before.place.key))
        )
        self._record = await self._store.transact(
            lambda tr: bulks.give_up(tr, before, after, refusal, self._writing)
        )
        await self._tell_of_much()
        self._require_time()

    async def write(self, outcomes: Sequence[Outcome], read_bytes: int) -> None:
        """Write what records are and the place behind them, in pieces if one has to wait."""
        left = list(outcomes)
        while left:
            await self._await_turn()
            try:
                await self._write_piece(left, read_bytes)
                left = []
            except Stopped as stopped:
                if stopped.at:
                    # None of these has to wait for the one behind them.
                    await self.write(left[: stopped.at], read_bytes)
                left = left[stopped.at :]
                if isinstance(stopped.error, throughput.THROTTLED):
                    await self._rest()
                else:
                    left[0] = _refused(left[0], stopped.error.message)
            except TransactionTooLarge:
                if len(left) > 1:
                    raise
                left[0] = _refused(left[0], items.TOO_LARGE)
        await self._tell_of_much()
        self._require_time()

    async def _write_piece(self, outcomes: Sequence[Outcome], read_bytes: int) -> None:
        """Write what records are, in one transaction."""
        before, tab = self._record, self._taker.tab
        read_bytes = max(before.read_bytes, before.done_bytes + read_bytes)

        async def body(tr: Transaction) -> BulkRecord:
            return await bulks.write_piece(tr, before, outcomes, self._writing, read_bytes)

        try:
            self._record = await self._store.transact(body)
        except BaseException:
            tab.give_back()
            raise
        tab.settle()
        self._meter.take(rules.units_between(before.usage, self._record.usage))

    # Time.

    async def _await_turn(self) -> None:
        """Wait until it may write on by its own rate."""
        meter, rate = self._meter, self._rate
        while rate is not None and not meter.has_any(rate, self._clock.monotonic()):
            await self._rest()

    async def _rest(self) -> None:
        """Wait for throughput: in another attempt, but where a file would be inflated anew for it.

        Raises:
            Later: An attempt goes on then.
        """
        self._require_time()
        until_ms = self._clock.now_ms() + PAUSE_MS
        if self._source.compression == "NONE":
            raise Later(until_ms)
        await self._clock.sleep_until(until_ms)

    def _require_time(self) -> None:
        """End an attempt that has lasted long enough."""
        if self._clock.now_ms() >= self._until_ms:
            raise Later

    # Reports.

    async def _tell_of_much(self) -> None:
        """Write a file as soon as there is enough for one."""
        bytes_max = self._facilities.quotas.value(quotas.EXPORT_FILE_BYTES)
        for kind, output in enumerate(self._record.outputs):
            if output.size >= bytes_max:
                self._record = await self._reports.write_file(self._record, kind)

    async def _report(self) -> None:
        """Write what is left of the reports, and the manifests."""
        failure: dict[str, str] = {}
        try:
            for kind in range(len(OUTPUT_TYPES)):
                while self._record.outputs[kind].told < self._record.outputs[kind].lines:
                    self._record = await self._reports.write_file(self._record, kind)
            await self._reports.put_manifests(self._record)
        except Refused as refused:
            if self._record.ending != FAILED:
                failure = {
                    "ending": FAILED,
                    "failure_code": refused.code,
                    "failure_message": refused.message,
                }
        await self._change(msgspec.structs.replace(self._record, is_told=True, **failure))


def _refused(outcome: Outcome, message: str) -> Outcome:
    """Return a record that is no item of the table after all."""
    return outcome._replace(found=Refusal(outcome.number, message))
