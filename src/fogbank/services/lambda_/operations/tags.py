"""Operations on the tags of functions: nothing else that Lambda has tags for can be made yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.rules import access, configuration, names
from fogbank.services.lambda_.schema import FunctionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

Tags = dict[str, str]


@operation(access=access.tag_resource, domain=names.tagged_domain)
async def tag_resource(call: Call, request: shapes.TagResourceRequest) -> Wire:
    """Put tags on a function, in place of those with the same keys."""
    given = request["Tags"]
    return await _change(call, request, lambda before: {**before, **given})


@operation(access=access.untag_resource, domain=names.tagged_domain)
async def untag_resource(call: Call, request: shapes.UntagResourceRequest) -> Wire:
    """Remove the tags with some keys from a function; it is no error if it has none of them."""
    gone = frozenset(request["TagKeys"])
    return await _change(
        call,
        request,
        lambda before: {key: value for key, value in before.items() if key not in gone},
    )


async def _change(call: Call, request: Request, tags: Callable[[Tags], Tags]) -> Wire:
    """Write the tags of a function, as a function of what they were."""
    named = names.tagged_name_of(call.scope, request)
    # AWS: tags are part of a function's revision (LocalStack's recorded answers, tag_resource).
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        before = await state.require_function(tr, named)
        after = tags(before.tags)
        configuration.check_tags(after)
        state.put_function(tr, msgspec.structs.replace(before, tags=after, revision=revision))

    await call.store.transact(body)
    return {}


@operation(access=access.list_tags, domain=names.tagged_domain)
async def list_tags(call: Call, request: shapes.ListTagsRequest) -> shapes.ListTagsResponse:
    """Return the tags of a function."""
    named = names.tagged_name_of(call.scope, request)

    async def body(tr: Transaction) -> FunctionRecord:
        return await state.require_function(tr, named)

    return {"Tags": (await call.store.read(body)).tags}
