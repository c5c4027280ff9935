"""Operations on the tags of tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import owners, tags

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

Tags = dict[str, str]


@operation(access=tags.tag_resource, domain=owners.of_resource)
async def tag_resource(call: Call, request: shapes.TagResourceInput) -> Wire:
    """Put tags on a table, in place of those with the same keys."""
    table, tags_max = tags.table_of(call.scope, request), call.limit(quotas.TAGS)
    given = tags.given_tags(request, tags_max)

    def after(before: Tags) -> Tags:
        changed = {**before, **given}
        tags.check(changed, tags_max)
        return changed

    return await _change(call, request, table, after)


@operation(access=tags.untag_resource, domain=owners.of_resource)
async def untag_resource(call: Call, request: shapes.UntagResourceInput) -> Wire:
    """Remove the tags with some keys from a table; it is no error if it has none of them."""
    table = tags.table_of(call.scope, request)
    gone = tags.given_keys(request, call.limit(quotas.TAGS))

    def after(before: Tags) -> Tags:
        return {key: value for key, value in before.items() if key not in gone}

    return await _change(call, request, table, after)


async def _change(call: Call, request: Request, table: str, after: Callable[[Tags], Tags]) -> Wire:
    """Write the tags of a table, as a function of what they were."""

    async def body(tr: Transaction) -> None:
        found = await state.tags.require_tagged(tr, table, request["ResourceArn"])
        state.tags.put_tags(tr, found, after(await state.tags.tags_of(tr, found)))

    await call.store.transact(body)
    return {}


@operation(
    access=lambda _scope, request: [Access("dynamodb:ListTagsOfResource", request["ResourceArn"])],
    domain=owners.of_resource,
)
async def list_tags_of_resource(
    call: Call, request: shapes.ListTagsOfResourceInput
) -> shapes.ListTagsOfResourceOutput:
    """Return the tags of a table in order of their keys, a page at a time."""
    table = tags.table_of(call.scope, request)

    async def body(tr: Transaction) -> Tags:
        found = await state.tags.require_tagged(tr, table, request["ResourceArn"])
        return await state.tags.tags_of(tr, found)

    listed = sorted((await call.store.read(body)).items())
    after = request.get("NextToken")
    page = [tag for tag in listed if after is None or tag[0] > after][: quotas.TAGS_PAGE + 1]
    reply: shapes.ListTagsOfResourceOutput = {
        "Tags": [{"Key": key, "Value": value} for key, value in page[: quotas.TAGS_PAGE]]
    }
    if len(page) > quotas.TAGS_PAGE:
        reply["NextToken"] = page[quotas.TAGS_PAGE - 1][0]
    return reply
