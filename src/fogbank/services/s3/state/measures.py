"""The daily storage metrics: each bucket is counted once a day, and then told.

Rule: a count is begun in the transaction that leaves its task, and its points are written in the
transaction that says how far an account's buckets are told: each day's are written once, whatever dies in
between.

Theory: what is told lies in a domain of account and region (``metrics.domain_of``), whose owner begins the
counts of all of its buckets and looks now and then how they are. They are told in order of the names, so
that a name says how far that is; the account's own metrics follow the last.

Source: Amazon S3 User Guide, "Metrics and dimensions": daily storage metrics are "reported once per day",
for every bucket, of current and other versions, delete markers and parts of unfinished uploads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from fogbank.contract.call import Facilities
from fogbank.platform.metering import points
from fogbank.platform.metering.metrics import MINUTE_MS, Board
from fogbank.platform.store.engine import DIRECTORY, Placement, Transaction
from fogbank.services.s3 import metrics
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.schema import ACCOUNTS, TaskRecord
from fogbank.services.s3.schema.metrics import MEASURED, MEASURES, MeasuredRecord, MeasureRecord
from fogbank.services.s3.state.buckets import find_bucket
from fogbank.services.s3.state.tasks import put_task
from fogbank.services.s3.state.usage import counted, is_done, names_of

DAY_MS: Final = 86_400_000
ACCOUNTS_PER_READ: Final = 256
STEPS_PER_PIECE: Final = 16
"""Steps of a count between two writings of how far it is."""
BUCKETS_PER_TELLING: Final = 8
"""Told in one transaction: each is six points."""
_NEVER: Final = -1
"""The stage of a bucket that was never counted."""
_TYPE: Final = "StandardStorage"
_ALL: Final = "AllStorageTypes"


class Told(NamedTuple):
    """A bucket that is counted."""

    name: str
    measure: MeasureRecord


async def measure_all(facilities: Facilities, midnight_ms: int) -> bool:
    """Have all buckets of this process counted and told; return whether something is left to do."""
    goes_on, after = False, ""
    directory = facilities.placement.store_of(DIRECTORY)
    while True:

        async def body(tr: Transaction, after: str = after) -> list[str]:
            behind = (after,) if after else None
            rows = await ACCOUNTS.list(tr, limit=ACCOUNTS_PER_READ, after=behind)
            return [str(key[0]) for key, _ in rows]

        accounts = await directory.read(body)
        for account in accounts:
            goes_on |= await _measure_account(facilities, account, midnight_ms)
        if not accounts:
            return goes_on
        after = accounts[-1]


async def _measure_account(facilities: Facilities, account: str, midnight_ms: int) -> bool:
    """Have the buckets of an account counted and told; return whether something is left to do."""
    placement = facilities.placement
    named: dict[str, list[str]] = {}
    async for name, region in names_of(placement, account):
        if placement.is_ours(metrics.domain_of(account, region)):
            named.setdefault(region, []).append(name)
    found = [
        await _measure_region(facilities, (account, region), names, midnight_ms)
        for region, names in named.items()
    ]
    return any(found)


async def _measure_region(
    facilities: Facilities, whose: tuple[str, str], names: Sequence[str], midnight_ms: int
) -> bool:
    """Have the buckets of an account in a region counted and told; see ``_measure_account``."""
    store = facilities.placement.store_of(metrics.domain_of(*whose))
    told = await store.read(MEASURED.find) or MeasuredRecord(0, "", done=True, sums={})
    if told.at_ms == midnight_ms and told.done:
        return False
    after = told.after if told.at_ms == midnight_ms else ""
    counted_now: list[Told] = []
    waits = False
    for name in names:
        if name <= after:
            continue
        measure = await _measure_of(facilities, name, midnight_ms)
        if measure is None:
            continue
        if not is_done(measure) or measure.at_ms != midnight_ms:
            waits = True
        elif not waits:
            counted_now.append(Told(name, measure))
    if not waits and not counted_now and told.at_ms != midnight_ms:
        return False
    for at in range(0, len(counted_now), BUCKETS_PER_TELLING):
        some = counted_now[at : at + BUCKETS_PER_TELLING]
        await store.transact(lambda tr, some=some: _tell(tr, some, midnight_ms))
    if not waits:
        await store.transact(lambda tr: _tell_account(tr, whose, midnight_ms))
    return waits


async def _measure_of(facilities: Facilities, name: str, midnight_ms: int) -> MeasureRecord | None:
    """Return how far the count of a bucket is, begun if it has to be; None: it has none today.

    One of another day that is under way is let come to its end first.
    """
    now_ms = facilities.clock.now_ms()
    store = facilities.placement.store_of(domain_of(name))

    async def look(tr: Transaction) -> MeasureRecord | None:
        bucket = await find_bucket(tr)
        if bucket is None or bucket.created_ms >= midnight_ms:
            return None
        return await MEASURES.find(tr, bucket.bucket_id) or MeasureRecord(at_ms=0, stage=_NEVER)

    async def begin(tr: Transaction) -> MeasureRecord | None:
        found = await look(tr)
        bucket = await find_bucket(tr)
        if found is None or bucket is None or not _is_due(found, midnight_ms):
            return found
        begun = MeasureRecord(at_ms=midnight_ms)
        MEASURES.put(tr, begun, bucket.bucket_id)
        task = TaskRecord(kind="measure", bucket_id=bucket.bucket_id, name=bucket.name)
        put_task(tr, task, now_ms=now_ms)
        return begun

    found = await store.read(look)
    if found is None or not _is_due(found, midnight_ms):
        return found
    return await store.transact(begin)


def _is_due(measure: MeasureRecord, midnight_ms: int) -> bool:
    """Return whether a bucket is to be counted anew."""
    over = measure.stage == _NEVER or is_done(measure)
    return over and measure.at_ms < midnight_ms


async def go_on(placement: Placement, task: TaskRecord) -> bool:
    """Go on with a count for a piece; return whether it is done, or its bucket gone."""

    async def body(tr: Transaction) -> MeasureRecord | None:
        bucket = await find_bucket(tr)
        if bucket is None or bucket.bucket_id != task.bucket_id:
            return None
        return await MEASURES.find(tr, bucket.bucket_id)

    store = placement.store_of(domain_of(task.name))
    measure = await store.read(body)
    if measure is None or is_done(measure):
        return True
    for _ in range(STEPS_PER_PIECE):
        measure = await store.read(lambda tr, sofar=measure: counted(tr, task.bucket_id, sofar))
        if is_done(measure):
            break

    async def keep(tr: Transaction) -> None:
        if await body(tr) is not None:
            MEASURES.put(tr, measure, task.bucket_id)

    await store.transact(keep)
    return is_done(measure)


async def _tell(tr: Transaction, some: Sequence[Told], midnight_ms: int) -> None:
    """Write the points of some buckets, unless that was done."""
    before = await MEASURED.find(tr)
    if before is None or before.at_ms != midnight_ms:
        before = MeasuredRecord(midnight_ms, "", done=False, sums={})
    boards: list[Board] = []
    sums = dict(before.sums)
    for name, measure in some:
        if name <= before.after:
            continue
        boards += _boards_of(tr, name, measure)
        for metric, value in _sums_of(measure).items():
            sums[metric] = sums.get(metric, 0) + value
    await points.add(tr, boards)
    MEASURED.put(tr, msgspec.structs.replace(before, after=some[-1].name, sums=sums))


def _boards_of(tr: Transaction, name: str, measure: MeasureRecord) -> list[Board]:
    """Return what is told of a bucket."""
    minute = measure.at_ms // MINUTE_MS
    size = Board(tr.domain, (metrics.storage_series(name, _TYPE),), minute)
    size.note(metrics.BUCKET_SIZE, measure.bytes + measure.version_bytes + measure.upload_bytes)
    count = Board(tr.domain, (metrics.storage_series(name, _ALL),), minute)
    held = measure.objects + measure.versions + measure.markers + measure.parts
    count.note(metrics.OBJECTS, held)
    return [size, count]


def _sums_of(measure: MeasureRecord) -> dict[str, int]:
    """Return what a bucket adds to the metrics of its account."""
    held = measure.objects + measure.versions + measure.markers
    return {
        metrics.STORAGE_BYTES: measure.bytes + measure.version_bytes + measure.upload_bytes,
        metrics.OBJECT_COUNT: held + measure.parts,
        metrics.CURRENT_BYTES: measure.bytes,
        metrics.CURRENT_COUNT: measure.objects,
        metrics.NONCURRENT_BYTES: measure.version_bytes,
        metrics.NONCURRENT_COUNT: measure.versions,
        metrics.MARKER_COUNT: measure.markers,
        metrics.UPLOAD_BYTES: measure.upload_bytes,
        metrics.UPLOAD_COUNT: measure.parts,
    }


async def _tell_account(tr: Transaction, whose: tuple[str, str], midnight_ms: int) -> None:
    """Write the points of an account in a region, unless that was done."""
    told = await MEASURED.find(tr)
    if told is None or told.at_ms != midnight_ms or told.done:
        return
    board = Board(tr.domain, (metrics.account_series(*whose),), midnight_ms // MINUTE_MS)
    for name, value in told.sums.items():
        board.note(name, value)
    await points.add(tr, [board])
    MEASURED.put(tr, msgspec.structs.replace(told, done=True))
