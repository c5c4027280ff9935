"""Roles: permissions that whoever a trust policy names may take on for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.bound import with_ids
from fogbank.platform.identity.bound import UnknownPrincipal, bind, gone
from fogbank.platform.identity.records import Pairs, RoleRecord
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.errors import DeleteConflict, LimitExceeded, MalformedPolicyDocument
from fogbank.services.iam.quotas import (
    SESSION_S_DEFAULT,
    TRUST_CHARACTERS,
    UNIQUE_ID_CHARACTERS,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


async def _bound(call: Call, document: str) -> Pairs:
    """Check a trust policy; return the users and roles it names with their unique ids.

    AWS: who is deleted and made again under the same name is not trusted any more ("Principal",
    on deleted users and roles); so the ids are kept beside the document.
    """
    characters_max = call.limit(TRUST_CHARACTERS)
    if rules.characters_of(document) > characters_max:
        raise LimitExceeded(f"Cannot exceed quota for ACLSizePerRole: {characters_max}")
    policy = rules.checked(document, "trust", call.scope.partition)
    try:
        bound = await bind(call.facilities.placement, policy)
    except UnknownPrincipal as unknown:
        raise MalformedPolicyDocument(
            f'Invalid principal in policy: "AWS":"{unknown.arn}"'
        ) from None
    return tuple((name.arn, name.unique_id) for name in bound)


async def _view(call: Call, role: RoleRecord, *, details: bool = True) -> shapes.Role:
    """Return a role as the wire has it; whom it trusts and who is gone goes by the unique id."""
    trust = with_ids(role.trust, await gone(call.facilities.placement, role.trusted))
    return rules.role_view(call.scope, role, trust, details=details)


@operation(
    access=rules.creates("role", "RoleName"),
    unhonoured={"MaxSigninSessionDuration": frozenset()},
)
async def create_role(call: Call, request: shapes.CreateRoleRequest) -> shapes.CreateRoleResponse:
    """Create a role without permissions."""
    trust = request["AssumeRolePolicyDocument"]
    rules.require_own_path(request)
    role = RoleRecord(
        name=request["RoleName"],
        path=request.get("Path", "/"),
        unique_id=rules.UNIQUE_ID_PREFIXES["role"] + call.ids.base32(UNIQUE_ID_CHARACTERS),
        created_ms=call.clock.now_ms(),
        trust=trust,
        bound=await _bound(call, trust),
        description=request.get("Description", ""),
        session_s_max=request.get("MaxSessionDuration", SESSION_S_DEFAULT),
        tags=rules.with_tags((), request.get("Tags", [])),
        boundary=request.get("PermissionsBoundary", ""),
    )

    async def body(tr: Transaction) -> None:
        await state.require_free(tr, "role", role.name)
        if role.boundary:
            await state.require_boundary(tr, call.scope, role.boundary)
        state.put(tr, "role", role)
        state.bind(tr, "role", role)

    await call.identity.change(call.account, body)
    return {"Role": await _view(call, role)}


@operation(access=rules.in_operation)
async def get_role(call: Call, request: shapes.GetRoleRequest) -> shapes.GetRoleResponse:
    """Describe a role."""
    role = cast("RoleRecord", await state.permitted(call, "role", request["RoleName"]))
    return {"Role": await _view(call, role)}


@operation(access=rules.lists("ListRoles", "role"))
async def list_roles(call: Call, request: shapes.ListRolesRequest) -> shapes.ListRolesResponse:
    """List roles under a path prefix, in order of name."""
    prefix, after = request.get("PathPrefix", "/"), rules.after_of(request)
    limit = rules.limit_of(request)
    roles, last = await call.store.read(lambda tr: state.entities(tr, "role", prefix, after, limit))
    views = [await _view(call, role, details=False) for role in roles]
    return {"Roles": views, **rules.paging(last)}


@operation(access=rules.in_operation)
async def delete_role(call: Call, request: shapes.DeleteRoleRequest) -> Wire:
    """Delete a role that has no policies left; its sessions end with it."""
    seen = cast("RoleRecord", await state.permitted(call, "role", request["RoleName"]))

    async def body(tr: Transaction) -> None:
        role = await state.again(tr, "role", seen)
        if role.attached:
            raise DeleteConflict("Cannot delete entity, must detach all policies first.")
        if role.inline:
            raise DeleteConflict("Cannot delete entity, must delete policies first.")
        state.delete(tr, "role", role)

    await call.identity.change(call.account, body)
    return {}


async def _change(call: Call, seen: RoleRecord, **fields: Any) -> RoleRecord:
    """Write some fields of a role; return it."""

    async def body(tr: Transaction) -> RoleRecord:
        described = fields.keys() <= {"description"}
        role = await state.again(tr, "role", seen, described=described)
        return state.changed(tr, "role", role, **fields)

    return await call.identity.change(call.account, body)


@operation(access=rules.in_operation)
async def update_assume_role_policy(
    call: Call, request: shapes.UpdateAssumeRolePolicyRequest
) -> Wire:
    """Replace the trust policy of a role."""
    seen = cast("RoleRecord", await state.permitted(call, "role", request["RoleName"]))
    document = request["PolicyDocument"]
    await _change(call, seen, trust=document, bound=await _bound(call, document))
    return {}


@operation(
    access=rules.in_operation,
    unhonoured={
        "MaxSigninSessionDuration": frozenset(),
        "ResetMaxSigninSessionDuration": False,
    },
)
async def update_role(call: Call, request: shapes.UpdateRoleRequest) -> shapes.UpdateRoleResponse:
    """Change the description or the longest session of a role."""
    seen = cast("RoleRecord", await state.permitted(call, "role", request["RoleName"]))
    fields: dict[str, Any] = {}
    if "Description" in request:
        fields["description"] = request["Description"]
    if "MaxSessionDuration" in request:
        fields["session_s_max"] = request["MaxSessionDuration"]
    await _change(call, seen, **fields)
    return {}


@operation(access=rules.in_operation)
async def update_role_description(
    call: Call, request: shapes.UpdateRoleDescriptionRequest
) -> shapes.UpdateRoleDescriptionResponse:
    """Change the description of a role."""
    seen = cast("RoleRecord", await state.permitted(call, "role", request["RoleName"]))
    role = await _change(call, seen, description=request["Description"])
    return {"Role": await _view(call, role)}


@operation(access=rules.in_operation)
async def list_instance_profiles_for_role(
    call: Call, request: shapes.ListInstanceProfilesForRoleRequest
) -> shapes.ListInstanceProfilesForRoleResponse:
    """List the instance profiles of a role: none, because none can be made here."""
    await state.permitted(call, "role", request["RoleName"])
    shown, paging = rules.page(request, cast("list[tuple[str, shapes.InstanceProfile]]", []))
    return {"InstanceProfiles": shown, **paging}
