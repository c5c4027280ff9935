"""Operations on scaling activities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.application_autoscaling import quotas
from fogbank.services.application_autoscaling.rules import activities, pages
from fogbank.services.application_autoscaling.schema import ActivityRecord
from fogbank.services.application_autoscaling.state import activities as rows

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes


@operation()
async def describe_scaling_activities(
    call: Call, request: shapes.DescribeScalingActivitiesRequest
) -> shapes.DescribeScalingActivitiesResponse:
    """Return what was done in a namespace, the newest first, a page at a time.

    A page looks at so many that it may hold fewer than it could, or none, and yet not be the last.
    """
    resource: str | None = request.get("ResourceId")
    pages.require_dimension(request, [] if resource is None else [resource])
    limit, before = pages.limit_of(request, quotas.PAGE), pages.after_of(request, (int, str))
    begin: rows.Key | None = None if before is None else (before[0], before[1])
    most = rows.LOOKED_AT_MAX

    async def body(tr: Transaction) -> list[ActivityRecord]:
        if resource is None:
            return await rows.list_all(tr, request["ServiceNamespace"], begin, most)
        return await rows.list_of(tr, pages.places_of(request, [resource]), begin, most)

    looked_at = await call.store.read(body)
    wanted = request.get("IncludeNotScaledActivities", False)
    told = [each for each in looked_at if wanted or not each.reason]
    reply: shapes.DescribeScalingActivitiesResponse = {
        "ScalingActivities": [activities.described(each) for each in told[:limit]]
    }
    if len(told) > limit:
        reply["NextToken"] = pages.token_of(*rows.key_of(told[limit - 1]))
    elif len(looked_at) == most:
        reply["NextToken"] = pages.token_of(*rows.key_of(looked_at[-1]))
    return reply
