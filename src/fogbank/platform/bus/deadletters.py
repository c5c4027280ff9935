"""Dead letters: deliveries that no target took, kept with the reason until someone looks.

A subscription may name what takes its dead letters; then the bus delivers them there, and what
that refuses too ends here. The operator lists them, sends them again, or drops them; what is older
than the retention, or beyond the number kept, is removed, the oldest first.

Source: Amazon EventBridge User Guide, "Using dead-letter queues to process undelivered events"
(the attributes), Amazon SQS Developer Guide (14 days, the longest retention).
"""

from __future__ import annotations

from string import hexdigits
from typing import Final, NamedTuple

import msgspec

from fogbank.platform.bus import backlog, trace
from fogbank.platform.bus.entry import AGE_MS_MAX, ATTEMPTS_MAX, Delivery
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import STAMP_BYTES, Store, Transaction
from fogbank.platform.store.keyspace import DEAD_LETTERS, DELIVERY_STATE, OUTBOX, system_prefix
from fogbank.platform.store.records import Record, RecordDecoder, encode

RETENTION_MS: Final = 14 * 86_400_000
LETTERS_MAX: Final = 100_000
TRIM_BATCH: Final = 256
_COUNT: Final = system_prefix(DELIVERY_STATE, 0) + tuples.pack("dead letters")


class DeadLetter(Record, frozen=True, array_like=True, tag="platform.deadletter/1"):
    """A delivery that no target took, and why."""

    delivery: Delivery
    reason: str
    at_ms: int
    partition: int = 0
    """The partition of the outbox that it came from, where its order is kept."""


decode_dead_letter = RecordDecoder(DeadLetter).decode


class Kept(NamedTuple):
    """A dead letter and its place."""

    id: str
    """The stamp as hexadecimal digits."""
    letter: DeadLetter


async def put(tr: Transaction, letter: DeadLetter) -> None:
    """Keep a dead letter inside the transaction that ends its delivery.

    Where the subscription names a target for dead letters, a delivery to that target is put into
    the outbox instead, with the reason beside it.
    """
    dead = letter.delivery
    if not dead.dead_letter:
        tr.append(system_prefix(DEAD_LETTERS, 0), encode(letter))
        await _counted(tr, 1)
        return
    attributes = {
        "ERROR_MESSAGE": letter.reason,
        "TARGET_ARN": dead.target,
        "RULE_ARN": dead.source_arn,
        "RETRY_ATTEMPTS": str(dead.attempt),
    }
    forwarded = msgspec.structs.replace(
        dead,
        target=dead.dead_letter,
        dead_letter="",
        created_ms=letter.at_ms,
        attempt=0,
        attempts_max=ATTEMPTS_MAX,
        age_ms_max=AGE_MS_MAX,
        order_key="",
        attributes={**dead.attributes, **attributes},
    )
    await _send(tr, letter.partition, forwarded)


async def _send(tr: Transaction, partition: int, delivery: Delivery) -> None:
    """Put what was told before into the outbox, however much waits there."""
    await backlog.change(tr, partition, delivery.source_account, 1)
    tr.append(system_prefix(OUTBOX, partition), encode(delivery))


def is_id(text: str) -> bool:
    """Return whether a text can be the id of a dead letter."""
    return len(text) == 2 * STAMP_BYTES and set(text) <= set(hexdigits)


async def list_letters(store: Store, *, limit: int, after: str = "") -> list[Kept]:
    """Return up to ``limit`` dead letters, the oldest first, behind an id."""
    prefix = system_prefix(DEAD_LETTERS, 0)
    begin = prefix + bytes.fromhex(after) + b"\0" if after else prefix

    async def body(tr: Transaction) -> list[Kept]:
        rows = await tr.range(begin, tuples.after_prefix(prefix), limit=limit)
        return [Kept(key[-STAMP_BYTES:].hex(), decode_dead_letter(value)) for key, value in rows]

    return await store.read(body)


async def redrive(store: Store, letter_id: str, now_ms: int) -> bool:
    """Put a dead letter into the outbox again, as if its fact were new; False if it is gone."""
    key = _key(letter_id)

    async def body(tr: Transaction) -> bool:
        raw = await tr.get(key)
        if raw is None:
            return False
        letter = decode_dead_letter(raw)
        dead = letter.delivery
        again = msgspec.structs.replace(dead, attempt=0, created_ms=now_ms)
        tr.delete(key)
        await _counted(tr, -1)
        await _send(tr, letter.partition, again)
        trace.note(tr, again.event_id, now_ms, "redriven", f"sent to {again.target} again")
        return True

    return await store.transact(body)


async def drop(store: Store, letter_id: str) -> bool:
    """Remove a dead letter; False if it is gone."""
    key = _key(letter_id)

    async def body(tr: Transaction) -> bool:
        if await tr.get(key) is None:
            return False
        tr.delete(key)
        await _counted(tr, -1)
        return True

    return await store.transact(body)


def _key(letter_id: str) -> bytes:
    """Return the key of a dead letter."""
    assert is_id(letter_id), f"{letter_id} is no id of a dead letter"
    return system_prefix(DEAD_LETTERS, 0) + bytes.fromhex(letter_id)


async def count(tr: Transaction) -> int:
    """Return how many dead letters are kept."""
    return int.from_bytes(await tr.get(_COUNT) or b"")


async def _counted(tr: Transaction, change: int) -> int:
    """Change the number of dead letters with the letters themselves, and return it."""
    after = await count(tr) + change
    assert after >= 0, "dead letters are counted as they come and go"
    tr.put(_COUNT, after.to_bytes(8))
    return after


async def trim(store: Store, now_ms: int, *, letters_max: int = LETTERS_MAX) -> int:
    """Remove a batch of letters that are too old or too many; return how many."""
    prefix = system_prefix(DEAD_LETTERS, 0)

    async def body(tr: Transaction) -> int:
        spare = await count(tr) - letters_max
        removed = 0
        for key, value in await tr.range(prefix, tuples.after_prefix(prefix), limit=TRIM_BATCH):
            old = decode_dead_letter(value).at_ms <= now_ms - RETENTION_MS
            if not old and removed >= spare:
                break
            tr.delete(key)
            removed += 1
        if removed:
            await _counted(tr, -removed)
        return removed

    return await store.transact(body)
