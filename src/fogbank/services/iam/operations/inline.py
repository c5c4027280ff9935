"""Inline policies: documents that belong to one user, role or group."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import Kind
from fogbank.services.iam.errors import NoSuchEntity

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


async def _put(call: Call, kind: Kind, name: str, request: Request) -> Wire:
    """Put a policy into an entity."""
    seen = await state.permitted(call, kind, name)
    document = request["PolicyDocument"]
    # Size before content: what is too large is not worth compiling.
    rules.with_inline(seen, kind, request["PolicyName"], document)
    rules.checked(document, "identity", call.scope.partition)

    async def body(tr: Transaction) -> None:
        entity = await state.again(tr, kind, seen)
        inline = rules.with_inline(entity, kind, request["PolicyName"], document)
        state.changed(tr, kind, entity, inline=inline)

    await call.identity.change(call.account, body)
    return {}


def _missing(kind: Kind, policy_name: str) -> NoSuchEntity:
    """Return the error for an inline policy that is not there."""
    return NoSuchEntity(f"The {kind} policy with name {policy_name} cannot be found.")


class _Document(TypedDict):
    """A policy as it is told of every kind of entity."""

    PolicyName: str
    PolicyDocument: str


async def _get(call: Call, kind: Kind, name: str, request: Request) -> tuple[str, _Document]:
    """Return an entity's name and a policy of it."""
    entity = await state.permitted(call, kind, name)
    policy_name = request["PolicyName"]
    document = dict(entity.inline).get(policy_name)
    if document is None:
        raise _missing(kind, policy_name)
    found: _Document = {"PolicyName": policy_name, "PolicyDocument": rules.encoded(document)}
    return entity.name, found


async def _list(
    call: Call, kind: Kind, name: str, request: Request
) -> tuple[list[str], rules.Paging]:
    """Return the names of an entity's policies."""
    entity = await state.permitted(call, kind, name)
    names = sorted(policy_name for policy_name, _ in entity.inline)
    return rules.page(request, [(one, one) for one in names])


async def _delete(call: Call, kind: Kind, name: str, request: Request) -> Wire:
    """Remove a policy from an entity."""
    seen = await state.permitted(call, kind, name)
    policy_name = request["PolicyName"]

    async def body(tr: Transaction) -> None:
        entity = await state.again(tr, kind, seen)
        inline = tuple(one for one in entity.inline if one[0] != policy_name)
        if len(inline) == len(entity.inline):
            raise _missing(kind, policy_name)
        state.changed(tr, kind, entity, inline=inline)

    await call.identity.change(call.account, body)
    return {}


@operation(access=rules.in_operation)
async def put_user_policy(call: Call, request: shapes.PutUserPolicyRequest) -> Wire:
    """Put an inline policy into a user."""
    return await _put(call, "user", request["UserName"], request)


@operation(access=rules.in_operation)
async def get_user_policy(
    call: Call, request: shapes.GetUserPolicyRequest
) -> shapes.GetUserPolicyResponse:
    """Return an inline policy of a user."""
    name, policy = await _get(call, "user", request["UserName"], request)
    return {"UserName": name, **policy}


@operation(access=rules.in_operation)
async def list_user_policies(
    call: Call, request: shapes.ListUserPoliciesRequest
) -> shapes.ListUserPoliciesResponse:
    """List the names of a user's inline policies."""
    shown, paging = await _list(call, "user", request["UserName"], request)
    return {"PolicyNames": shown, **paging}


@operation(access=rules.in_operation)
async def delete_user_policy(call: Call, request: shapes.DeleteUserPolicyRequest) -> Wire:
    """Remove an inline policy from a user."""
    return await _delete(call, "user", request["UserName"], request)


@operation(access=rules.in_operation)
async def put_role_policy(call: Call, request: shapes.PutRolePolicyRequest) -> Wire:
    """Put an inline policy into a role."""
    return await _put(call, "role", request["RoleName"], request)


@operation(access=rules.in_operation)
async def get_role_policy(
    call: Call, request: shapes.GetRolePolicyRequest
) -> shapes.GetRolePolicyResponse:
    """Return an inline policy of a role."""
    name, policy = await _get(call, "role", request["RoleName"], request)
    return {"RoleName": name, **policy}


@operation(access=rules.in_operation)
async def list_role_policies(
    call: Call, request: shapes.ListRolePoliciesRequest
) -> shapes.ListRolePoliciesResponse:
    """List the names of a role's inline policies."""
    shown, paging = await _list(call, "role", request["RoleName"], request)
    return {"PolicyNames": shown, **paging}


@operation(access=rules.in_operation)
async def delete_role_policy(call: Call, request: shapes.DeleteRolePolicyRequest) -> Wire:
    """Remove an inline policy from a role."""
    return await _delete(call, "role", request["RoleName"], request)


@operation(access=rules.in_operation)
async def put_group_policy(call: Call, request: shapes.PutGroupPolicyRequest) -> Wire:
    """Put an inline policy into a group."""
    return await _put(call, "group", request["GroupName"], request)


@operation(access=rules.in_operation)
async def get_group_policy(
    call: Call, request: shapes.GetGroupPolicyRequest
) -> shapes.GetGroupPolicyResponse:
    """Return an inline policy of a group."""
    name, policy = await _get(call, "group", request["GroupName"], request)
    return {"GroupName": name, **policy}


@operation(access=rules.in_operation)
async def list_group_policies(
    call: Call, request: shapes.ListGroupPoliciesRequest
) -> shapes.ListGroupPoliciesResponse:
    """List the names of a group's inline policies."""
    shown, paging = await _list(call, "group", request["GroupName"], request)
    return {"PolicyNames": shown, **paging}


@operation(access=rules.in_operation)
async def delete_group_policy(call: Call, request: shapes.DeleteGroupPolicyRequest) -> Wire:
    """Remove an inline policy from a group."""
    return await _delete(call, "group", request["GroupName"], request)
