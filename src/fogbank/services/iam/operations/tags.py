"""Tags of users and roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.records import Pairs, UserRecord
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import Kind

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


async def _change(
    call: Call, kind: Kind, name: str, request: Request, tags: Callable[[Pairs], Pairs]
) -> Wire:
    """Write the tags of an entity, as a function of what they were."""
    context = rules.request_tag_context(request)
    seen = cast("UserRecord", await state.permitted(call, kind, name, context))

    async def body(tr: Transaction) -> None:
        entity = await state.again(tr, kind, seen)
        state.changed(tr, kind, entity, tags=tags(entity.tags))

    await call.identity.change(call.account, body)
    return {}


async def _list(
    call: Call, kind: Kind, name: str, request: Request
) -> tuple[list[shapes.Tag], rules.Paging]:
    """List the tags of an entity."""
    entity = cast("UserRecord", await state.permitted(call, kind, name))
    return rules.page(request, rules.numbered(rules.tags_view(entity.tags)))


@operation(access=rules.in_operation)
async def tag_user(call: Call, request: shapes.TagUserRequest) -> Wire:
    """Put tags on a user."""
    given = request["Tags"]
    return await _change(
        call, "user", request["UserName"], request, lambda tags: rules.with_tags(tags, given)
    )


@operation(access=rules.in_operation)
async def untag_user(call: Call, request: shapes.UntagUserRequest) -> Wire:
    """Remove tags from a user."""
    keys = request["TagKeys"]
    return await _change(
        call, "user", request["UserName"], request, lambda tags: rules.without_tags(tags, keys)
    )


@operation(access=rules.in_operation)
async def list_user_tags(
    call: Call, request: shapes.ListUserTagsRequest
) -> shapes.ListUserTagsResponse:
    """List the tags of a user."""
    shown, paging = await _list(call, "user", request["UserName"], request)
    return {"Tags": shown, **paging}


@operation(access=rules.in_operation)
async def tag_role(call: Call, request: shapes.TagRoleRequest) -> Wire:
    """Put tags on a role."""
    given = request["Tags"]
    return await _change(
        call, "role", request["RoleName"], request, lambda tags: rules.with_tags(tags, given)
    )


@operation(access=rules.in_operation)
async def untag_role(call: Call, request: shapes.UntagRoleRequest) -> Wire:
    """Remove tags from a role."""
    keys = request["TagKeys"]
    return await _change(
        call, "role", request["RoleName"], request, lambda tags: rules.without_tags(tags, keys)
    )


@operation(access=rules.in_operation)
async def list_role_tags(
    call: Call, request: shapes.ListRoleTagsRequest
) -> shapes.ListRoleTagsResponse:
    """List the tags of a role."""
    shown, paging = await _list(call, "role", request["RoleName"], request)
    return {"Tags": shown, **paging}
