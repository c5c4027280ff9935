"""How events are treated, and what destinations are still to hear of them."""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.schema import (
    EVENT_CONFIGS,
    EventConfigRecord,
    FunctionRecord,
    TellingRecord,
)

TELLINGS: Final = "lambda.tellings"
"""The work list of what destinations are to hear."""


async def find_config(tr: Transaction, key: str, qualifier: str) -> EventConfigRecord | None:
    """Return how events of a function, version or alias are treated, or None: as by default."""
    return await EVENT_CONFIGS.find(tr, key, qualifier or LATEST)


def put_config(
    tr: Transaction, function: FunctionRecord, qualifier: str, config: EventConfigRecord
) -> None:
    """Write how events of a function, version or alias are treated."""
    EVENT_CONFIGS.put(tr, config, function.key, qualifier or LATEST)


def delete_config(tr: Transaction, function: FunctionRecord, qualifier: str) -> None:
    """Have events treated as by default."""
    EVENT_CONFIGS.delete(tr, function.key, qualifier or LATEST)


async def list_configs(
    tr: Transaction, function: FunctionRecord, after: str, limit: int
) -> list[tuple[str, EventConfigRecord]]:
    """Return up to ``limit`` qualifiers and their configurations, in order."""
    behind = (after,) if after else None
    found = await EVENT_CONFIGS.list(tr, function.key, limit=limit, after=behind)
    return [(str(qualifier), config) for (qualifier,), config in found]


def queue_telling(tr: Transaction, telling: TellingRecord, event_id: str, now_ms: int) -> None:
    """Have a destination told, in the transaction that ends the event."""
    content, pieces = state.put_pieces(tr, pieces_of(event_id), telling.content)
    entry = WorkEntry(
        list=TELLINGS,
        id=event_id,
        domain=tr.domain.name,
        payload=encode(msgspec.structs.replace(telling, content=content, pieces=pieces)),
        created_ms=now_ms,
        visible_ms=now_ms,
    )
    worklist.put(tr, entry)


def pieces_of(event_id: str) -> str:
    """Return under what a telling lies in pieces."""
    return f"{event_id}/told"
