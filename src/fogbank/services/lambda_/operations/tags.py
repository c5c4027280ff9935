"""Operations on the tags of functions and of event source mappings."""

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
    """Put tags on a function or a mapping, in place of those with the same keys."""
    given = request["Tags"]
    return await _change(call, request, lambda before: {**before, **given})


@operation(access=access.untag_resource, domain=names.tagged_domain)
async def untag_resource(call: Call, request: shapes.UntagResourceRequest) -> Wire:
    """Remove the tags with some keys; it is no error if there is none of them."""
    gone = frozenset(request["TagKeys"])
    return await _change(
        call,
        request,
        lambda before: {key: value for key, value in before.items() if key not in gone},
    )


async def _change(call: Call, request: Request, tags: Callable[[Tags], Tags]) -> Wire:
    """Write the tags of a function or a mapping, as a function of what they were."""
    mapping_id = names.find_tagged_mapping(call.scope, request)
    if mapping_id is not None:
        return await _change_mapping(call, mapping_id, tags)
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


async def _change_mapping(call: Call, mapping_id: str, tags: Callable[[Tags], Tags]) -> Wire:
    """Write the tags of a mapping, as a function of what they were; nothing else of it changes."""

    async def body(tr: Transaction) -> None:
        before = await state.require_mapping(tr, mapping_id)
        after = tags(before.tags)
        configuration.check_tags(after)
        await state.change_mapping(tr, before, msgspec.structs.replace(before, tags=after))

    await call.store.transact(body)
    return {}


@operation(access=access.list_tags, domain=names.tagged_domain)
async def list_tags(call: Call, request: shapes.ListTagsRequest) -> shapes.ListTagsResponse:
    """Return the tags of a function or a mapping."""
    mapping_id = names.find_tagged_mapping(call.scope, request)
    if mapping_id is not None:
        mapping = await call.store.read(lambda tr: state.require_mapping(tr, mapping_id))
        return {"Tags": mapping.tags}
    named = names.tagged_name_of(call.scope, request)

    async def body(tr: Transaction) -> FunctionRecord:
        return await state.require_function(tr, named)

    return {"Tags": (await call.store.read(body)).tags}
