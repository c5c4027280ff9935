"""How much waits in the outbox, counted with the entries themselves, so that it can be bounded.

A target may be full or broken for as long as it likes, and what happens at its sources goes on; so
each account may have so many deliveries waiting in one partition of the outbox, and what would tell
a further fact is refused: a full queue throttles, it does not grow. What has been told is never
refused any more: retries, dead letters and what is sent again are counted but not held back.

Numbers are kept by partition, because accounts that change at once in several must not meet in one
row. Entries written before they were counted (format of November 2026) leave without having come,
so a number may be too small for a while, and is never below none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from fogbank.base.errors import Throttled
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.keyspace import OUTBOX_COUNTS, system_prefix

_ACCOUNTS_REMEMBERED: Final = 1_024


@lru_cache(_ACCOUNTS_REMEMBERED)
def _place(partition: int, account: str) -> bytes:
    """Return where the number of an account lies."""
    return system_prefix(OUTBOX_COUNTS, partition) + tuples.pack(account)


async def count(tr: Transaction, partition: int, account: str) -> int:
    """Return how many deliveries of an account wait in a partition."""
    return int.from_bytes(await tr.get(_place(partition, account)) or b"")


async def admit(tr: Transaction, partition: int, account: str, waiting_max: int) -> None:
    """Count a delivery that a new fact causes.

    Raises:
        Throttled: So many wait already.
    """
    waiting = await count(tr, partition, account)
    if waiting >= waiting_max:
        raise Throttled("too many events wait for their targets")
    _keep(tr, partition, account, waiting + 1)


async def change(tr: Transaction, partition: int, account: str, by: int) -> None:
    """Count deliveries that come, or that are done, with the entries themselves."""
    _keep(tr, partition, account, await count(tr, partition, account) + by)


def _keep(tr: Transaction, partition: int, account: str, waiting: int) -> None:
    """Write how many deliveries of an account wait in a partition; of none nothing is kept."""
    place = _place(partition, account)
    if waiting > 0:
        tr.put(place, waiting.to_bytes(8))
    else:
        tr.delete(place)
