"""Background work on tables whose key KMS has: whether it can be used, and grants that are done with."""

from __future__ import annotations

from typing import Final

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.jobs.tables import HOLD_MS, STEPS_PER_ATTEMPT
from fogbank.services.dynamodb.schema import TABLES, TableRecord

KEYS_AT_ONCE: Final = 4
ITEMS_PER_STEP: Final = 8
"""Items that are sealed in one step: 4 MB at most, and as much of their entries."""
MOMENTS_MS: Final = 60_000
"""A grant is looked at again after so long while a moment of its table is read."""


@worklist(state.tables.KEYED_TABLES, concurrency_max=KEYS_AT_ONCE, hold_ms=HOLD_MS)
async def try_key(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Note whether the key of a table can be used; done when the table is gone."""
    store, now_ms = facilities.placement.store_of(Domain(*entry.domain)), facilities.clock.now_ms()
    table = await store.read(lambda tr: state.tables.find_queued_table(tr, entry))
    if table is None or table.sse is None:
        return Verdict()
    is_usable = True
    for key in state.encryption.locked_keys(Domain(*entry.domain), table):
        try:
            await facilities.open_key(key)
        except ServiceError:
            is_usable = False
    walk = facilities.ids.uuid()

    async def settle(tr: Transaction) -> None:
        standing = await state.tables.find_queued_table(tr, entry)
        if standing is None or standing.sse is None:
            return
        if not is_usable:
            state.encryption.put_inaccessible(tr, standing, now_ms)
        elif standing.sse.inaccessible_ms:
            state.encryption.put_accessible(tr, standing)
            if standing.ttl_attribute:
                # What has expired meanwhile was left alone, and its entries are gone.
                attribute = standing.ttl_attribute
                state.expiries.queue_walk(tr, standing, attribute, walk, now_ms)

    again_ms = now_ms + facilities.quotas.value(quotas.KEY_TRIAL_MS)
    return Verdict(retry_at_ms=again_ms, settle=settle, uncounted=True)


@worklist(state.resealing.SEALED_TABLES, concurrency_max=KEYS_AT_ONCE, hold_ms=HOLD_MS)
async def seal_items(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Seal the next items of a table that has a key by now; done when all are."""
    store = facilities.holding(Domain(*entry.domain))

    async def body(tr: Transaction) -> bool:
        return await state.resealing.go_on(tr, entry, ITEMS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(body):
            return Verdict()
    return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)


@worklist(state.tables.RETIRED_GRANTS, concurrency_max=KEYS_AT_ONCE, hold_ms=HOLD_MS)
async def retire_grant(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Retire the grant of a table that is gone, unless something of it is there still."""
    table: TableRecord = TABLES.decode(entry.payload)
    domain = Domain(*entry.domain)
    needed = await facilities.placement.store_of(domain).read(
        lambda tr: state.keying.is_needed(tr, table)
    )
    if needed is None:
        again_ms = facilities.clock.now_ms() + MOMENTS_MS
        return Verdict(retry_at_ms=again_ms, uncounted=True)
    if not needed and table.sse is not None:
        await state.keying.retire(facilities, domain, table.sse)
    return Verdict()
