"""Groups: users that share policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.records import GroupRecord, UserRecord
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.errors import DeleteConflict, LimitExceeded
from fogbank.services.iam.quotas import GROUPS_PER_USER, UNIQUE_ID_CHARACTERS

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


@operation(access=rules.creates("group", "GroupName"))
async def create_group(
    call: Call, request: shapes.CreateGroupRequest
) -> shapes.CreateGroupResponse:
    """Create a group without users or policies."""
    group = GroupRecord(
        name=request["GroupName"],
        path=request.get("Path", "/"),
        unique_id=rules.UNIQUE_ID_PREFIXES["group"] + call.ids.base32(UNIQUE_ID_CHARACTERS),
        created_ms=call.clock.now_ms(),
    )

    async def body(tr: Transaction) -> None:
        await state.require_free(tr, "group", group.name)
        state.put(tr, "group", group)

    await call.identity.change(call.account, body)
    return {"Group": rules.group_view(call.scope, group)}


@operation(access=rules.in_operation)
async def get_group(call: Call, request: shapes.GetGroupRequest) -> shapes.GetGroupResponse:
    """Describe a group and list its users."""
    group = cast("GroupRecord", await state.permitted(call, "group", request["GroupName"]))
    after, limit = rules.after_of(request), rules.limit_of(request)
    users, last = await call.store.read(lambda tr: state.members(tr, group, after, limit))
    return {
        "Group": rules.group_view(call.scope, group),
        "Users": [rules.user_view(call.scope, user, details=False) for user in users],
        **rules.paging(last),
    }


@operation(access=rules.lists("ListGroups", "group"))
async def list_groups(call: Call, request: shapes.ListGroupsRequest) -> shapes.ListGroupsResponse:
    """List groups under a path prefix, in order of name."""
    prefix, after = request.get("PathPrefix", "/"), rules.after_of(request)
    limit = rules.limit_of(request)
    groups, last = await call.store.read(
        lambda tr: state.entities(tr, "group", prefix, after, limit)
    )
    views = [rules.group_view(call.scope, group) for group in groups]
    return {"Groups": views, **rules.paging(last)}


@operation(access=rules.in_operation)
async def list_groups_for_user(
    call: Call, request: shapes.ListGroupsForUserRequest
) -> shapes.ListGroupsForUserResponse:
    """List the groups of a user, in order of name."""
    user = cast("UserRecord", await state.permitted(call, "user", request["UserName"]))

    async def body(tr: Transaction) -> list[tuple[str, shapes.Group]]:
        views: list[tuple[str, shapes.Group]] = []
        for name in user.groups:
            group = await state.find(tr, "group", name)
            if group is not None:
                view = rules.group_view(call.scope, cast("GroupRecord", group))
                views.append((name.lower(), view))
        return sorted(views, key=lambda one: one[0])

    shown, paging = rules.page(request, await call.store.read(body))
    return {"Groups": shown, **paging}


@operation(access=rules.in_operation)
async def delete_group(call: Call, request: shapes.DeleteGroupRequest) -> Wire:
    """Delete a group that has no users or policies left."""
    seen = cast("GroupRecord", await state.permitted(call, "group", request["GroupName"]))

    async def body(tr: Transaction) -> None:
        group = await state.again(tr, "group", seen)
        for left, what in (
            (await state.has_members(tr, group), "remove users from group"),
            (group.attached, "detach all policies"),
            (group.inline, "delete policies"),
        ):
            if left:
                raise DeleteConflict(f"Cannot delete entity, must {what} first.")
        state.delete(tr, "group", group)

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.in_operation)
async def add_user_to_group(call: Call, request: shapes.AddUserToGroupRequest) -> Wire:
    """Put a user into a group; nothing changes if it is in it."""
    seen = cast("GroupRecord", await state.permitted(call, "group", request["GroupName"]))
    groups_max = call.limit(GROUPS_PER_USER)

    async def body(tr: Transaction) -> None:
        group = await state.again(tr, "group", seen)
        user = cast("UserRecord", await state.require(tr, "user", request["UserName"]))
        if group.name not in user.groups and len(user.groups) >= groups_max:
            raise LimitExceeded(f"Cannot exceed quota for GroupsPerUser: {groups_max}")
        state.join(tr, group, user)

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.in_operation)
async def remove_user_from_group(call: Call, request: shapes.RemoveUserFromGroupRequest) -> Wire:
    """Take a user out of a group; nothing changes if it is not in it."""
    seen = cast("GroupRecord", await state.permitted(call, "group", request["GroupName"]))

    async def body(tr: Transaction) -> None:
        group = await state.again(tr, "group", seen)
        user = cast("UserRecord", await state.require(tr, "user", request["UserName"]))
        state.leave(tr, group, user)

    await call.identity.change(call.account, body)
    return {}
