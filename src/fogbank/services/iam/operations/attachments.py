"""Attachments: managed policies on users, roles and groups."""

from __future__ import annotations

from fogbank.base.types import Wire
from fogbank.contract.action import Access, Scope
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.records import AttachmentRecord
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import Kind
from fogbank.services.iam.errors import LimitExceeded, NoSuchEntity
from fogbank.services.iam.quotas import ATTACHED_POLICIES, SCAN_ROWS_MAX

_PLURALS = {"user": "User", "role": "Role", "group": "Group"}


async def _attach(call: Call, kind: Kind, name: str, arn: str) -> Wire:
    """Attach a policy to an entity; nothing changes if it is attached."""
    seen = await state.permitted(call, kind, name, {"iam:PolicyARN": arn})
    attached_max = call.limit(ATTACHED_POLICIES)

    async def body(tr: Transaction) -> None:
        entity = await state.again(tr, kind, seen)
        if await state.find_policy(tr, call.account, arn) is None:
            raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
        if arn in entity.attached:
            return
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


async def _list(call: Call, kind: Kind, name: str, request: Wire) -> Wire:
    """List the policies attached to an entity."""
    entity = await state.permitted(call, kind, name)
    views = rules.attached_view(entity.attached, request.get("PathPrefix", "/"))
    shown, paging = rules.page(request, views)
    return {"AttachedPolicies": shown, **paging}


@operation(access=rules.in_operation)
async def attach_user_policy(call: Call, request: Wire) -> Wire:
    """Attach a managed policy to a user."""
    return await _attach(call, "user", request["UserName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def detach_user_policy(call: Call, request: Wire) -> Wire:
    """Detach a managed policy from a user."""
    return await _detach(call, "user", request["UserName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def list_attached_user_policies(call: Call, request: Wire) -> Wire:
    """List the managed policies of a user."""
    return await _list(call, "user", request["UserName"], request)


@operation(access=rules.in_operation)
async def attach_role_policy(call: Call, request: Wire) -> Wire:
    """Attach a managed policy to a role."""
    return await _attach(call, "role", request["RoleName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def detach_role_policy(call: Call, request: Wire) -> Wire:
    """Detach a managed policy from a role."""
    return await _detach(call, "role", request["RoleName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def list_attached_role_policies(call: Call, request: Wire) -> Wire:
    """List the managed policies of a role."""
    return await _list(call, "role", request["RoleName"], request)


@operation(access=rules.in_operation)
async def attach_group_policy(call: Call, request: Wire) -> Wire:
    """Attach a managed policy to a group."""
    return await _attach(call, "group", request["GroupName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def detach_group_policy(call: Call, request: Wire) -> Wire:
    """Detach a managed policy from a group."""
    return await _detach(call, "group", request["GroupName"], request["PolicyArn"])


@operation(access=rules.in_operation)
async def list_attached_group_policies(call: Call, request: Wire) -> Wire:
    """List the managed policies of a group."""
    return await _list(call, "group", request["GroupName"], request)


def _entities_access(scope: Scope, request: Wire) -> list[Access]:
    """Return the access of listing a policy's entities."""
    del scope
    return [Access("iam:ListEntitiesForPolicy", request["PolicyArn"])]


def _is_listed(row: AttachmentRecord, entity: rules.Entity, arn: str, usage: str) -> bool:
    """Return whether a row makes an entity appear; who is attached and bounded appears once."""
    if not row.kind.startswith(rules.BOUNDARY):
        return usage != "PermissionsBoundary"
    return usage == "PermissionsBoundary" or (not usage and arn not in entity.attached)


@operation(access=_entities_access)
async def list_entities_for_policy(call: Call, request: Wire) -> Wire:
    """List the users, roles and groups that a managed policy is attached to or bounds."""
    arn = request["PolicyArn"]
    after = rules.after_of(request)
    start = None if after is None else rules.entity_key(after)
    limit, wanted = rules.limit_of(request), request.get("EntityFilter", "")
    prefix, usage = request.get("PathPrefix", "/"), request.get("PolicyUsageFilter", "")

    async def body(tr: Transaction) -> tuple[Wire, str | None]:
        await state.require_policy(tr, call.account, arn)
        rows = await state.attached_entities(tr, arn, start, SCAN_ROWS_MAX + 1)
        found: Wire = {f"Policy{plural}s": [] for plural in _PLURALS.values()}
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
                view = {f"{plural}Name": row.name, f"{plural}Id": row.unique_id}
                found[f"Policy{plural}s"].append(view)
        return found, None

    found, last = await call.store.read(body)
    return {**found, **rules.paging(last)}
