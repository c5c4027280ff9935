"""Operations on the tags of keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.platform.tags import named
from fogbank.services.kms import quotas
from fogbank.services.kms.rules import access, names, states, tags
from fogbank.services.kms.state import keys
from fogbank.services.kms.state.permitted import change, permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes

Tags = dict[str, str]


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def tag_resource(call: Call, request: shapes.TagResourceRequest) -> Wire:
    """Put tags on a key, in place of those with the same keys."""
    given = tags.given(request["Tags"])
    context = access.tag_keys(request)
    return await _change(call, request["KeyId"], context, lambda before: {**before, **given})


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def untag_resource(call: Call, request: shapes.UntagResourceRequest) -> Wire:
    """Remove the tags with some keys from a key; it is no error if it has none of them."""
    gone = frozenset(request["TagKeys"])
    context = named(request["TagKeys"])

    def left(before: Tags) -> Tags:
        return {key: value for key, value in before.items() if key not in gone}

    return await _change(call, request["KeyId"], context, left)


async def _change(
    call: Call, text: str, context: access.Keys, after: Callable[[Tags], Tags]
) -> Wire:
    """Write the tags of a key, as a function of what they were."""
    found = await permitted(call, text, context)

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_kept(found.arn, key)
        changed = after(key.tags)
        tags.check(changed)
        keys.put_key(tr, msgspec.structs.replace(key, tags=changed))

    await change(call, found.name.account, body)
    return {}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def list_resource_tags(
    call: Call, request: shapes.ListResourceTagsRequest
) -> shapes.ListResourceTagsResponse:
    """Return the tags of a key in order of their keys."""
    _, key = await permitted(call, request["KeyId"])
    limit = min(request.get("Limit", quotas.PAGE), quotas.TAGS_PAGE_MAX)
    after = request.get("Marker", "")
    listed = sorted(pair for pair in key.tags.items() if pair[0] > after)
    reply: shapes.ListResourceTagsResponse = {
        "Tags": [{"TagKey": name, "TagValue": value} for name, value in listed[:limit]],
        "Truncated": len(listed) > limit,
    }
    if len(listed) > limit:
        reply["NextMarker"] = listed[limit - 1][0]
    return reply
