"""Reading the audit trail, and keeping it small: rows in order of time, by account.

Rule: read in pages and never whole; a trail is trimmed by age and by bytes, account by account,
oldest rows first, and is counted only once (``KeptRecord``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from fogbank.platform.metering.records import (
    Caller,
    DenialRecord,
    Entry,
    KeptRecord,
    account_of,
    account_prefix,
    decode_batch,
    decode_denial,
    decode_kept,
    kept_key,
    partitions,
    row_prefix,
    row_time_ms,
    slots_prefix,
)
from fogbank.platform.metering.trail import DENIALS_MAX, TrailSettings
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Store, Transaction
from fogbank.platform.store.keyspace import AUDIT, DECISIONS
from fogbank.platform.store.records import encode

PAGE_ROWS_MAX: Final = 16
TRIM_ROWS_MAX: Final = 64
COUNT_ROWS_MAX: Final = 64
LATE_MS: Final = 60_000
"""How much older than its row an entry may be."""
ACCOUNTS_MAX: Final = 10_000
_TEXT: Final = b"\x03"
_AFTER_TEXT: Final = b"\x04"


class Read(NamedTuple):
    """An entry with its caller."""

    account: str
    caller: Caller
    entry: Entry


class Place(NamedTuple):
    """Where reading goes on: the account's key after which nothing was read yet."""

    account: str
    after: bytes


async def accounts(store: Store, subspace: int = AUDIT) -> list[str]:
    """Return the accounts that have entries (or refusals) in a store."""
    found: list[str] = []
    for prefix in partitions(subspace):
        begin, end = prefix + _TEXT, prefix + _AFTER_TEXT
        while len(found) < ACCOUNTS_MAX:
            account = await _first_account(store, begin, end)
            if account is None:
                break
            found.append(account)
            begin = tuples.after_prefix(prefix + tuples.pack(account))
    return sorted(found)


async def _first_account(store: Store, begin: bytes, end: bytes) -> str | None:
    """Return whose key is the first of a range."""

    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(begin, end, limit=1)

    rows = await store.read(body)
    return account_of(rows[0][0]) if rows else None


async def page(store: Store, place: Place, until_ms: int) -> tuple[list[Read], Place | None]:
    """Return the entries of the next rows of an account, and where to go on; None at the end."""
    end = row_prefix(place.account, until_ms)

    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(place.after, end, limit=PAGE_ROWS_MAX)

    rows = await store.read(body)
    entries: list[Read] = []
    for _, value in rows:
        batch = decode_batch(value)
        callers = batch.callers
        entries += [Read(place.account, callers[each.caller], each) for each in batch.entries]
    last = rows[-1][0] + b"\0" if rows else place.after
    return entries, Place(place.account, last) if len(rows) == PAGE_ROWS_MAX else None


def beginning(account: str, since_ms: int) -> Place:
    """Return where reading an account from a time on begins."""
    return Place(account, row_prefix(account, since_ms))


async def entries(store: Store, account: str, since_ms: int, until_ms: int) -> AsyncIterator[Read]:
    """Yield an account's entries whose end lies in the half-open span, oldest rows first.

    Of two entries of one call the later is yielded, if both are within ``LATE_MS``.
    """
    place: Place | None = beginning(account, since_ms)
    held: list[Read] = []
    while place is not None:
        found, place = await page(store, place, until_ms + LATE_MS)
        held += found
        held = _later_ones(held)
        keep_from_ms = held[-1].entry.time_ms - LATE_MS if held and place is not None else None
        for each in held:
            time_ms = each.entry.time_ms
            if keep_from_ms is not None and time_ms >= keep_from_ms:
                continue
            if since_ms <= time_ms < until_ms:
                yield each
        held = [e for e in held if keep_from_ms is not None and e.entry.time_ms >= keep_from_ms]


def _later_ones(found: Sequence[Read]) -> list[Read]:
    """Return entries without those that a later one of the same call replaces."""
    last = {each.entry.request_id: at for at, each in enumerate(found)}
    return [each for at, each in enumerate(found) if last[each.entry.request_id] == at]


async def denials(store: Store, account: str) -> list[DenialRecord]:
    """Return the refusals of an account that are kept, oldest first."""
    prefix = slots_prefix(account)

    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(prefix, tuples.after_prefix(prefix), limit=DENIALS_MAX)

    found = [decode_denial(value) for _, value in await store.read(body)]
    return sorted(found, key=lambda denial: denial.time_ms)


async def find_denials(store: Store, request_id: str) -> list[DenialRecord]:
    """Return why a request was refused; empty if no refusal of it is kept."""
    for account in await accounts(store, DECISIONS):
        found = [each for each in await denials(store, account) if each.request_id == request_id]
        if found:
            return found
    return []


# Keeping it small.


async def trim(store: Store, now_ms: int, settings: TrailSettings) -> bool:
    """Remove some of what is too old or too much; return whether there may be more."""
    more = False
    for account in await accounts(store):
        more |= await _trim_account(store, account, now_ms, settings)
    for account in await accounts(store, DECISIONS):
        await _trim_denials(store, account, now_ms - settings.denials_age_ms_max)
    return more


async def _trim_account(store: Store, account: str, now_ms: int, settings: TrailSettings) -> bool:
    """Count new rows and remove old ones of one account, in one transaction of bounded size."""
    prefix = account_prefix(account)
    end = tuples.after_prefix(prefix)
    oldest_ms = now_ms - settings.age_ms_max

    async def body(tr: Transaction) -> bool:
        raw = await tr.get(kept_key(account))
        kept = KeptRecord(0, prefix) if raw is None else decode_kept(raw)
        fresh = await tr.range(kept.counted + b"\0", end, limit=COUNT_ROWS_MAX)
        size = kept.kept_bytes + sum(len(key) + len(value) for key, value in fresh)
        counted = fresh[-1][0] if fresh else kept.counted
        removed = 0
        if size > settings.account_bytes_max or len(fresh) < COUNT_ROWS_MAX:
            for key, value in await tr.range(prefix, counted + b"\0", limit=TRIM_ROWS_MAX):
                if size <= settings.account_bytes_max and row_time_ms(key) >= oldest_ms:
                    break
                tr.delete(key)
                size -= len(key) + len(value)
                removed += 1
        if fresh or removed:
            tr.put(kept_key(account), encode(KeptRecord(max(size, 0), counted)))
        return len(fresh) == COUNT_ROWS_MAX or removed == TRIM_ROWS_MAX

    return await store.transact(body)


async def _trim_denials(store: Store, account: str, oldest_ms: int) -> None:
    """Remove refusals that are too old; the ring bounds their number."""
    prefix = slots_prefix(account)

    async def body(tr: Transaction) -> None:
        rows = await tr.range(prefix, tuples.after_prefix(prefix), limit=DENIALS_MAX)
        for key, value in rows:
            if decode_denial(value).time_ms < oldest_ms:
                tr.delete(key)

    await store.transact(body)
