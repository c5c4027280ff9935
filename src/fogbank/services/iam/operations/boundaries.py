"""Permissions boundaries: the managed policy that bounds what a user or role can be granted.

Source: IAM User Guide, "Permissions boundaries for IAM entities".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.records import UserRecord
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import Kind

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


async def _rebind(call: Call, kind: Kind, name: str, arn: str) -> Wire:
    """Write the boundary of a user or role, or remove it."""
    asked = rules.boundary_context(call.operation, arn)
    seen = cast("UserRecord", await state.permitted(call, kind, name, asked))

    async def body(tr: Transaction) -> None:
        entity = await state.again(tr, kind, seen)
        if arn:
            await state.require_boundary(tr, call.scope, arn)
        state.rebound(tr, kind, entity, arn)

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.in_operation)
async def put_user_permissions_boundary(
    call: Call, request: shapes.PutUserPermissionsBoundaryRequest
) -> Wire:
    """Bound the permissions of a user by a managed policy."""
    return await _rebind(call, "user", request["UserName"], request["PermissionsBoundary"])


@operation(access=rules.in_operation)
async def delete_user_permissions_boundary(
    call: Call, request: shapes.DeleteUserPermissionsBoundaryRequest
) -> Wire:
    """Remove the bound of a user; nothing changes if there is none."""
    return await _rebind(call, "user", request["UserName"], "")


@operation(access=rules.in_operation)
async def put_role_permissions_boundary(
    call: Call, request: shapes.PutRolePermissionsBoundaryRequest
) -> Wire:
    """Bound the permissions of a role by a managed policy."""
    return await _rebind(call, "role", request["RoleName"], request["PermissionsBoundary"])


@operation(access=rules.in_operation)
async def delete_role_permissions_boundary(
    call: Call, request: shapes.DeleteRolePermissionsBoundaryRequest
) -> Wire:
    """Remove the bound of a role; nothing changes if there is none."""
    return await _rebind(call, "role", request["RoleName"], "")
