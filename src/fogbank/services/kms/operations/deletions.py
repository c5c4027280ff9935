"""Operations that schedule the deletion of a key, and think better of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms import quotas
from fogbank.services.kms.rules import access, names, requests, states
from fogbank.services.kms.schema import DISABLED, PENDING_DELETION
from fogbank.services.kms.state import keys
from fogbank.services.kms.state.permitted import change, permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def schedule_key_deletion(
    call: Call, request: shapes.ScheduleKeyDeletionRequest
) -> shapes.ScheduleKeyDeletionResponse:
    """Let a key be deleted after some days, in which nobody can use it."""
    days = requests.window_days(request.get("PendingWindowInDays"))
    found = await permitted(call, request["KeyId"], access.window_keys(days))
    due_ms = call.clock.now_ms() + days * quotas.DAY_MS

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_kept(found.arn, key)
        after = msgspec.structs.replace(
            key, state=PENDING_DELETION, deletion_ms=due_ms, window_days=days
        )
        keys.put_key(tr, after)
        call.timers.put(tr, keys.timer_of(tr, keys.DELETE, key.id, due_ms))

    await change(call, found.name.account, body)
    return {
        "KeyId": found.arn,
        "DeletionDate": due_ms,
        "KeyState": PENDING_DELETION,
        "PendingWindowInDays": days,
    }


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def cancel_key_deletion(
    call: Call, request: shapes.CancelKeyDeletionRequest
) -> shapes.CancelKeyDeletionResponse:
    """Keep a key that was to be deleted; it is disabled until it is enabled."""
    found = await permitted(call, request["KeyId"])

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_pending(found.arn, key)
        call.timers.delete(tr, keys.timer_of(tr, keys.DELETE, key.id, key.deletion_ms))
        after = msgspec.structs.replace(key, state=DISABLED, deletion_ms=0, window_days=0)
        keys.put_key(tr, after)

    await change(call, found.name.account, body)
    return {"KeyId": found.arn}
