"""Background work of S3: chains of transactions that a request left half-way, and sweeps."""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Rest, Verdict, reconciler, timer, worklist
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import DIRECTORY, Transaction
from fogbank.services.s3.quotas import LIFECYCLE_DAY_S
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.schema import TaskRecord
from fogbank.services.s3.state import blocks, buckets, lifecycle, logs, measures, sweeps, uploads
from fogbank.services.s3.state.notifications import Teller
from fogbank.services.s3.state.tasks import TASKS, task_of

PIECES_PER_ATTEMPT: Final = 64
MEASURES_PERIOD_MS: Final = 60_000
"""How often is looked whether the buckets are counted that are being counted."""


@worklist(TASKS, concurrency_max=2, hold_ms=60_000)
async def run_task(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Do a task, or a bounded piece of it."""
    task = task_of(entry)
    now_ms = facilities.clock.now_ms()
    if task.kind == "create":
        return await _finish_creation(task, facilities, now_ms)
    if task.kind == "delete":
        await buckets.finish_deletion(facilities.placement, task, now_ms)
        return Verdict()
    if task.kind == "lifecycle":
        return await _run_lifecycle(task, facilities, now_ms)
    if task.kind == "block":
        await blocks.spread(facilities.placement, task.account)
        return Verdict()
    for _ in range(PIECES_PER_ATTEMPT):
        if await _work_on(task, facilities):
            return Verdict()
    return Verdict(retry_at_ms=now_ms, uncounted=True)


async def _work_on(task: TaskRecord, facilities: Facilities) -> bool:
    """Do a piece of a task that is done in pieces; return whether nothing is left of it."""
    if task.kind == "logs":
        return await logs.deliver(facilities, task)
    if task.kind == "measure":
        return await measures.go_on(facilities.placement, task)
    assert task.kind in ("sweep_upload", "sweep_bucket"), f"no such task: {task.kind}"
    sweep = sweeps.sweep_upload if task.kind == "sweep_upload" else sweeps.sweep_bucket
    return await sweep(facilities.placement.store_of(domain_of(task.name)), task)


async def _finish_creation(task: TaskRecord, facilities: Facilities, now_ms: int) -> Verdict:
    """Finish creating a bucket whose request did not."""

    async def body(tr: Transaction) -> buckets.Reserved | None:
        return await buckets.find_reserved(tr, task.name, task.bucket_id)

    reserved = await facilities.placement.store_of(DIRECTORY).read(body)
    if reserved is None:
        return Verdict()
    await buckets.finish_creation(facilities.placement, reserved, now_ms)
    return Verdict()


async def _run_lifecycle(task: TaskRecord, facilities: Facilities, now_ms: int) -> Verdict:
    """Go on applying the lifecycle rules of a bucket."""
    store = facilities.placement.store_of(domain_of(task.name))
    teller = Teller(
        lifecycle.PRINCIPAL, lifecycle.PRINCIPAL, facilities.ids.uuid(), facilities.outbox
    )
    done = await lifecycle.run_some(store, task, teller, facilities, PIECES_PER_ATTEMPT)
    return Verdict() if done else Verdict(retry_at_ms=now_ms, uncounted=True)


@timer(logs.DUE)
async def begin_log_delivery(tr: Transaction, due: Timer, facilities: Facilities) -> None:
    """Leave the records of a bucket's requests to be delivered."""
    await logs.begin_delivery(tr, due, facilities.clock.now_ms())


@timer(lifecycle.RUN)
async def begin_lifecycle(tr: Transaction, due: Timer, facilities: Facilities) -> None:
    """Begin to apply the lifecycle rules of a bucket, at midnight."""
    day_ms = facilities.quotas.value(LIFECYCLE_DAY_S) * 1000
    await lifecycle.begin_run(tr, facilities.timers, due, day_ms, facilities.clock.now_ms())


@timer(uploads.FORGET_COMPLETED)
async def forget_completed(tr: Transaction, due: Timer, _facilities: Facilities) -> None:
    """Forget that an upload was completed."""
    uploads.forget_completed(tr, due.key)


@reconciler(period_ms=MEASURES_PERIOD_MS)
async def measure_buckets(facilities: Facilities) -> Rest:
    """Have each bucket counted once a day, and told when it is."""
    now_ms = facilities.clock.now_ms()
    midnight_ms = now_ms - now_ms % measures.DAY_MS
    goes_on = await measures.measure_all(facilities, midnight_ms)
    return Rest(now_ms + MEASURES_PERIOD_MS if goes_on else midnight_ms + measures.DAY_MS)


JOBS: Final = (run_task, measure_buckets, forget_completed, begin_lifecycle, begin_log_delivery)
