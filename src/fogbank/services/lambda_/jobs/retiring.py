"""Background work: grants of KMS keys that no function needs any more are retired."""

from __future__ import annotations

from typing import Final

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.schema import decode_retiring
from fogbank.services.lambda_.state import grants, sealing

AT_ONCE: Final = 4
HOLD_MS: Final = 60_000


@worklist(grants.RETIRING, concurrency_max=AT_ONCE, hold_ms=HOLD_MS)
async def retire(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Retire a grant; what KMS refuses for now is tried again."""
    try:
        await sealing.retire(facilities, Domain(*entry.domain), decode_retiring(entry.payload))
    except ServiceError:
        wait_ms = min(quotas.BACKOFF_MS << min(entry.attempt, 20), quotas.BACKOFF_MS_MAX)
        return Verdict(facilities.clock.now_ms() + wait_ms)
    return Verdict()
