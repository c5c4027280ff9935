"""Imports, exports and bulk puts alike: where their records lie, how they are listed, when they are forgotten."""

from __future__ import annotations

from typing import Final, TypeVar

from fogbank.platform.scheduler.timers import Timer, Timers
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import Record, Table
from fogbank.services.dynamodb.quotas import TRANSFER_KEPT_MS
from fogbank.services.dynamodb.rules.transfers import TransferName

R = TypeVar("R", bound=Record)
FORGET_IMPORT: Final = "dynamodb.forget_import"
FORGET_EXPORT: Final = "dynamodb.forget_export"
FORGET_BULK: Final = "dynamodb.forget_bulk"
"""The kinds of the timers that end what is told of an import, an export or a bulk put."""


def key_of(name: TransferName) -> tuple[str, str]:
    """Return the key of a record: keys order as ARNs do."""
    return f"{name.table}/", name.id


async def list_records(
    tr: Transaction, kind: Table[R], table: str | None, before: TransferName | None, limit: int
) -> list[R]:
    """Return up to ``limit`` records, of one table or of all, the last by their ARNs first.

    Args:
        tr: The transaction.
        kind: Imports or exports.
        table: The name of the one table; None: of all.
        before: Only those before this one.
        limit: So many at most.
    """
    if table is not None:
        after = None if before is None else (before.id,)
        found = await kind.list(tr, f"{table}/", limit=limit, after=after, reverse=True)
    else:
        begin = None if before is None else key_of(before)
        found = await kind.list(tr, limit=limit, after=begin, reverse=True)
    return [record for _, record in found]


def forget_later(
    tr: Transaction, timers: Timers, kind: str, key: tuple[str, ...], since_ms: int
) -> None:
    """Have the record at a key forgotten when it has been told of for long enough since a time."""
    due_ms = since_ms + TRANSFER_KEPT_MS
    timer = Timer(kind=kind, domain=tr.domain.name, key=tuples.pack(*key), due_ms=due_ms)
    timers.put(tr, timer)


def forget(tr: Transaction, kind: Table[R], key: bytes) -> None:
    """Forget an import, an export or a bulk put, whose table or objects remain."""
    kind.delete(tr, *tuples.unpack(key))
