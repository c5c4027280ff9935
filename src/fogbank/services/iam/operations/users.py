"""Users: people and programs that sign with long-term keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity import mfa
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.identity.records import (
    ACCESS_KEYS,
    ACCOUNTS,
    ATTACHMENTS,
    MEMBERSHIPS,
    MFA_DEVICES,
    AttachmentRecord,
    MembershipRecord,
    UserRecord,
)
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import entity_arn
from fogbank.services.iam.errors import DeleteConflict, ValidationError
from fogbank.services.iam.quotas import UNIQUE_ID_CHARACTERS

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


@operation(access=rules.creates("user", "UserName"))
async def create_user(call: Call, request: shapes.CreateUserRequest) -> shapes.CreateUserResponse:
    """Create a user without keys or permissions."""
    user = UserRecord(
        name=request["UserName"],
        path=request.get("Path", "/"),
        unique_id=rules.UNIQUE_ID_PREFIXES["user"] + call.ids.base32(UNIQUE_ID_CHARACTERS),
        created_ms=call.clock.now_ms(),
        tags=rules.with_tags((), request.get("Tags", [])),
        boundary=request.get("PermissionsBoundary", ""),
    )

    async def body(tr: Transaction) -> None:
        await state.require_free(tr, "user", user.name)
        if user.boundary:
            await state.require_boundary(tr, call.scope, user.boundary)
        state.put(tr, "user", user)
        state.bind(tr, "user", user)

    await call.identity.change(call.account, body)
    return {"User": rules.user_view(call.scope, user)}


@operation(access=rules.in_operation)
async def get_user(call: Call, request: shapes.GetUserRequest) -> shapes.GetUserResponse:
    """Describe a user; the caller itself if none is named."""
    name = request.get("UserName")
    principal = call.principal
    if name is None:
        if principal.kind is PrincipalKind.ROOT:
            account = await call.store.read(lambda tr: ACCOUNTS.find(tr))
            assert account is not None, "the caller's account stands"
            return {"User": rules.root_view(call.scope, account)}
        if principal.kind is not PrincipalKind.USER:
            raise ValidationError("Must specify userName when calling with non-User credentials")
        name = principal.name
    user = cast("UserRecord", await state.permitted(call, "user", name))
    return {"User": rules.user_view(call.scope, user)}


@operation(access=rules.lists("ListUsers", "user"))
async def list_users(call: Call, request: shapes.ListUsersRequest) -> shapes.ListUsersResponse:
    """List users under a path prefix, in order of name."""
    prefix, after = request.get("PathPrefix", "/"), rules.after_of(request)
    limit = rules.limit_of(request)
    users, last = await call.store.read(lambda tr: state.entities(tr, "user", prefix, after, limit))
    views = [rules.user_view(call.scope, user, details=False) for user in users]
    return {"Users": views, **rules.paging(last)}


@operation(access=rules.in_operation)
async def update_user(call: Call, request: shapes.UpdateUserRequest) -> Wire:
    """Give a user another name or path; its id, keys and policies stay."""
    seen = cast("UserRecord", await state.permitted(call, "user", request["UserName"]))
    name = request.get("NewUserName", seen.name)
    path = request.get("NewPath", seen.path)
    # AWS: a rename needs permission on the new ARN too (User Guide, "Rename an IAM user").
    context = rules.resource_tag_context(seen.tags)
    await call.require("iam:UpdateUser", entity_arn(call.scope, "user", path, name), context)

    async def body(tr: Transaction) -> None:
        user = await state.again(tr, "user", seen)
        if name.lower() != user.name.lower():
            await state.require_free(tr, "user", name)
        state.delete(tr, "user", user)
        await _rename(tr, user, name)
        renamed = msgspec.structs.replace(user, name=name, path=path)
        state.put(tr, "user", renamed)
        state.bind(tr, "user", renamed)

    await call.identity.change(call.account, body)
    return {}


async def _rename(tr: Transaction, user: UserRecord, name: str) -> None:
    """Write a user's new name wherever its name stands beside its own record."""
    for key_id in user.access_keys:
        key = await ACCESS_KEYS.find(tr, key_id)
        assert key is not None, "a key that a user lists stands"
        ACCESS_KEYS.put(tr, msgspec.structs.replace(key, user=name), key_id)
    for group in user.groups:
        MEMBERSHIPS.delete(tr, group.lower(), user.name.lower())
        MEMBERSHIPS.put(tr, MembershipRecord(name), group.lower(), name.lower())
    for device_name in user.mfa:
        device = await MFA_DEVICES.find(tr, device_name.lower())
        assert device is not None, "a device that a user has stands"
        mfa.put(tr, msgspec.structs.replace(device, user=name))
    for arn in user.attached:
        ATTACHMENTS.delete(tr, arn, "user", user.name.lower())
        row = AttachmentRecord("user", name, user.unique_id)
        ATTACHMENTS.put(tr, row, arn, "user", name.lower())


@operation(access=rules.in_operation)
async def delete_user(call: Call, request: shapes.DeleteUserRequest) -> Wire:
    """Delete a user that has no keys, policies, groups or MFA devices left."""
    seen = cast("UserRecord", await state.permitted(call, "user", request["UserName"]))

    async def body(tr: Transaction) -> None:
        user = await state.again(tr, "user", seen)
        for left, what in (
            (user.attached, "detach all policies"),
            (user.inline, "delete policies"),
            (user.access_keys, "delete access keys"),
            (user.groups, "remove users from group"),
            (user.mfa, "delete MFA device"),
        ):
            if left:
                raise DeleteConflict(f"Cannot delete entity, must {what} first.")
        state.delete(tr, "user", user)

    await call.identity.change(call.account, body)
    return {}
