"""Background work: environments that are provisioned stand ready, whatever ends them.

A step tells placement what is wanted, which starts what is missing. After a start of the server the
first steps do the same, for environments do not outlive it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.contract.call import Facilities
from fogbank.contract.job import Memory, consumer
from fogbank.platform.runtime.functions import Target
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.rules import views
from fogbank.services.lambda_.schema import decode_ready
from fogbank.services.lambda_.state import runs
from fogbank.services.lambda_.state.versions import PRIMARY

STEPS_MAX: Final = 64
LOOK_MS: Final = 1_000
TROUBLE_MS: Final = 10_000
"""How long after a start that failed the next is tried."""


class _Wanted(NamedTuple):
    """What is to stand ready."""

    target: Target
    environments: int


@consumer(state.concurrency.READY, steps_max=STEPS_MAX)
async def keep_ready(entry: Consumer, facilities: Facilities, memory: Memory) -> int:
    """Have as many environments ready as are wanted, of what the qualifier means now."""
    ready = decode_ready(entry.payload)
    _, account, region = entry.domain
    store = facilities.placement.store_of(Domain(*entry.domain))

    async def look(tr: Transaction) -> _Wanted | None:
        record = await state.concurrency.find_provisioned(tr, ready.key, ready.qualifier)
        found = await runs.find_runnable(
            tr, ready.name, ready.qualifier, PRIMARY, facilities.quotas
        )
        if record is None or found is None or found.version.key != ready.key:
            return None
        target = views.target_of(account, region, found.version, found.room)
        return _Wanted(target, record.count)

    wanted = await store.read(look)
    before: Target | None = memory.get("target")
    if before is not None and (wanted is None or not _same(before, wanted.target)):
        facilities.functions.provisions.provision(before, 0, facilities)
    memory["target"] = None if wanted is None else wanted.target
    rest_ms = LOOK_MS
    if wanted is not None:
        stands = facilities.functions.provisions.provision(
            wanted.target, wanted.environments, facilities
        )
        rest_ms = TROUBLE_MS if stands.trouble else LOOK_MS
    return facilities.clock.now_ms() + rest_ms


def _same(one: Target, other: Target) -> bool:
    """Return whether two targets have the same environments."""
    return (one.version, one.revision) == (other.version, other.revision)
