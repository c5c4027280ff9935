"""Operations on scheduled actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.application_autoscaling import quotas
from fogbank.services.application_autoscaling.errors import LimitExceededException
from fogbank.services.application_autoscaling.rules import access, actions
from fogbank.services.application_autoscaling.rules.dimensions import place_of
from fogbank.services.application_autoscaling.schema import ACTIONS
from fogbank.services.application_autoscaling.state import actions as rows
from fogbank.services.application_autoscaling.state import named
from fogbank.services.application_autoscaling.state import targets as target_rows
from fogbank.services.application_autoscaling.state.permitted import require_permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes


@operation(access=access.in_operation)
async def put_scheduled_action(
    call: Call, request: shapes.PutScheduledActionRequest
) -> shapes.PutScheduledActionResponse:
    """Create a scheduled action, or change one; what it did before stays."""
    place, name = place_of(request), request["ScheduledActionName"]
    await require_permitted(call, place)
    now_ms, fresh_id = call.clock.now_ms(), call.ids.uuid()

    async def body(tr: Transaction) -> None:
        target = await target_rows.require_registered(tr, place)
        before = await rows.find(tr, place, name)
        action = actions.put(request, before, fresh_id, now_ms)
        if before is None:
            if target.actions >= quotas.ACTIONS_MAX:
                raise LimitExceededException(
                    f"A scalable target may have {quotas.ACTIONS_MAX} scheduled actions"
                )
            target = msgspec.structs.replace(target, actions=target.actions + 1)
            target_rows.put(tr, target)
        await rows.put(tr, call.timers, place, action, now_ms)

    await call.store.transact(body)
    return {}


@operation()
async def describe_scheduled_actions(
    call: Call, request: shapes.DescribeScheduledActionsRequest
) -> shapes.DescribeScheduledActionsResponse:
    """Return the scheduled actions of a namespace by resource, dimension and name, in pages."""
    query = named.query_of(request, "ScheduledActionNames", quotas.PAGE)
    page = await call.store.read(lambda tr: named.page_of(tr, ACTIONS, query))
    reply: shapes.DescribeScheduledActionsResponse = {
        "ScheduledActions": [actions.described(call.scope, *row) for row in page.rows]
    }
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply


@operation(access=access.in_operation)
async def delete_scheduled_action(
    call: Call, request: shapes.DeleteScheduledActionRequest
) -> shapes.DeleteScheduledActionResponse:
    """Remove a scheduled action; it is not due any more."""
    place, name = place_of(request), request["ScheduledActionName"]
    await require_permitted(call, place)

    async def body(tr: Transaction) -> None:
        target, action = await target_rows.find(tr, place), await rows.find(tr, place, name)
        if target is None or action is None:
            raise actions.not_found(place, name)
        await rows.remove(tr, call.timers, place, action)
        target_rows.put(tr, msgspec.structs.replace(target, actions=target.actions - 1))

    await call.store.transact(body)
    return {}
