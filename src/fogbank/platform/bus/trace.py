"""The way of an event: what happened to it, step by step, kept for a while.

Each step is appended in the transaction that made it true, so a trace never tells what did not
happen and never misses what did. Steps lie in the system subspace ``TRACES`` at (hour, event,
stamp); a reconciler removes whole hours when they are older than the retention.

An id may stand for another: a request that caused events, an invocation that an event became. Such
a step has ``of`` set, and ``follow`` walks both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fogbank.platform.store import tuples
from fogbank.platform.store.engine import STAMP_BYTES, Stamp, Store, Transaction
from fogbank.platform.store.keyspace import PARTITIONS, TRACES, partition_of, system_prefix
from fogbank.platform.store.records import Record, RecordDecoder, encode

HOUR_MS: Final = 3_600_000
RETENTION_HOURS: Final = 72
STEPS_MAX: Final = 1_000
"""Steps that are told of one id."""
NAMES_MAX: Final = 100
"""Ids that are followed from one."""
TRIM_BATCH: Final = 32
_DETAIL_CHARACTERS: Final = 500


class TraceStep(Record, frozen=True, array_like=True, tag="platform.trace_step/1"):
    """One step of an event's way."""

    at_ms: int
    step: str
    """One of a few words: accepted, delivered, waits, parked, dead, queued, ran, ..."""
    detail: str
    of: str = ""
    """The other id that this step connects with, if any."""


decode_step = RecordDecoder(TraceStep).decode


def note(tr: Transaction, event_id: str, at_ms: int, step: str, detail: str, of: str = "") -> None:
    """Append a step of an event's way inside the transaction that makes it true."""
    prefix = system_prefix(TRACES, partition_of(tr.domain))
    row = TraceStep(at_ms=at_ms, step=step, detail=detail[:_DETAIL_CHARACTERS], of=of)
    tr.append(prefix + tuples.pack(at_ms // HOUR_MS, event_id), encode(row))


def connect(tr: Transaction, one: str, other: str, at_ms: int, step: str, detail: str) -> None:
    """Append a step that two ids have in common, so that each leads to the other."""
    note(tr, one, at_ms, step, detail, of=other)
    note(tr, other, at_ms, step, detail, of=one)


async def steps_of(store: Store, name: str, now_ms: int) -> list[tuple[Stamp, TraceStep]]:
    """Return the steps of one id within the retention, in the order of their commits."""
    found: list[tuple[Stamp, TraceStep]] = []
    newest = now_ms // HOUR_MS
    for hour in range(newest - RETENTION_HOURS, newest + 1):
        found += await store.read(_reading(hour, name))
    return sorted(found, key=lambda row: row[0])[:STEPS_MAX]


def _reading(hour: int, name: str):  # noqa: ANN202 (a body, as ``Store.read`` takes it)
    """Return a body that reads the steps of one id within one hour."""

    async def body(tr: Transaction) -> list[tuple[Stamp, TraceStep]]:
        found: list[tuple[Stamp, TraceStep]] = []
        for partition in range(PARTITIONS):
            prefix = system_prefix(TRACES, partition) + tuples.pack(hour, name)
            rows = await tr.range(prefix, tuples.after_prefix(prefix), limit=STEPS_MAX)
            found += [
                (Stamp.unpack(key[-STAMP_BYTES:]), decode_step(value))
                for key, value in rows
                if len(key) == len(prefix) + STAMP_BYTES
            ]
        return found

    return body


async def follow(stores: Sequence[Store], name: str, now_ms: int) -> list[tuple[str, TraceStep]]:
    """Return the steps of an id and of every id that it is connected with, in order.

    Args:
        stores: Where steps lie; those of one store are in the order of its commits, those of
            several by the time at which they were taken.
        name: The id.
        now_ms: The time, for the retention.

    Returns:
        (id, step) pairs; empty if nothing is known of the id.
    """
    waiting, seen = [name], {name}
    found: list[tuple[int, Stamp, str, TraceStep]] = []
    while waiting:
        current = waiting.pop()
        rows = [row for store in stores for row in await steps_of(store, current, now_ms)]
        for stamp, step in rows:
            found.append((step.at_ms if len(stores) > 1 else 0, stamp, current, step))
            if step.of and step.of not in seen and len(seen) < NAMES_MAX:
                seen.add(step.of)
                waiting.append(step.of)
    told: set[tuple[int, str, str]] = set()
    steps: list[tuple[str, TraceStep]] = []
    for _, _, current, step in sorted(found, key=lambda row: row[:2]):
        # A connection was noted under both of its ids; it is told once.
        if step.of and (step.at_ms, step.step, step.detail) in told:
            continue
        told.add((step.at_ms, step.step, step.detail))
        steps.append((current, step))
    return steps


async def trim(store: Store, now_ms: int) -> int:
    """Remove up to ``TRIM_BATCH`` steps of each partition that are past the retention."""
    before = now_ms // HOUR_MS - RETENTION_HOURS

    async def body(tr: Transaction) -> int:
        removed = 0
        for partition in range(PARTITIONS):
            prefix = system_prefix(TRACES, partition)
            rows = await tr.range(prefix, prefix + tuples.pack(before), limit=TRIM_BATCH)
            for key, _ in rows:
                tr.delete(key)
            removed += len(rows)
        return removed

    return await store.transact(body)
