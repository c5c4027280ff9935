"""Operations on the tags of scalable targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.platform.tags import named, requested
from fogbank.services.application_autoscaling.rules import access, targets
from fogbank.services.application_autoscaling.state import targets as rows
from fogbank.services.application_autoscaling.state.permitted import Keys, permitted_by_arn

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes

Tags = dict[str, str]


@operation(access=access.in_operation)
async def tag_resource(
    call: Call, request: shapes.TagResourceRequest
) -> shapes.TagResourceResponse:
    """Put tags on a target, in place of those with the same keys."""
    given = request["Tags"]
    await _change(
        call,
        request["ResourceARN"],
        requested(given),
        lambda before: targets.with_tags(before, given),
    )
    return {}


@operation(access=access.in_operation)
async def untag_resource(
    call: Call, request: shapes.UntagResourceRequest
) -> shapes.UntagResourceResponse:
    """Remove the tags with some keys from a target; it is no error if it has none of them."""
    gone = frozenset(request["TagKeys"])

    def left(before: Tags) -> Tags:
        return {key: value for key, value in before.items() if key not in gone}

    await _change(call, request["ResourceARN"], named(request["TagKeys"]), left)
    return {}


async def _change(call: Call, arn: str, keys: Keys, after: Callable[[Tags], Tags]) -> None:
    """Write the tags of a target, as a function of what they were."""
    seen = await permitted_by_arn(call, arn, keys)

    async def body(tr: Transaction) -> None:
        target = await rows.find_by_id(tr, seen.id)
        if target is None:
            raise access.no_target(arn)
        rows.put(tr, msgspec.structs.replace(target, tags=after(target.tags)))

    await call.store.transact(body)


@operation(access=access.in_operation)
async def list_tags_for_resource(
    call: Call, request: shapes.ListTagsForResourceRequest
) -> shapes.ListTagsForResourceResponse:
    """Return the tags of a target."""
    target = await permitted_by_arn(call, request["ResourceARN"], {})
    return {"Tags": target.tags}
