"""Attachments: managed policies on users, roles and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, Scope
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.records import AttachmentRecord
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import Kind
from fogbank.services.iam.errors import LimitExceeded, NoSuchEntity
from fogbank.services.iam.quotas import ATTACHED_POLICIES, SCAN_ROWS_MAX

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes

_PLURALS = {"user": "User", "role": "Role", "group": "Group"}


async def _attach(call: Call, kind: Kind, name: str, arn: str) -> Wire:
    """Attach a policy to an entity; nothing changes if it is attached."""
    seen = await state.permitted(call, kind, name, {"iam:PolicyARN": arn})
    attached_max = call.limit(ATTACHED_POLICIES)

    async def body(tr: Transaction) -> None:
        entity = await state.again(tr, kind, seen)
        if await state.find_policy(tr, call.scope, arn) is None:
            raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
        if arn in entity.attached:
            return
        rules.require_attachable(arn, entity)
        if len(entity.attached) >= attached_max:
            quota = f"PoliciesPer{kind.capitalize()}"
            raise LimitExceeded(f"Cannot exceed quota for {quota}: {attached_max}")
        state.attach(tr, kind, entity, arn)

    await call.identity.change(call.account, body)
    return {}


async def _detach(call: Call, kind: Kind, name: str, arn: str) -> Wire:
    """Detach a policy from an entity."""
    seen = await state.permitted(call, kind, name, {"iam:PolicyARN": arn})

    async def body(tr: Transaction) -> None:
        entity = await state.again(tr, kind, seen)
        if arn not in entity.attached:
            raise NoSuchEntity(f"Policy {arn} was not found.")
        state.detach(tr, kind, entity, arn)

    await call.identity.change(call.account, body)
    return {}


async def _list(
    call: Call, kind: Kind, name: str, request: Request
) -> tuple[list[shapes.AttachedPolicy], rules.Paging]:
    """List the policies attached to an entity."""
    entity = await state.permitted(call, kind, name)
    views = rules.attached_view(entity.attached, request.get("PathPrefix", "/"))
    return rules.page(request, views)


@operation(access=rules.in_operation)
async def attach_user_policy(call: Call, request: shapes.AttachUserPolicyRequest) -> Wire:
    """Attach a managed policy to a user."""
    return await _attach(call, "user", request["UserName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def detach_user_policy(call: Call, request: shapes.DetachUserPolicyRequest) -> Wire:
    """Detach a managed policy from a user."""
    return await _detach(call, "user", request["UserName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def list_attached_user_policies(
    call: Call, request: shapes.ListAttachedUserPoliciesRequest
) -> shapes.ListAttachedUserPoliciesResponse:
    """List the managed policies of a user."""
    shown, paging = await _list(call, "user", request["UserName"], request)
    return {"AttachedPolicies": shown, **paging}


@operation(access=rules.in_operation)
async def attach_role_policy(call: Call, request: shapes.AttachRolePolicyRequest) -> Wire:
    """Attach a managed policy to a role."""
    return await _attach(call, "role", request["RoleName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def detach_role_policy(call: Call, request: shapes.DetachRolePolicyRequest) -> Wire:
    """Detach a managed policy from a role."""
    return await _detach(call, "role", request["RoleName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def list_attached_role_policies(
    call: Call, request: shapes.ListAttachedRolePoliciesRequest
) -> shapes.ListAttachedRolePoliciesResponse:
    """List the managed policies of a role."""
    shown, paging = await _list(call, "role", request["RoleName"], request)
    return {"AttachedPolicies": shown, **paging}


@operation(access=rules.in_operation)
async def attach_group_policy(call: Call, request: shapes.AttachGroupPolicyRequest) -> Wire:
    """Attach a managed policy to a group."""
    return await _attach(call, "group", request["GroupName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def detach_group_policy(call: Call, request: shapes.DetachGroupPolicyRequest) -> Wire:
    """Detach a managed policy from a group."""
    return await _detach(call, "group", request["GroupName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def list_attached_group_policies(
    call: Call, request: shapes.ListAttachedGroupPoliciesRequest
) -> shapes.ListAttachedGroupPoliciesResponse:
    """List the managed policies of a group."""
    shown, paging = await _list(call, "group", request["GroupName"], request)
    return {"AttachedPolicies": shown, **paging}


def _entities_access(scope: Scope, request: Request) -> list[Access]:
    """Return the access of listing a policy's entities."""
    del scope
    return [Access("iam:ListEntitiesForPolicy", request["PolicyArn"])]


def _is_listed(row: AttachmentRecord, entity: rules.Entity, arn: str, usage: str) -> bool:
    """Return whether a row makes an entity appear; who is attached and bounded appears once."""
    if not row.kind.startswith(rules.BOUNDARY):
        return usage != "PermissionsBoundary"
    return usage == "PermissionsBoundary" or (not usage and arn not in entity.attached)


class _Entities(TypedDict):
    """Who a policy is attached to, by kind."""

    PolicyGroups: list[shapes.PolicyGroup]
    PolicyUsers: list[shapes.PolicyUser]
    PolicyRoles: list[shapes.PolicyRole]


def _add(found: _Entities, kind: Kind, row: AttachmentRecord) -> None:
    """Add an entity to those of its kind."""
    if kind == "user":
        found["PolicyUsers"].append({"UserName": row.name, "UserId": row.unique_id})
    elif kind == "role":
        found["PolicyRoles"].append({"RoleName": row.name, "RoleId": row.unique_id})
    else:
        found["PolicyGroups"].append({"GroupName": row.name, "GroupId": row.unique_id})


@operation(access=_entities_access)
async def list_entities_for_policy(
    call: Call, request: shapes.ListEntitiesForPolicyRequest
) -> shapes.ListEntitiesForPolicyResponse:
    """List the users, roles and groups that a managed policy is attached to or bounds."""
    arn = request["PolicyArn"]
    after = rules.after_of(request)
    start = None if after is None else rules.entity_key(after)
    limit, wanted = rules.limit_of(request), request.get("EntityFilter", "")
    prefix, usage = request.get("PathPrefix", "/"), request.get("PolicyUsageFilter", "")

    async def body(tr: Transaction) -> tuple[_Entities, str | None]:
        await state.require_policy(tr, call.scope, arn)
        rows = await state.attached_entities(tr, arn, start, SCAN_ROWS_MAX + 1)
        found: _Entities = {"PolicyGroups": [], "PolicyUsers": [], "PolicyRoles": []}
        last: str | None = None
        for number, row in enumerate(rows):
            if number in (limit, SCAN_ROWS_MAX):
                return found, last
            last = f"{row.kind}/{row.name.lower()}"
            kind = rules.kind_of(row.kind)
            plural, entity = _PLURALS[kind], await state.require(tr, kind, row.name)
            if not _is_listed(row, entity, arn, usage):
                continue
            if wanted in ("", plural) and entity.path.startswith(prefix):
                _add(found, kind, row)
        return found, None

    found, last = await call.store.read(body)
    return {**found, **rules.paging(last)}
