"""Background work: the events that wait for their invocation.

An attempt runs the function and returns only when its log lines are durable, so that an entry never
leaves the queue before what it did can be read. What found no room waits in line for a while, then
comes back later, and was no attempt. A crash repeats the attempt that it cut short: events are
delivered at least once, as on AWS.
"""

from __future__ import annotations

import logging
from typing import Final

from fogbank.base.errors import Throttled
from fogbank.contract.call import Facilities
from fogbank.contract.job import Settle, Verdict, worklist
from fogbank.platform.bus import trace
from fogbank.platform.runtime.functions import (
    Invocation,
    PackageError,
    RoleNotAssumableError,
    Run,
)
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.rules import invocations, views
from fogbank.services.lambda_.schema import EventRecord, FunctionRecord, decode_event

log = logging.getLogger("fogbank.functions")

CONCURRENCY_MAX: Final = 256
PATIENCE_MS: Final = 30_000
HOLD_MS: Final = 1_200_000
"""Longer than patience, a start, the longest timeout and the log's way home together."""
_TRACE_BYTES: Final = 20


@worklist(state.ASYNC, concurrency_max=CONCURRENCY_MAX, hold_ms=HOLD_MS)
async def invoke_waiting(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Invoke a function with an event that waited; decide what becomes of the event."""
    event = decode_event(entry.payload)
    store = facilities.placement.store_of(Domain(*entry.domain))

    async def look(tr: Transaction) -> tuple[FunctionRecord | None, bytes]:
        function = await state.find_function(tr, event.function_name)
        return function, await state.read_payload(tr, event, entry.id)

    def done(step: str, detail: str) -> Verdict:
        note = _noting(entry.id, facilities, step, detail)

        async def settle(tr: Transaction) -> None:
            state.forget_pieces(tr, event, entry.id)
            await note(tr)

        return Verdict(settle=settle)

    age_ms = facilities.clock.now_ms() - entry.created_ms
    if age_ms > facilities.quotas.value(quotas.ASYNC_AGE_MS):
        log.warning("event %s for %s is too old", entry.id, event.invoked_arn)
        return done("dropped", f"too old after {age_ms} ms")
    function, payload = await store.read(look)
    if function is None:
        log.warning("event %s: %s is gone", entry.id, event.invoked_arn)
        return done("dropped", f"there is no {event.invoked_arn} any more")
    try:
        run = await _run(entry, event, function, payload, facilities)
    except (Throttled, RoleNotAssumableError, PackageError) as error:
        log.info("event %s for %s waits: %r", entry.id, event.invoked_arn, error)
        now_ms = facilities.clock.now_ms()
        wait_ms = invocations.backoff_ms_of(now_ms - entry.created_ms)
        detail = f"{wait_ms} ms: {type(error).__name__} {error}"
        return Verdict(
            now_ms + wait_ms, _noting(entry.id, facilities, "waits", detail), uncounted=True
        )
    went = f"attempt {entry.attempt + 1} in {run.report.duration_ms:.2f} ms"
    if not run.failed:
        return done("ran", went)
    retry_at_ms = _find_retry_ms(entry, facilities)
    if retry_at_ms is not None:
        return Verdict(retry_at_ms, _noting(entry.id, facilities, "failed", f"{went}; again later"))
    log.warning("event %s for %s failed %d times", entry.id, event.invoked_arn, entry.attempt + 1)
    return done("failed", f"{went}; it was the last")


def _noting(event_id: str, facilities: Facilities, step: str, detail: str) -> Settle:
    """Return what notes a step of an event's way in the transaction that settles its attempt."""

    async def settle(tr: Transaction) -> None:
        trace.note(tr, event_id, facilities.clock.now_ms(), step, detail)

    return settle


async def _run(
    entry: WorkEntry,
    event: EventRecord,
    function: FunctionRecord,
    payload: bytes,
    facilities: Facilities,
) -> Run:
    """Run the function; wait in line if there is no room."""
    _, account, region = entry.domain
    now_ms = facilities.clock.now_ms()
    trace_id = invocations.trace_id_of(now_ms, facilities.ids.random_bytes(_TRACE_BYTES))
    context = {"invoked_function_arn": event.invoked_arn, "trace_id": trace_id}
    if event.client_context:
        context["client_context"] = event.client_context
    return await facilities.functions.run(
        views.target_of(account, region, function),
        Invocation(entry.id, payload, context),
        facilities,
        patience_ms=PATIENCE_MS,
        logged=True,
    )


def _find_retry_ms(entry: WorkEntry, facilities: Facilities) -> int | None:
    """Return when to try a failed event again, or None if it was the last time."""
    if entry.attempt >= facilities.quotas.value(quotas.ASYNC_RETRIES):
        return None
    quota = quotas.ASYNC_RETRY_2_MS if entry.attempt else quotas.ASYNC_RETRY_1_MS
    return facilities.clock.now_ms() + facilities.quotas.value(quota)


JOBS: Final = (invoke_waiting,)
