"""Server access logs: records that wait in their bucket, and batches of them on their way.

Rule: a record lies under its bucket's id until the object it became part of is durable. What a batch
takes is written down before it is delivered, with the key of its object: doing it again writes the same
object again.

Theory: the first record sets a timer; when it is due a task delivers whatever there is, a bounded batch
at a time, as the service ``logging.s3.amazonaws.com``, whom the target's policy or list lets in.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from fogbank.base.errors import ServiceError
from fogbank.contract.action import Point
from fogbank.contract.call import Call, Facilities
from fogbank.contract.request_log import RequestFacts, RequestLogs
from fogbank.platform.identity.principal import service_principal
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.quotas import LOG_DELIVERY_S
from fogbank.services.s3.rules import logging as rules
from fogbank.services.s3.rules import points
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.rules.logging import Deed
from fogbank.services.s3.schema import BucketRecord, LoggingRecord, TaskRecord
from fogbank.services.s3.schema.logs import (
    LOG_BATCHES,
    LOG_LINES,
    LOG_TIMERS,
    LogBatchRecord,
    LogLineRecord,
    LogTimerRecord,
)
from fogbank.services.s3.state.buckets import find_bucket
from fogbank.services.s3.state.configurations import LOGGING
from fogbank.services.s3.state.metrics import measure
from fogbank.services.s3.state.tasks import put_task

DUE: Final = "s3.logs"
"""The kind of the timers that begin deliveries."""
LINES_PER_BATCH: Final = 500
"""Lines that one object has: some hundred kilobytes, well below a millisecond to read."""
_log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """A batch with what is needed to deliver it."""

    bucket: BucketRecord
    configuration: LoggingRecord
    record: LogBatchRecord
    lines: tuple[str, ...]


def find_domain(params: Mapping[str, str], through: Sequence[Point]) -> Domain | None:
    """Return the domain of the bucket that a path names, or that its access point leads to."""
    name = params.get("Bucket", "")
    if name and points.named({"Bucket": name}):
        name = through[0].resource.rpartition(":")[2] if through else ""
    return domain_of(name) if name else None


async def keep(tr: Transaction, facts: RequestFacts, facilities: Facilities) -> bool:
    """Keep the record of a request, if its bucket has a log; the first one sets the timer.

    Returns whether requests to the bucket are measured.
    """
    bucket = await find_bucket(tr)
    if bucket is not None and bucket.logs:
        place = (facts.time_ms, facts.request_id)
        await _add(tr, facilities, bucket, place, rules.line_of(bucket, facts))
    return bucket is not None and bool(bucket.metrics)


async def keep_deeds(
    tr: Transaction, call: Call, bucket: BucketRecord, deeds: Sequence[Deed], since: tuple[int, int]
) -> None:
    """Keep the records of what a call did, in the transaction that does it.

    Args:
        tr: A transaction of the bucket.
        call: The call.
        bucket: The bucket; it has a log.
        deeds: What was done, in order.
        since: The time, and how many the same call has kept before.
    """
    assert bucket.logs
    now_ms, first = since
    for number, deed in enumerate(deeds, first):
        facts = rules.facts_of(call, deed, now_ms)
        place = (facts.time_ms, f"{facts.request_id}-{number:04}")
        await _add(tr, call.facilities, bucket, place, rules.line_of(bucket, facts, deed.name))


async def keep_expired(
    tr: Transaction, facilities: Facilities, bucket: BucketRecord, deed: Deed, run: tuple[int, str]
) -> None:
    """Keep the record of what a lifecycle rule did, in the transaction that does it.

    Args:
        tr: A transaction of the bucket.
        facilities: Those of the job.
        bucket: The bucket.
        deed: What was done.
        run: The time of the run that did it, and what no other run is called.
    """
    if bucket.logs:
        facts = rules.expired_facts(deed, *run)
        place = (facts.time_ms, facts.request_id)
        await _add(tr, facilities, bucket, place, rules.line_of(bucket, facts, deed.name))


async def _add(
    tr: Transaction,
    facilities: Facilities,
    bucket: BucketRecord,
    place: tuple[int, str],
    line: str,
) -> None:
    """Keep a line, and have it delivered in time."""
    LOG_LINES.put(tr, LogLineRecord(line), bucket.bucket_id, *place)
    if await LOG_TIMERS.find(tr, bucket.bucket_id) is None:
        due_ms = facilities.clock.now_ms() + facilities.quotas.value(LOG_DELIVERY_S) * 1000
        LOG_TIMERS.put(tr, LogTimerRecord(due_ms), bucket.bucket_id)
        key = tuples.pack(bucket.bucket_id)
        facilities.timers.put(tr, Timer(kind=DUE, domain=tr.domain.name, key=key, due_ms=due_ms))


REQUEST_LOGS: Final = RequestLogs(domain=find_domain, keep=keep, measure=measure)


async def begin_delivery(tr: Transaction, due: Timer, now_ms: int) -> None:
    """Leave the records of a bucket to be delivered; the next one sets the timer again."""
    bucket = await find_bucket(tr)
    if bucket is None or due.key != tuples.pack(bucket.bucket_id):
        return
    LOG_TIMERS.delete(tr, bucket.bucket_id)
    task = TaskRecord(kind="logs", bucket_id=bucket.bucket_id, name=bucket.name)
    put_task(tr, task, now_ms=now_ms)


async def deliver(facilities: Facilities, task: TaskRecord) -> bool:
    """Deliver a batch of records; return whether none is left.

    Raises:
        Weather: It has to be tried again.
    """
    store = facilities.placement.store_of(domain_of(task.name))
    now_ms = facilities.clock.now_ms()
    batch = await store.transact(lambda tr: _take(tr, task, now_ms))
    if not isinstance(batch, Batch):
        return batch
    try:
        await _put(facilities, batch)
    except ServiceError as refused:
        # AWS: delivery is best effort: what the target refuses is not kept for ever.
        _log.warning(
            "%d records of bucket %s are not in its log: %s",
            len(batch.lines),
            task.name,
            refused.code,
        )
    return await store.transact(lambda tr: _settle(tr, batch))


async def _take(tr: Transaction, task: TaskRecord, now_ms: int) -> Batch | bool:
    """Return the batch that is on its way, or take another; else whether no record is left.

    Records of a bucket that keeps none any more are dropped.
    """
    bucket = await find_bucket(tr)
    if bucket is None or bucket.bucket_id != task.bucket_id:
        return True
    rows = await LOG_LINES.list(tr, bucket.bucket_id, limit=LINES_PER_BATCH)
    if not rows:
        return True
    configuration = await LOGGING.find(tr, bucket)
    if configuration is None:
        LOG_BATCHES.delete(tr, bucket.bucket_id)
        for place, _ in rows:
            LOG_LINES.delete(tr, bucket.bucket_id, *place)
        return len(rows) < LINES_PER_BATCH
    record = await LOG_BATCHES.find(tr, bucket.bucket_id)
    if record is None:
        first_ms = int(str(rows[0][0][0]))
        if configuration.partition == rules.EVENT_TIME:
            rows = [row for row in rows if _is_of_day(row[0][0], first_ms)]
        last_ms, last_id = (str(part) for part in rows[-1][0])
        unique = last_id.replace("-", "")[-16:].upper()
        key = rules.key_of(configuration, bucket, first_ms, now_ms, unique)
        record = LogBatchRecord(key, int(last_ms), last_id)
        LOG_BATCHES.put(tr, record, bucket.bucket_id)
    last = (record.last_ms, record.last_id)
    lines = tuple(line.line for place, line in rows if place <= last)
    return Batch(bucket, configuration, record, lines)


def _is_of_day(time_ms: object, first_ms: int) -> bool:
    """Return whether a time is of the day of another."""
    return rules.day_of(int(str(time_ms))) == rules.day_of(first_ms)


async def _put(facilities: Facilities, batch: Batch) -> None:
    """Write the object that a batch becomes."""
    bucket, configuration = batch.bucket, batch.configuration
    arn = bucket_arn(bucket.region, bucket.name)
    principal = service_principal(rules.PRINCIPAL, source_arn=arn, source_account=bucket.account)
    request = {
        "Bucket": configuration.target,
        "Key": batch.record.key,
        "Body": "".join(f"{line}\n" for line in batch.lines).encode(),
        "ContentType": "text/plain",
        **rules.grant_members(configuration.grants),
    }
    await facilities.calls.call(
        "s3",
        "PutObject",
        request,
        principal=principal,
        region=bucket.region,
        account=bucket.account,
    )


async def _settle(tr: Transaction, batch: Batch) -> bool:
    """Forget what was delivered; return whether nothing is left."""
    bucket_id, record = batch.bucket.bucket_id, batch.record
    rows = await LOG_LINES.list(tr, bucket_id, limit=LINES_PER_BATCH + 1)
    taken = [place for place, _ in rows if place <= (record.last_ms, record.last_id)]
    for place in taken:
        LOG_LINES.delete(tr, bucket_id, *place)
    LOG_BATCHES.delete(tr, bucket_id)
    return len(taken) == len(rows)
