"""Event source mappings: the streams that functions are invoked with.

A lane of a shard is read step by step, each from its cursor: what makes a batch is read, the
function runs with it, and only then the cursor moves. A crash between the two repeats the batch:
each record comes at least once, and those of a key in their order. Waiting for more costs no
commit, for a batch that is not full is read again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from fogbank.base.errors import ServiceError, Throttled
from fogbank.contract.call import Facilities
from fogbank.contract.job import Memory, Rest, consumer
from fogbank.platform.bus.patterns import Pattern
from fogbank.platform.runtime.figures import note_event
from fogbank.platform.runtime.functions import (
    Invocation,
    PackageError,
    RoleNotAssumableError,
    Run,
    UnreadableError,
)
from fogbank.platform.runtime.sources import SourceReader
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.lambda_ import arns, metrics, quotas, state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.jobs import reading
from fogbank.services.lambda_.jobs.counting import Counter
from fogbank.services.lambda_.jobs.events import PATIENCE_MS
from fogbank.services.lambda_.rules import destinations, invocations, lanes, routing, views
from fogbank.services.lambda_.rules.lanes import Gathering, Outcome
from fogbank.services.lambda_.schema import (
    CursorRecord,
    MappingRecord,
    decode_lane,
)
from fogbank.services.lambda_.state import reloading, runs
from fogbank.services.lambda_.state.runs import Runnable

log = logging.getLogger("fogbank.functions")

STEPS_MAX: Final = 256
TROUBLE_MS: Final = 5_000
"""How long a lane rests whose function or stream cannot be reached."""
_IDLER_MAX: Final = 2
"""How often the time between two looks is doubled."""
_TRACE_BYTES: Final = 20


class _Found(NamedTuple):
    """What stands of a lane when a step begins."""

    mapping: MappingRecord
    cursor: CursorRecord
    function: Runnable | None
    window: bytes
    """The state of the tumbling window that is open."""


async def _watched(entry: Consumer, facilities: Facilities) -> Sequence[AsyncIterator[None]]:
    """Watch what a lane waits for, if its source says where that is."""
    lane = decode_lane(entry.payload)

    async def body(tr: Transaction) -> MappingRecord | None:
        return await state.find_mapping(tr, lane.mapping)

    mapping = await facilities.placement.store_of(Domain(*entry.domain)).read(body)
    return [] if mapping is None else await facilities.watches_of(mapping.source_arn)


@consumer(state.SOURCES, steps_max=STEPS_MAX, watched=_watched)
async def read_source(entry: Consumer, facilities: Facilities, memory: Memory) -> int | Rest:
    """Read the next batch of a lane, if there is one, and run the function with it."""
    step = _Step(entry, facilities, memory)
    due = await step.run()
    is_idle = isinstance(due, Rest) or due == step.idle_ms
    memory["idle"] = memory.get("idle", 0) + 1 if is_idle else 0
    return due


class _Step:
    """One step of one lane.

    Args:
        entry: Who reads.
        facilities: The cloud.
        memory: The reader and the filters of the last step, while they are the same.
    """

    def __init__(self, entry: Consumer, facilities: Facilities, memory: Memory) -> None:
        self._lane = decode_lane(entry.payload)
        self._facilities = facilities
        self._memory = memory
        self._store = facilities.placement.store_of(Domain(*entry.domain))
        _, self._account, self._region = entry.domain
        self._counter = Counter(facilities.metrics, Domain(*entry.domain), memory)
        self._request_id = ""
        """Of the run that this step has made; empty: none yet."""
        self._drawn = facilities.ids.uuid()
        """The id of the run that this step may make, by which it falls to a version."""
        self._now_ms = facilities.clock.now_ms()
        poll_ms = facilities.quotas.value(quotas.STREAM_POLL_MS)
        self._poll_ms = poll_ms
        self.idle_ms = self._now_ms + (poll_ms << min(memory.get("idle", 0), _IDLER_MAX))
        """When to look again if there is nothing to do: the longer there was nothing, the later."""

    async def run(self) -> int | Rest:
        """Take the step; return when to take the next."""
        found = await self._store.read(self._look)
        if found is None:
            return self.idle_ms
        if found.cursor.retry_at_ms > self._now_ms:
            return found.cursor.retry_at_ms
        if found.function is None:
            return await self._trouble("PROBLEM: The function does not exist")
        reader = self._reader(found.mapping, found.function)
        try:
            return await self._go_on(found, found.function, reader)
        except (ServiceError, RoleNotAssumableError, UnreadableError) as error:
            return await self._trouble(f"PROBLEM: {error or type(error).__name__}")

    async def _look(self, tr: Transaction) -> _Found | None:
        """Return what stands of the lane, or None if it is not to be read."""
        mapping = await state.find_mapping(tr, self._lane.mapping)
        cursor = await state.find_cursor(tr, self._lane)
        if mapping is None or not mapping.enabled or cursor is None or cursor.done:
            return None
        share = routing.share_of(self._drawn)
        function = await runs.find_runnable(
            tr, mapping.function, mapping.qualifier, share, self._facilities.quotas
        )
        window = await state.read_window(tr, self._lane, cursor) if mapping.tumbling_s else b"{}"
        return _Found(mapping, cursor, function, window)

    async def _trouble(self, result: str) -> int:
        """Note why nothing can be read; rest for a while."""
        log.warning("%s: %s", self._lane, result)

        async def body(tr: Transaction) -> None:
            await state.note_result(tr, self._lane.mapping, result)

        await self._store.transact(body)
        return self._now_ms + TROUBLE_MS

    def _reader(self, mapping: MappingRecord, function: Runnable) -> SourceReader:
        """Return what reads as the function's role; the same as in the last step if that stands."""
        reader = self._memory.get("reader")
        if not isinstance(reader, SourceReader) or reader.role_arn != function.version.role:
            target = views.target_of(self._account, self._region, function.version, function.room)
            reader = SourceReader(target, mapping.source_arn, self._facilities)
            self._memory["reader"] = reader
        return reader

    async def _patterns(self, mapping: MappingRecord) -> tuple[Pattern, ...]:
        """Return the filters, compiled once; sealed ones are opened as long as Lambda may."""
        found = await state.filters.read(self._facilities, self._account, self._region, mapping)
        kept: tuple[tuple[str, ...], tuple[Pattern, ...]] | None = self._memory.get("patterns")
        if kept is None or kept[0] != found:
            kept = self._memory["patterns"] = found, tuple(Pattern(e.encode()) for e in found)
        return kept[1]

    async def _gather(self, found: _Found, reader: SourceReader) -> tuple[Gathering, bool]:
        """Read what may be the next batch; return whether the shard ends behind it."""
        gathered = Gathering(
            found.mapping,
            found.cursor,
            self._lane.lane,
            await self._patterns(found.mapping),
            self._facilities.quotas.value(quotas.SYNC_PAYLOAD_BYTES),
            self._counter.counted_to,
        )
        limit = min(reading.PAGE, found.mapping.batch_size * found.mapping.factor)
        return gathered, await reading.gather(self._lane, found.cursor, reader, gathered, limit)

    # What comes of it.

    async def _go_on(self, found: _Found, function: Runnable, reader: SourceReader) -> int | Rest:
        """Read, and run the function, close a window or end the lane: whatever comes next."""
        gathered, has_ended = await self._gather(found, reader)
        if gathered.events:
            waits_ms = 0 if has_ended else gathered.waits_until_ms()
            if waits_ms > self._now_ms:
                return min(self.idle_ms, waits_ms)
            old = gathered.too_old(self._now_ms)
            if old:
                self._counter.polled(found.mapping, gathered)
                await self._give_up(found, reader, gathered, slice(old), lanes.TOO_OLD)
                last = gathered.numbers[old - 1]
                return await self._move(found, lanes.advanced(found.cursor, last))
        if gathered.events or self._closes_window(found, gathered, has_ended):
            return await self._run(found, function, reader, gathered)
        if has_ended:
            return await self._end(found, reader)
        if gathered.position == found.cursor.position:
            # A window that is open closes by time; of all else a commit tells.
            return self.idle_ms if found.cursor.window_ms else Rest(self.idle_ms, self._poll_ms)
        self._counter.polled(found.mapping, gathered)
        return await self._move(found, lanes.advanced(found.cursor, gathered.position))

    async def _end(self, found: _Found, reader: SourceReader) -> int:
        """End the lane; its row goes, and with the last lane the shard's children begin."""
        children = await reader.children(self._lane.shard)

        async def body(tr: Transaction) -> None:
            await state.end_lane(tr, self._lane, found.cursor, children)

        await self._store.transact(body)
        return self.idle_ms

    def _closes_window(self, found: _Found, gathered: Gathering, has_ended: bool) -> bool:  # noqa: FBT001 (as ``_gather`` says it)
        """Return whether the tumbling window that is open has come to its end."""
        cursor = found.cursor
        if not cursor.window_ms:
            return False
        ends_ms = cursor.window_ms + found.mapping.tumbling_s * 1_000
        is_over = gathered.is_behind_window or has_ended or ends_ms <= self._now_ms
        return is_over or cursor.is_cut_short

    async def _move(self, found: _Found, after: CursorRecord) -> int:
        """Move the cursor over what no run takes; the next step is due at once."""

        async def body(tr: Transaction) -> None:
            await state.move_cursor(tr, self._lane, found.cursor, after, "")

        await self._store.transact(body)
        return self._now_ms

    # Running the function.

    async def _run(
        self, found: _Found, function: Runnable, reader: SourceReader, gathered: Gathering
    ) -> int:
        """Run the function with a batch, or with the end of a window, and move on by its answer."""
        self._request_id = self._drawn
        self._counter.polled(found.mapping, gathered)
        event = self._event(found, gathered)
        try:
            run = await self._invoke(found.mapping, function, event)
        except (Throttled, PackageError) as error:
            log.info("%s waits: %r", self._lane, error)
            self._counter.count(found.mapping, metrics.FAILED_INVOKE, len(gathered.events))
            return self._now_ms + quotas.STREAM_BACKOFF_MS
        self._now_ms = self._facilities.clock.now_ms()
        self._counter.count(found.mapping, metrics.INVOKED, len(gathered.events))
        if gathered.created_ms:
            named = arns.function_arn(self._region, self._account, found.mapping.function)
            age_ms = max(0, self._now_ms - gathered.created_ms[-1])
            note_event(self._facilities.metrics, named, metrics.ITERATOR_AGE, age_ms)
        outcome = self._outcome(found, gathered, run)
        if outcome.given_up is None:
            return await self._settle(found, gathered, run, outcome)
        cursor, numbers = outcome.cursor, gathered.numbers
        if numbers:
            part = slice(outcome.given_up, None)
            await self._give_up(found, reader, gathered, part, lanes.EXHAUSTED)
            after = lanes.advanced(cursor, gathered.position)
        else:
            after = msgspec.structs.replace(cursor, attempts=0, retry_at_ms=0)
        passed = outcome._replace(cursor=after, given_up=None)
        return await self._settle(found, gathered, None, passed)

    async def _invoke(self, mapping: MappingRecord, function: Runnable, event: bytes) -> Run:
        """Run the function; wait in line if there is no room."""
        if function.version.folder:
            function = await reloading.current(
                self._facilities, self._account, self._region, function
            )
        entropy = self._facilities.ids.random_bytes(_TRACE_BYTES)
        named = arns.function_arn(self._region, self._account, mapping.function, mapping.qualifier)
        sample = runs.sampler_of(self._facilities.functions, named, function.version)
        context = {
            "invoked_function_arn": named,
            "trace_id": invocations.trace_id_of(self._now_ms, entropy, sample=sample),
        }
        return await self._facilities.functions.run(
            views.target_of(self._account, self._region, function.version, function.room),
            Invocation(self._request_id, event, context),
            self._facilities,
            patience_ms=PATIENCE_MS,
            logged=True,
        )

    def _event(self, found: _Found, gathered: Gathering) -> bytes:
        """Return the event of a batch: JSON."""
        records = b'{"Records":[' + b",".join(gathered.events) + b"]"
        if not found.mapping.tumbling_s:
            return records + b"}"
        window_ms = gathered.window_ms
        around: dict[str, Any] = {
            "shardId": self._lane.shard,
            "eventSourceARN": found.mapping.source_arn,
            "window": {
                "start": destinations.second_of(window_ms),
                "end": destinations.second_of(window_ms + found.mapping.tumbling_s * 1_000),
            },
            "state": orjson.Fragment(found.window),
            "isFinalInvokeForWindow": not gathered.events,
            "isWindowTerminatedEarly": found.cursor.is_cut_short,
        }
        return records + b"," + orjson.dumps(around)[1:]

    def _outcome(self, found: _Found, gathered: Gathering, run: Run) -> Outcome:
        """Return what a run leads to."""
        mapping, cursor, numbers = found.mapping, found.cursor, gathered.numbers
        if run.failed:
            return lanes.failed(mapping, cursor, numbers, 0, self._now_ms)
        try:
            at = lanes.first_failed(mapping, run.payload, numbers)
        except ValueError:
            outcome = lanes.failed(mapping, cursor, numbers, 0, self._now_ms)
            return outcome._replace(result=lanes.BAD_ANSWER)
        if at is not None:
            self._counter.count(mapping, metrics.FAILED_INVOKE, len(numbers) - at)
            return lanes.failed(mapping, cursor, numbers, at, self._now_ms)
        if not numbers:
            return Outcome(msgspec.structs.replace(cursor, attempts=0, retry_at_ms=0), lanes.OK)
        return Outcome(lanes.advanced(cursor, gathered.position), lanes.OK)

    async def _settle(
        self, found: _Found, gathered: Gathering, run: Run | None, outcome: Outcome
    ) -> int:
        """Move the cursor, with the state of the window that the function has returned.

        Args:
            found: What stood before.
            gathered: The batch; without records it was the end of a window.
            run: The run, or None if the batch was given up.
            outcome: What comes of it.
        """
        after = outcome.cursor
        window: bytes | None = None
        is_retried = outcome.result != lanes.OK and run is not None
        if found.mapping.tumbling_s and not is_retried:
            after, window = lanes.window_after(
                after, gathered, None if run is None else run.payload
            )

        async def body(tr: Transaction) -> None:
            moved = after if window is None else state.put_window(tr, self._lane, after, window)
            await state.move_cursor(tr, self._lane, found.cursor, moved, outcome.result)

        await self._store.transact(body)
        return max(self._now_ms, after.retry_at_ms)

    async def _give_up(
        self, found: _Found, reader: SourceReader, gathered: Gathering, part: slice, cause: str
    ) -> None:
        """Tell of records that no run takes any more to whom the mapping names, if anyone."""
        numbers = gathered.numbers[part]
        log.warning("%s: %d records are given up: %s", self._lane, len(numbers), cause)
        self._counter.count(found.mapping, metrics.DROPPED, len(numbers))
        if not found.mapping.on_failure:
            return
        batch = destinations.GivenUp(
            mapping=found.mapping,
            function_arn=arns.function_arn(
                self._region, self._account, found.mapping.function, found.mapping.qualifier
            ),
            version=LATEST if found.function is None else found.function.version.version,
            shard=self._lane.shard,
            cause=cause,
            request_id=self._request_id or self._drawn,
            attempts=found.cursor.attempts + (cause == lanes.EXHAUSTED),
            numbers=numbers,
            created_ms=gathered.created_ms[part],
            events=gathered.events[part],
            now_ms=self._now_ms,
        )
        service, operation, request = destinations.message_of(batch, self._facilities.ids.uuid())
        await reader.call(service, operation, request)
        self._counter.count(found.mapping, metrics.DELIVERED, len(numbers))
