"""Background work: destinations hear what has become of events.

A destination is told as the function's role, by the operation that any client would call; what is
refused is tried again for some minutes, then given up with a line in the server's log. A crash
between telling and removing the entry tells again: at least once.
"""

from __future__ import annotations

import logging
from typing import Final

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.bus import trace
from fogbank.platform.runtime.cloud import Acting, assume_role
from fogbank.platform.runtime.figures import note_event
from fogbank.platform.runtime.functions import RoleNotAssumableError
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.lambda_ import arns, metrics, quotas, state
from fogbank.services.lambda_.rules import events
from fogbank.services.lambda_.schema import TellingRecord, decode_telling
from fogbank.services.lambda_.state import events as told

log = logging.getLogger("fogbank.functions")

AT_ONCE: Final = 32
HOLD_MS: Final = 300_000


@worklist(told.TELLINGS, concurrency_max=AT_ONCE, hold_ms=HOLD_MS)
async def tell(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Tell a destination of an event; decide whether to try again."""
    telling = decode_telling(entry.payload)
    name = told.pieces_of(entry.id)
    now_ms = facilities.clock.now_ms()
    store = facilities.placement.store_of(Domain(*entry.domain))

    async def look(tr: Transaction) -> bytes:
        return await state.read_pieces(tr, name, telling.content, telling.pieces)

    step, detail = "told", telling.target
    try:
        await _tell(telling, await store.read(look), facilities)
    except (ServiceError, RoleNotAssumableError) as error:
        words = f"{telling.target}: {type(error).__name__} {error}"
        if entry.attempt + 1 < facilities.quotas.value(quotas.TELLINGS):
            wait_ms = min(quotas.BACKOFF_MS << entry.attempt, quotas.BACKOFF_MS_MAX)
            return Verdict(now_ms + wait_ms)
        log.warning("event %s of %s is not told: %s", entry.id, telling.function_arn, words)
        step, detail = "untold", words
        note_event(facilities.metrics, telling.function_arn, metrics.UNDELIVERED)

    async def settle(tr: Transaction) -> None:
        state.forget_pieces(tr, name, telling.pieces)
        trace.note(tr, entry.id, now_ms, step, detail)

    return Verdict(settle=settle)


async def _tell(telling: TellingRecord, content: bytes, facilities: Facilities) -> None:
    """Call the destination as the function's role.

    Raises:
        RoleNotAssumableError: Lambda may not assume it any more.
        ServiceError: The destination is gone, or refuses.
    """
    found = arns.find_function(telling.function_arn)
    assert found is not None, "events are a function's"
    account, region, name, _ = found
    acting = Acting(account, region, telling.function_arn, name, telling.role)
    session = await assume_role(acting, facilities)
    message = events.message_of(telling, content, facilities.ids.uuid(), facilities.clock.now_ms())
    await facilities.calls.call(
        message.service,
        message.operation,
        message.request,
        principal=session.principal,
        region=events.region_of(telling.target) or region,
        trace=telling.trace,
    )
