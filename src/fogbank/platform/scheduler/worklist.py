"""Work lists: durable entries that are claimed, run, and removed or put back.

Theory: an entry lies at (list, group, visible-from time, id). A claim moves it to a later time, so that
a claimant that dies gives it back by doing nothing; the entry keeps the incarnation of its
claimant, and a restarted server makes what the dead one held visible at once (``release``).
An attempt is thus made at least once, and an entry is removed exactly when its work is done.
A list that clients fill is counted, in the transactions that add and remove its entries, so that it
can be bounded without being read. The entries that are counted together are a group, whose head is
found whatever lies before it, so that a group with many entries holds up no other. Entries that are not
counted, and those that were written before there were groups, lie behind all groups.
Source: Amazon SQS Developer Guide, "Visibility timeout"; DESIGN section 6.6.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain, Store, Transaction
from fogbank.platform.store.keyspace import (
    PARTITIONS,
    WORK,
    WORK_COUNTS,
    partition_of,
    system_prefix,
)
from fogbank.platform.store.records import Record, RecordDecoder, encode


class WorkEntry(Record, frozen=True, array_like=True, tag="platform.work/1"):
    """One piece of work of a list."""

    list: str
    id: str
    domain: tuple[str, ...]
    payload: bytes
    created_ms: int
    visible_ms: int
    attempt: int = 0
    """Attempts that ended before."""
    holder: str = ""
    """The server run that has claimed it; empty while it waits."""
    word: str = ""
    """What it is counted under, beside its domain; empty: it is not counted."""


class Counts(NamedTuple):
    """How many entries of a list are counted in a domain."""

    of_word: int
    of_domain: int
    """Of all words together."""


class Head(NamedTuple):
    """The first entry of a group."""

    group: bytes
    """What its keys have behind the list; empty: of those that are in no group."""
    visible_ms: int


_decode = RecordDecoder(WorkEntry).decode
RELEASE_BATCH = 200
_WATCHED_BYTES = 4
HEADS_MAX = 64
"""So many groups of a list are looked at together."""
LISTS_MAX = 64
"""So many lists and groups of a partition are looked at for the oldest entry."""
_CACHED = 1_024
_UNGROUPED = tuples.pack(0)


@lru_cache(_CACHED)
def _prefix(name: str, partition: int) -> bytes:
    """Return the prefix of one partition of a list."""
    return system_prefix(WORK, partition) + tuples.pack(name)


@lru_cache(_CACHED)
def _group_of(domain: tuple[str, ...], word: str) -> bytes:
    """Return what the keys of a group have behind those of its list."""
    return tuples.pack(Domain(*domain).prefix, word)


def group_of(entry: WorkEntry) -> bytes:
    """Return the group of an entry; empty: it is in none."""
    return _group_of(entry.domain, entry.word) if entry.word else b""


def _key(entry: WorkEntry, partition: int) -> bytes:
    """Return the key at which an entry lies."""
    place = tuples.pack(entry.visible_ms, entry.id)
    return _prefix(entry.list, partition) + group_of(entry) + place


def watched(name: str, partition: int) -> bytes:
    """Return what to watch to hear of one partition of a list, and seldom of another list.

    It is cut to one length, for a commit looks each of its keys up once for every length.
    """
    return _prefix(name, partition)[: len(system_prefix(WORK, partition)) + _WATCHED_BYTES]


def put(tr: Transaction, entry: WorkEntry) -> None:
    """Add an entry that is not counted inside a transaction of its domain."""
    assert not entry.word, "what is counted is added by put_counted"
    _write(tr, entry)


def put_counted(tr: Transaction, entry: WorkEntry, before: Counts) -> None:
    """Add an entry and count it, inside a transaction of its domain.

    Args:
        tr: The transaction.
        entry: What is added.
        before: What ``counts`` answered in this transaction, which whoever bounds a list has asked.
    """
    assert entry.word, "an entry is counted under a word"
    _write(tr, entry)
    _count(tr, entry, before, 1)


async def remove(tr: Transaction, entry: WorkEntry) -> None:
    """Remove an entry that is done, inside a transaction of its domain."""
    tr.delete(_key(entry, partition_of(tr.domain)))
    if entry.word:
        _count(tr, entry, await counts(tr, entry.list, entry.word), -1)


async def counts(tr: Transaction, name: str, word: str) -> Counts:
    """Return how many entries of a list and of the transaction's domain are counted."""
    of_word = await tr.get(_count_key(tr, name, word))
    return Counts(
        int.from_bytes(of_word or b""),
        int.from_bytes(await tr.get(_count_key(tr, name, "")) or b""),
    )


def _count(tr: Transaction, entry: WorkEntry, before: Counts, change: int) -> None:
    """Change the numbers of entries of a word and of a domain with an entry itself."""
    for word, count in zip((entry.word, ""), before, strict=True):
        after = count + change
        assert after >= 0, "entries are counted as they come and go"
        key = _count_key(tr, entry.list, word)
        if after:
            tr.put(key, after.to_bytes(8))
        else:
            tr.delete(key)


def _count_key(tr: Transaction, name: str, word: str) -> bytes:
    """Return where the number of entries of a word lies."""
    return _cached_count_key(name, tr.domain.prefix, partition_of(tr.domain), word)


@lru_cache(_CACHED)
def _cached_count_key(name: str, domain: bytes, partition: int, word: str) -> bytes:
    """Return the key of a number; every entry of a word asks for it some times."""
    return system_prefix(WORK_COUNTS, partition) + tuples.pack(name, domain, word)


def _write(tr: Transaction, entry: WorkEntry) -> None:
    """Write an entry at its key."""
    assert entry.domain == tr.domain.name, "work belongs to the transaction's domain"
    tr.put(_key(entry, partition_of(tr.domain)), encode(entry))


def put_back(
    tr: Transaction, entry: WorkEntry, visible_ms: int, *, counted: bool = True
) -> WorkEntry:
    """Make an entry wait for its next attempt, inside a transaction of its domain."""
    tr.delete(_key(entry, partition_of(tr.domain)))
    after = msgspec.structs.replace(
        entry, visible_ms=visible_ms, attempt=entry.attempt + counted, holder=""
    )
    _write(tr, after)
    return after


async def claim(  # noqa: PLR0913 (a claim has these parts)
    store: Store,
    name: str,
    partition: int,
    group: bytes = b"",
    *,
    now_ms: int,
    hold_ms: int,
    holder: str,
    limit: int,
) -> list[WorkEntry]:
    """Claim up to ``limit`` entries of a group that are visible at ``now_ms``."""
    prefix = _prefix(name, partition) + group
    begin, end = prefix + _UNGROUPED, prefix + tuples.pack(now_ms + 1)

    def move(_key_before: bytes, value: bytes) -> tuple[bytes, bytes]:
        entry = _decode(value)
        held = msgspec.structs.replace(entry, visible_ms=now_ms + hold_ms, holder=holder)
        return _key(held, partition), encode(held)

    return [_decode(value) for _, value in await store.claim(begin, end, limit, move)]


async def heads(
    store: Store, name: str, partition: int, after: Head | None = None, limit: int = HEADS_MAX
) -> list[Head]:
    """Return the first entries of up to ``limit`` groups of a partition behind one, in order."""
    prefix = _prefix(name, partition)
    end = tuples.after_prefix(prefix)
    first = prefix if after is None else _behind(prefix, after)

    async def body(tr: Transaction) -> list[Head]:
        begin, found = first, list[Head]()
        while len(found) < limit and (rows := await tr.range(begin, end, limit=1)):
            entry = _decode(rows[0][1])
            found.append(Head(group_of(entry), entry.visible_ms))
            begin = _behind(prefix, found[-1])
        return found

    return await store.read(body)


def _behind(prefix: bytes, head: Head) -> bytes:
    """Return the first key behind a group; those that are in none are the last."""
    return tuples.after_prefix(prefix + head.group)


async def oldest_ms(store: Store) -> int | None:
    """Return when the oldest of the next entries of all lists was put there; None: nothing waits.

    Of each group the entry that is due first is looked at, of at most ``LISTS_MAX`` groups and
    lists a partition. An entry keeps its age from attempt to attempt, as a message of SQS does
    (``ApproximateAgeOfOldestMessage``).
    """

    async def body(tr: Transaction) -> list[WorkEntry]:
        found: list[WorkEntry] = []
        for partition in range(PARTITIONS):
            found += await _heads(tr, partition)
        return found

    return min([entry.created_ms for entry in await store.read(body)], default=None)


async def _heads(tr: Transaction, partition: int) -> list[WorkEntry]:
    """Return the first entry of each group and list of a partition."""
    begin = system_prefix(WORK, partition)
    end = tuples.after_prefix(begin)
    found: list[WorkEntry] = []
    while len(found) < LISTS_MAX and (rows := await tr.range(begin, end, limit=1)):
        entry = _decode(rows[0][1])
        found.append(entry)
        begin = tuples.after_prefix(_prefix(entry.list, partition) + group_of(entry))
    return found


async def release(store: Store, name: str, partition: int, *, holder: str, now_ms: int) -> int:
    """Make visible what other holders (earlier runs of the server) had claimed.

    Claimed entries lie among those of their group that wait for a later time, so those of every
    group are read, page by page, each page in a transaction of its own.

    Returns:
        How many entries were released.
    """
    prefix = _prefix(name, partition)
    begin: bytes | None = prefix
    released = 0
    while begin is not None:
        begin, count = await store.transact(_releasing(begin, prefix, holder, now_ms))
        released += count
    return released


def _releasing(
    begin: bytes, prefix: bytes, holder: str, now_ms: int
) -> Callable[[Transaction], Awaitable[tuple[bytes | None, int]]]:
    """Return a body that releases one page; it answers where the next begins, and how many."""
    end = tuples.after_prefix(prefix)

    async def body(tr: Transaction) -> tuple[bytes | None, int]:
        rows = await tr.range(begin, end, limit=RELEASE_BATCH)
        count = 0
        for key, value in rows:
            entry = _decode(value)
            later = prefix + group_of(entry) + tuples.pack(now_ms)
            if key < later:
                return later, count
            if entry.holder in ("", holder):
                continue
            tr.delete(key)
            back = msgspec.structs.replace(entry, visible_ms=now_ms - 1, holder="")
            tr.put(_key(back, partition_of(Domain(*entry.domain))), encode(back))
            count += 1
        return (rows[-1][0] + b"\0" if len(rows) == RELEASE_BATCH else None), count

    return body
