"""Background work: what lies under the key of a function that was deleted goes piece by piece."""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.lambda_.schema import decode_gone
from fogbank.services.lambda_.state import versions

AT_ONCE: Final = 4
HOLD_MS: Final = 60_000


@worklist(versions.GONE, concurrency_max=AT_ONCE, hold_ms=HOLD_MS)
async def forget(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Remove versions, aliases and their policies, a piece a transaction."""
    gone = decode_gone(entry.payload)
    store = facilities.placement.store_of(Domain(*entry.domain))

    async def body(tr: Transaction) -> bool:
        return await versions.forget_some(tr, gone)

    while not await store.transact(body):
        pass
    return Verdict()
