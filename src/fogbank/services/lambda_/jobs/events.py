"""Background work: the events that wait for their invocation.

An attempt runs the function and returns only when its log lines are durable, so that an entry never
leaves the queue before what it did can be read. What found no room waits in line for a while, then
comes back later, and was no attempt. A crash repeats the attempt that it cut short: events are
delivered at least once, as on AWS. What a destination is to hear is queued in the transaction that
ends the event (``jobs/tellings``).
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from fogbank.contract.call import Facilities
from fogbank.contract.event import Receiver
from fogbank.contract.job import Settle, Verdict, worklist
from fogbank.platform.bus import trace
from fogbank.platform.metering.metrics import Metrics
from fogbank.platform.runtime.figures import note_event
from fogbank.platform.runtime.functions import (
    REFUSALS,
    Invocation,
    Run,
)
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.lambda_ import arns, metrics, quotas, state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.rules import events, invocations, lineage, names, routing, views
from fogbank.services.lambda_.rules.events import Fate
from fogbank.services.lambda_.schema import EventConfigRecord, TellingRecord, decode_event
from fogbank.services.lambda_.state import events as told
from fogbank.services.lambda_.state import reloading, runs
from fogbank.services.lambda_.state.runs import Runnable

log = logging.getLogger("fogbank.functions")

CONCURRENCY_MAX: Final = 256
PATIENCE_MS: Final = 30_000
HOLD_MS: Final = 1_200_000
"""Longer than patience, a start, the longest timeout and the log's way home together."""
_TRACE_BYTES: Final = 20
_DEFAULT: Final = EventConfigRecord(modified_ms=0)


class _Found(NamedTuple):
    """What stands of an event when an attempt begins."""

    runnable: Runnable
    config: EventConfigRecord
    payload: bytes


def received(noted: Metrics, target: str) -> None:
    """Note that an event of another service is in the queue."""
    note_event(noted, target, metrics.ASYNC_RECEIVED)


RECEIVER: Final = Receiver(
    accepts=names.is_function_arn,
    domain=names.require_arn_domain,
    receive=state.receive,
    received=received,
)


@worklist(state.ASYNC, concurrency_max=CONCURRENCY_MAX, hold_ms=HOLD_MS)
async def invoke_waiting(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Invoke a function with an event that waited; decide what becomes of the event."""
    return await _Attempt(entry, facilities).make()


class _Attempt:
    """One attempt at one event.

    Args:
        entry: The event in its queue.
        facilities: The cloud.
    """

    def __init__(self, entry: WorkEntry, facilities: Facilities) -> None:
        self._entry = entry
        self._facilities = facilities
        self._event = decode_event(entry.payload)
        named = arns.find_function(self._event.invoked_arn)
        assert named is not None, "what is queued was found by its ARN"
        self._account, self._region, self._name, self._qualifier = named
        self._store = facilities.placement.store_of(Domain(*entry.domain))
        self._trace = self._event.trace

    async def make(self) -> Verdict:
        """Make the attempt, or end the event without one."""
        entry, event = self._entry, self._event
        found = await self._store.read(self._look)
        if found is None:
            log.warning("event %s: %s is gone", entry.id, event.invoked_arn)
            self._note(metrics.ASYNC_DROPPED)
            return self._dropped(f"there is no {event.invoked_arn} any more")
        cause = self._barred(found)
        if cause:
            log.warning("event %s for %s is given up: %s", entry.id, event.invoked_arn, cause)
            fate = Fate(cause, entry.attempt, found.runnable.version.version, None)
            return self._ended(found, fate, "dropped", f"{cause} after {self._age_ms()} ms")
        self._note(metrics.ASYNC_AGE, self._age_ms())
        try:
            run = await self._run(found)
        except REFUSALS as error:
            log.info("event %s for %s waits: %r", entry.id, event.invoked_arn, error)
            wait_ms = invocations.backoff_ms_of(self._age_ms())
            detail = f"{wait_ms} ms: {type(error).__name__} {error}"
            until_ms = self._facilities.clock.now_ms() + wait_ms
            return Verdict(until_ms, self._noting("waits", detail), uncounted=True)
        return self._judge(found, run)

    def _note(self, name: str, value: float = 1.0) -> None:
        """Note a metric of the event."""
        note_event(self._facilities.metrics, self._event.invoked_arn, name, value)

    async def _look(self, tr: Transaction) -> _Found | None:
        """Return what stands of the event, or None if there is no function for it any more."""
        function = await state.find_function(tr, self._name)
        if function is None:
            return None
        share = routing.share_of(self._entry.id)
        runnable = await runs.find_runnable(
            tr, self._name, self._qualifier, share, self._facilities.quotas
        )
        if runnable is None:
            return None
        config = await told.find_config(tr, function.key, self._qualifier)
        event = self._event
        payload = await state.read_pieces(tr, self._entry.id, event.payload, event.pieces)
        return _Found(runnable, config or _DEFAULT, payload)

    def _age_ms(self) -> int:
        """Return how long ago the event was taken."""
        return self._facilities.clock.now_ms() - self._entry.created_ms

    def _age_ms_max(self, found: _Found) -> int:
        """Return how old the event may become."""
        if found.config.age_s >= 0:
            return found.config.age_s * 1_000
        return self._facilities.quotas.value(quotas.ASYNC_AGE_MS)

    def _barred(self, found: _Found) -> str:
        """Return why the event cannot be tried, as a record's condition; '' if it can."""
        if self._age_ms() > self._age_ms_max(found):
            return events.TOO_OLD
        # AWS: what comes while nothing may run is given up at once (Developer Guide, "Capturing
        # records of Lambda asynchronous invocations").
        if found.runnable.room.reserved == 0:
            return events.NO_CONCURRENCY
        loops_max = self._facilities.quotas.value(quotas.LOOPS)
        arn = arns.function_arn(self._region, self._account, self._name)
        if not found.runnable.loops and lineage.is_loop(self._event.trace, arn, loops_max):
            return events.LOOP
        return ""

    async def _run(self, found: _Found) -> Run:
        """Run the function; wait in line if there is no room."""
        now_ms, event = self._facilities.clock.now_ms(), self._event
        entropy = self._facilities.ids.random_bytes(_TRACE_BYTES)
        arn = arns.function_arn(self._region, self._account, self._name)
        functions, version = self._facilities.functions, found.runnable.version
        sample = runs.sampler_of(functions, arn, version)
        self._trace = lineage.passed_on(event.trace, arn, now_ms, entropy, sample)
        context = {"invoked_function_arn": event.invoked_arn, "trace_id": self._trace}
        if event.client_context:
            context["client_context"] = event.client_context
        runnable = found.runnable
        if runnable.version.folder:
            runnable = await reloading.current(
                self._facilities, self._account, self._region, runnable
            )
        version, room, _ = runnable
        return await self._facilities.functions.run(
            views.target_of(self._account, self._region, version, room),
            Invocation(self._entry.id, found.payload, context),
            self._facilities,
            patience_ms=PATIENCE_MS,
            logged=True,
        )

    def _judge(self, found: _Found, run: Run) -> Verdict:
        """Return what becomes of the event after a run."""
        entry, attempts = self._entry, self._entry.attempt + 1
        version = found.runnable.version.version
        went = f"attempt {attempts} in {run.report.duration_ms:.2f} ms"
        if not run.failed:
            fate = Fate(events.SUCCESS, attempts, version, run.payload)
            return self._ended(found, fate, "ran", went)
        cause, retry_at_ms = events.EXHAUSTED, self._find_retry_ms(found)
        # AWS: it does not wait for an attempt that would come too late (recorded in LocalStack's
        # ``test_maxeventage``).
        if retry_at_ms is not None and retry_at_ms > entry.created_ms + self._age_ms_max(found):
            cause, retry_at_ms = events.TOO_OLD, None
        if retry_at_ms is not None:
            return Verdict(retry_at_ms, self._noting("failed", f"{went}; again later"))
        log.warning("event %s for %s failed %d times", entry.id, self._event.invoked_arn, attempts)
        fate = Fate(cause, attempts, version, run.payload)
        return self._ended(found, fate, "failed", f"{went}; it was the last")

    def _find_retry_ms(self, found: _Found) -> int | None:
        """Return when to try the event again, or None if it was the last time."""
        in_force = self._facilities.quotas
        retries = found.config.retries
        if self._entry.attempt >= (
            in_force.value(quotas.ASYNC_RETRIES) if retries < 0 else retries
        ):
            return None
        quota = quotas.ASYNC_RETRY_2_MS if self._entry.attempt else quotas.ASYNC_RETRY_1_MS
        return self._facilities.clock.now_ms() + in_force.value(quota)

    # How it ends.

    def _noting(self, step: str, detail: str) -> Settle:
        """Return what notes a step of the event's way when its attempt is settled."""

        async def settle(tr: Transaction) -> None:
            trace.note(tr, self._entry.id, self._facilities.clock.now_ms(), step, detail)

        return settle

    def _dropped(self, detail: str) -> Verdict:
        """Return that the event ends, and nobody hears of it."""
        note = self._noting("dropped", detail)

        async def settle(tr: Transaction) -> None:
            state.forget_pieces(tr, self._entry.id, self._event.pieces)
            await note(tr)

        return Verdict(settle=settle)

    def _ended(self, found: _Found, fate: Fate, step: str, detail: str) -> Verdict:
        """Return that the event ends, and have the destination told that is there for it."""
        note, now_ms = self._noting(step, detail), self._facilities.clock.now_ms()
        config = found.config
        if not fate.went_well:
            self._note(metrics.ASYNC_DROPPED)
        if fate.condition == events.LOOP:
            self._note(metrics.RECURSIVE_DROPPED)
        target = config.on_success if fate.went_well else config.on_failure
        qualified = arns.function_arn(
            self._region, self._account, self._name, self._qualifier or LATEST
        )
        content = b""
        if target:
            content = events.record_of(fate, qualified, self._entry.id, found.payload, now_ms)
        telling = TellingRecord(
            target=target,
            function_arn=arns.function_arn(self._region, self._account, self._name),
            role=found.runnable.version.role,
            trace=self._trace,
            content=content,
        )

        async def settle(tr: Transaction) -> None:
            state.forget_pieces(tr, self._entry.id, self._event.pieces)
            if target:
                told.queue_telling(tr, telling, self._entry.id, now_ms)
            await note(tr)

        return Verdict(settle=settle)
