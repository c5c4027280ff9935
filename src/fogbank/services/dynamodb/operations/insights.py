"""Operations on contributor insights: which keys are accessed and throttled most.

What is counted is shown by ``fogbank status`` and ``/metrics``, under the names of the rules that
DescribeContributorInsights tells.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import access, insights, names, strong
from fogbank.services.dynamodb.schema import TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_index("UpdateContributorInsights"))
async def update_contributor_insights(
    call: Call, request: shapes.UpdateContributorInsightsInput
) -> shapes.UpdateContributorInsightsOutput:
    """Begin or end to count the keys of a table or an index; it is so at once."""
    name, now_ms = names.table_name_of(call.scope, request), call.clock.now_ms()
    await state.keying.require_usable(call, name)

    async def body(tr: Transaction) -> TableRecord:
        before = await state.tables.require_settled_table(tr, name)
        if call.moved:
            strong.require_replica(before, call.region)
            seen = insights.changed_table(strong.seen_in(before, call.region), request, now_ms)
            return state.tables.put_table(tr, strong.with_insights(before, call.region, seen))
        state.tables.require_here(tr, before)
        return state.tables.put_table(tr, insights.changed_table(before, request, now_ms))

    table = await call.store.transact(body)
    if call.moved:
        table = await state.strong.refreshed(call, table)
    index = insights.find_index(table, request)
    enabled = bool(insights.insights_of(table, index).mode)
    reply: shapes.UpdateContributorInsightsOutput = {
        "TableName": name,
        "ContributorInsightsStatus": "ENABLING" if enabled else "DISABLING",
    }
    if index is not None:
        reply["IndexName"] = index.name
    if enabled:
        reply["ContributorInsightsMode"] = insights.insights_of(table, index).mode
    return reply


@operation(access=access.on_index("DescribeContributorInsights"))
async def describe_contributor_insights(
    call: Call, request: shapes.DescribeContributorInsightsInput
) -> shapes.DescribeContributorInsightsOutput:
    """Return whether the keys of a table or an index are counted, and by which rules."""
    name = names.table_name_of(call.scope, request)

    async def body(tr: Transaction) -> TableRecord:
        return await state.tables.require_named_table(tr, name)

    table = await call.store.read(body)
    return insights.described(table, insights.find_index(table, request))


@operation(access=lambda _scope, _request: [Access("dynamodb:ListContributorInsights", "*")])
async def list_contributor_insights(
    call: Call, request: shapes.ListContributorInsightsInput
) -> shapes.ListContributorInsightsOutput:
    """Return of a table, or of all, and of its global indexes whether their keys are counted."""
    most: int = request.get("MaxResults", quotas.LIST_INSIGHTS_PAGE)
    place: list[str] = json.loads(request.get("NextToken", "[]"))
    only = names.table_name_of(call.scope, request) if "TableName" in request else None

    async def body(tr: Transaction) -> list[TableRecord]:
        if only is not None:
            return [await state.tables.require_named_table(tr, only)]
        return await state.tables.list_tables_from(tr, place[0] if place else "", most + 1)

    found = [
        ([table.name, index], insights.summary_of(table.name, index, each))
        for table in await call.store.read(body)
        for index, each in sorted(insights.of_all(table))
        if [table.name, index] > place
    ]
    reply: shapes.ListContributorInsightsOutput = {
        "ContributorInsightsSummaries": [told for _, told in found[:most]]
    }
    if len(found) > most:
        reply["NextToken"] = json.dumps(found[most - 1][0])
    return reply
