"""Applying lifecycle rules: a walk over a bucket, a piece at a time, once a day.

Rule: a piece is read and judged in one transaction and acted on in another, which acts only on what
is as it was. Doing a piece twice does no more than doing it once.

Theory: a timer of the bucket wakes at each midnight and begins a *run*: a row that says how far the
walk is, and a task that walks. A run that lasts longer than a day goes on; the midnight in between
begins no other. The stages of a walk come in such an order that what one of them removes lets the
next remove more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypedDict

import msgspec

from fogbank.contract.call import Call, Facilities
from fogbank.platform.scheduler.timers import Timer, Timers
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.s3 import schema
from fogbank.services.s3.events import Happening
from fogbank.services.s3.quotas import LIFECYCLE_DAY_S
from fogbank.services.s3.rules import lifecycle as rules_of
from fogbank.services.s3.rules.logging import EXPIRED, UPLOAD_ABORTED, Deed
from fogbank.services.s3.rules.notifications import EXPIRED_DELETE, EXPIRED_MARKER
from fogbank.services.s3.rules.retention import is_protected
from fogbank.services.s3.rules.sequencing import sequencer_of
from fogbank.services.s3.rules.versions import NULL, delete_marker
from fogbank.services.s3.schema import (
    LIFECYCLE_RUNS,
    OBJECTS,
    UPLOADS,
    VERSIONS,
    BucketRecord,
    LifecycleRecord,
    LifecycleRule,
    LifecycleRunRecord,
    ObjectRecord,
    TaskRecord,
    UploadRecord,
)
from fogbank.services.s3.state import logs, notifications, objects, uploads, versions
from fogbank.services.s3.state.buckets import find_bucket
from fogbank.services.s3.state.configurations import LIFECYCLE
from fogbank.services.s3.state.notifications import Teller
from fogbank.services.s3.state.tasks import put_task

RUN: Final = "s3.lifecycle"
"""The kind of the timers that begin runs."""
PRINCIPAL: Final = "s3.amazonaws.com"
"""Who removes what has expired."""
ROWS_PER_PIECE: Final = 64


class Work(NamedTuple):
    """What a run works with."""

    bucket: BucketRecord
    rules: Sequence[LifecycleRule]
    run: LifecycleRunRecord
    day_ms: int
    teller: Teller
    facilities: Facilities


Act = Callable[[Transaction, Work], Awaitable[None]]
"""Removes something, if it is still there as it was judged."""


class Piece(NamedTuple):
    """What was judged in one transaction: what to do, and where to go on."""

    acts: list[Act]
    run: LifecycleRunRecord


# The configuration, and its timer.


def timer_of(tr: Transaction, bucket: BucketRecord, now_ms: int, day_ms: int) -> Timer:
    """Return the timer of the next midnight."""
    return Timer(
        kind=RUN,
        domain=tr.domain.name,
        key=tuples.pack(bucket.bucket_id),
        due_ms=rules_of.next_run_ms(now_ms, day_ms),
    )


async def put_rules(
    tr: Transaction,
    timers: Timers,
    bucket: BucketRecord,
    given: tuple[tuple[LifecycleRule, ...], str],
    first: Timer,
) -> None:
    """Replace the configuration of a bucket; a bucket that had none is given its timer."""
    rules, minimum_size = given
    old = await LIFECYCLE.find(tr, bucket)
    due_ms = first.due_ms if old is None else old.due_ms
    LIFECYCLE.put(tr, bucket, LifecycleRecord(rules, minimum_size, due_ms))
    if old is None:
        timers.put(tr, first)


async def begin_run(tr: Transaction, timers: Timers, due: Timer, day_ms: int, now_ms: int) -> None:
    """Begin a run at midnight, unless one goes on still, and set the timer for the next."""
    bucket = await find_bucket(tr)
    if bucket is None or due.key != tuples.pack(bucket.bucket_id):
        return
    record = await LIFECYCLE.find(tr, bucket)
    if record is None or record.due_ms != due.due_ms:
        return
    following = timer_of(tr, bucket, now_ms, day_ms)
    timers.put(tr, following)
    LIFECYCLE.put(tr, bucket, msgspec.structs.replace(record, due_ms=following.due_ms))
    if await LIFECYCLE_RUNS.find(tr, bucket.bucket_id) is None:
        LIFECYCLE_RUNS.put(tr, LifecycleRunRecord(at_ms=due.due_ms), bucket.bucket_id)
        task = TaskRecord(kind="lifecycle", bucket_id=bucket.bucket_id, name=bucket.name)
        put_task(tr, task, now_ms=now_ms)


class ExpirationMember(TypedDict, total=False):
    """The member of an answer that says when an object expires."""

    Expiration: str


async def expiration_member(
    call: Call, bucket: BucketRecord, key: str, record: ObjectRecord | None = None
) -> ExpirationMember:
    """Return when the current version of a key expires, if it does, by the calendar.

    Args:
        call: Who asks.
        bucket: As it was read; one without rules costs nothing.
        key: The key.
        record: The version; None: whichever is current now.
    """
    if not bucket.expires:
        return {}

    async def body(tr: Transaction) -> str:
        found = record or await objects.find_object(tr, bucket, key)
        configuration = await schema.LIFECYCLE.find(tr, bucket.bucket_id)
        if found is None or configuration is None:
            return ""
        return rules_of.expiration_header(configuration.rules, key, found)

    said = await call.store.read(body)
    return {"Expiration": said} if said else {}


# A run.


async def run_some(
    store: Store, task: TaskRecord, teller: Teller, facilities: Facilities, pieces: int
) -> bool:
    """Go on with a run for some pieces; return whether it is done, or has nothing to go by."""
    day_ms = facilities.quotas.value(LIFECYCLE_DAY_S) * 1000

    async def look(tr: Transaction) -> Work | None:
        bucket = await find_bucket(tr)
        if bucket is None or bucket.bucket_id != task.bucket_id:
            return None
        record = await LIFECYCLE.find(tr, bucket)
        run = await LIFECYCLE_RUNS.find(tr, bucket.bucket_id)
        if run is None:
            return None
        rules = () if record is None else record.rules
        enabled = [rule for rule in rules if rule.enabled]
        return Work(bucket, enabled, run, day_ms, teller, facilities)

    work = await store.read(look)
    if work is None:
        return True
    run = work.run
    for _ in range(pieces):
        if run.stage == len(_STAGES):
            break
        run = await _step(store, work._replace(run=run))

    async def keep(tr: Transaction) -> None:
        if run.stage == len(_STAGES):
            LIFECYCLE_RUNS.delete(tr, task.bucket_id)
        elif await LIFECYCLE_RUNS.find(tr, task.bucket_id) is not None:
            LIFECYCLE_RUNS.put(tr, run, task.bucket_id)

    await store.transact(keep)
    return run.stage == len(_STAGES)


async def _step(store: Store, work: Work) -> LifecycleRunRecord:
    """Judge a piece and act on it; return how far the run is then."""
    judge, is_needed = _STAGES[work.run.stage]
    if not any(is_needed(rule) for rule in work.rules):
        return _next_stage(work.run)
    piece = await store.read(lambda tr: judge(tr, work))
    for act in piece.acts:
        await store.transact(lambda tr, act=act: _act(tr, work, act))
    return piece.run


async def _act(tr: Transaction, work: Work, act: Act) -> None:
    """Do one thing, if the bucket is there and as it was."""
    bucket = await find_bucket(tr)
    if bucket is not None and bucket.bucket_id == work.bucket.bucket_id:
        await act(tr, work._replace(bucket=bucket))


def _next_stage(run: LifecycleRunRecord) -> LifecycleRunRecord:
    """Return the beginning of the next stage of a run."""
    return LifecycleRunRecord(at_ms=run.at_ms, stage=run.stage + 1)


async def _tell(
    tr: Transaction, work: Work, event: str, key: str, sequencer: int, version_id: str
) -> None:
    """Tell of what has expired, functions and the bucket's log."""
    happening = Happening(event, key, sequencer, version_id=version_id)
    await notifications.tell_as(tr, work.teller, work.bucket, work.run.at_ms, happening)
    await _record(tr, work, Deed(EXPIRED[event], key, version_id))


async def _record(tr: Transaction, work: Work, deed: Deed) -> None:
    """Keep a record of what a rule did, if the bucket has a log."""
    run = (work.run.at_ms, work.teller.request_id)
    await logs.keep_expired(tr, work.facilities, work.bucket, deed, run)


# Versions that are not current.


async def _judge_noncurrent(tr: Transaction, work: Work) -> Piece:
    """Judge some versions that are not current, in the order in which they were replaced."""
    run, bucket_id = work.run, work.bucket.bucket_id
    judge = rules_of.Noncurrent(work.rules, work.day_ms)
    after = (run.key, run.order) if run.key else None
    found = await VERSIONS.list(tr, bucket_id, limit=ROWS_PER_PIECE, after=after)
    acts: list[Act] = []
    for place, record in found:
        key, order = str(place[0]), int(place[1] or 0)
        rank, since_ms = run.rank, run.since_ms
        is_newest = False
        if key != run.key:
            current = await OBJECTS.find(tr, bucket_id, key)
            rank, is_newest = 0, current is None
            since_ms = 0 if current is None else current.modified_ms
        if not is_newest:
            if judge.is_over(key, record, (since_ms, rank), run.at_ms):
                acts.append(_removing(key, record))
            rank += 1
        run = LifecycleRunRecord(
            at_ms=run.at_ms,
            stage=run.stage,
            key=key,
            order=order,
            rank=rank,
            since_ms=record.modified_ms,
        )
    return Piece(acts, run if len(found) == ROWS_PER_PIECE else _next_stage(run))


def _removing(key: str, judged: ObjectRecord) -> Act:
    """Return the removal of a version or marker for good; what is protected stays."""

    async def act(tr: Transaction, work: Work) -> None:
        bucket, now_ms = work.bucket, work.run.at_ms
        record = await VERSIONS.find(tr, bucket.bucket_id, key, judged.order)
        if record is None or record != judged or is_protected(record, now_ms):
            return
        current = await objects.find_object(tr, bucket, key)
        top = await versions.find_top(tr, bucket, key, current)
        await versions.remove_version(tr, bucket, key, record, current, now_ms)
        sequencer = sequencer_of(now_ms, top)
        await _tell(tr, work, EXPIRED_DELETE, key, sequencer, record.version_id or NULL)

    return act


# Delete markers that are all there is of their keys.


async def _judge_markers(tr: Transaction, work: Work) -> Piece:
    """Judge some delete markers."""
    run, bucket_id = work.run, work.bucket.bucket_id
    after = (run.key, run.order) if run.key else None
    found = await VERSIONS.list(tr, bucket_id, limit=ROWS_PER_PIECE, after=after)
    acts: list[Act] = []
    for place, record in found:
        key, order = str(place[0]), int(place[1] or 0)
        run = msgspec.structs.replace(run, key=key, order=order)
        if not record.delete_marker:
            continue
        if rules_of.takes_lone_marker(work.rules, key, record, run.at_ms, work.day_ms):
            acts.append(_removing_alone(key, record))
    return Piece(acts, run if len(found) == ROWS_PER_PIECE else _next_stage(run))


async def _is_alone(tr: Transaction, bucket_id: bytes, key: str) -> bool:
    """Return whether a key has one version or marker that is not current, and nothing else."""
    if await OBJECTS.find(tr, bucket_id, key) is not None:
        return False
    two = 2
    return len(await VERSIONS.list(tr, bucket_id, key, limit=two)) < two


def _removing_alone(key: str, judged: ObjectRecord) -> Act:
    """Return the removal of a marker, if it is alone."""
    remove = _removing(key, judged)

    async def act(tr: Transaction, work: Work) -> None:
        if await _is_alone(tr, work.bucket.bucket_id, key):
            await remove(tr, work)

    return act


# Current versions.


async def _judge_current(tr: Transaction, work: Work) -> Piece:
    """Judge some current versions."""
    run, rules = work.run, work.rules
    after = (run.key,) if run.key else None
    found = await OBJECTS.list(tr, work.bucket.bucket_id, limit=ROWS_PER_PIECE, after=after)
    acts: list[Act] = []
    for place, record in found:
        key = str(place[0])
        run = msgspec.structs.replace(run, key=key)
        if rules_of.is_over(rules, key, record, run.at_ms, work.day_ms):
            acts.append(_expiring(key, record))
    return Piece(acts, run if len(found) == ROWS_PER_PIECE else _next_stage(run))


def _expiring(key: str, judged: ObjectRecord) -> Act:
    """Return the end of a current version: with versions a delete marker goes on top of it."""

    async def act(tr: Transaction, work: Work) -> None:
        bucket, now_ms = work.bucket, work.run.at_ms
        current = await objects.find_object(tr, bucket, key)
        if current is None or current != judged:
            return
        if not bucket.versioning:
            await objects.remove_object(tr, bucket, key, current, now_ms)
            await _tell(tr, work, EXPIRED_DELETE, key, sequencer_of(now_ms, current), "")
            return
        place = await versions.next_place(tr, bucket, key, current, now_ms, work.teller.request_id)
        marker = delete_marker(place, now_ms)
        await versions.put_marker(tr, bucket, key, marker, current)
        shown = marker.version_id or NULL
        await _tell(tr, work, EXPIRED_MARKER, key, marker.sequencer, shown)

    return act


# Uploads that nobody completes.


async def _judge_uploads(tr: Transaction, work: Work) -> Piece:
    """Judge some uploads."""
    run, rules = work.run, work.rules
    after = (run.key, run.upload_id) if run.key else None
    found = await UPLOADS.list(tr, work.bucket.bucket_id, limit=ROWS_PER_PIECE, after=after)
    acts: list[Act] = []
    for place, record in found:
        key, upload_id = str(place[0]), str(place[1])
        run = msgspec.structs.replace(run, key=key, upload_id=upload_id)
        if rules_of.is_abandoned(rules, key, record.created_ms, run.at_ms, work.day_ms):
            acts.append(_aborting(key, upload_id, record))
    return Piece(acts, run if len(found) == ROWS_PER_PIECE else _next_stage(run))


def _aborting(key: str, upload_id: str, judged: UploadRecord) -> Act:
    """Return the abort of an upload."""

    async def act(tr: Transaction, work: Work) -> None:
        if await uploads.find_upload(tr, work.bucket, key, upload_id) == judged:
            await uploads.close_upload(tr, work.bucket, key, upload_id, work.run.at_ms)
            await _record(tr, work, Deed(UPLOAD_ABORTED, key))

    return act


Judge = Callable[[Transaction, Work], Awaitable[Piece]]
_STAGES: Final[tuple[tuple[Judge, Callable[[LifecycleRule], bool]], ...]] = (
    (_judge_noncurrent, lambda rule: rule.noncurrent_days is not None),
    (
        _judge_markers,
        lambda rule: bool(rule.lone_markers) or rule.days is not None or rule.date_ms is not None,
    ),
    (_judge_current, lambda rule: rule.days is not None or rule.date_ms is not None),
    (_judge_uploads, lambda rule: rule.upload_days is not None),
)
"""What is judged, one after another, and which rules ask for it."""
