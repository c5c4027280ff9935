"""Operations on function policies: who else may invoke a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.bound import BoundPolicy, with_ids
from fogbank.platform.identity.bound import gone
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.errors import ResourceNotFoundException
from fogbank.services.lambda_.rules import access, configuration, names, policies
from fogbank.services.lambda_.rules.names import FunctionName

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


def _named(call: Call, request: Request) -> FunctionName:
    """Return the function, version or alias whose policy is meant."""
    return names.require_not_latest(names.function_name_of(call.scope, request))


@operation(access=access.add_permission, domain=names.function_domain)
async def add_permission(
    call: Call, request: shapes.AddPermissionRequest
) -> shapes.AddPermissionResponse:
    """Let someone else invoke a function."""
    named = _named(call, request)
    statement = policies.statement_of(request, named.qualified_arn)
    bound = await state.policies.bound_of(call, statement)
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        function = await state.require_function(tr, named._replace(qualifier=""))
        qualified = await state.versions.require_qualified(tr, function, named)
        configuration.check_policy_revision(qualified, request)
        before = await state.policies.find_policy(tr, function, named.qualifier)
        policy = policies.with_statement(before, statement, bound)
        after = msgspec.structs.replace(qualified, revision=revision)
        state.versions.put_qualified(tr, function, after)
        state.policies.put_policy(tr, function, named.qualifier, policy)

    await call.store.transact(body)
    return {"Statement": policies.text_of(statement)}


@operation(access=access.remove_permission, domain=names.function_domain)
async def remove_permission(call: Call, request: shapes.RemovePermissionRequest) -> Wire:
    """Remove a statement from a function's policy."""
    named = _named(call, request)
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        function = await state.find_function(tr, named.name)
        if function is None:
            raise ResourceNotFoundException(f"No policy found for: {named.arn}")
        qualified = await state.versions.require_qualified(tr, function, named)
        configuration.check_revision(qualified, request)
        before = await state.policies.find_policy(tr, function, named.qualifier)
        policy = policies.without_statement(before, request["StatementId"])
        after = msgspec.structs.replace(qualified, revision=revision)
        state.versions.put_qualified(tr, function, after)
        state.policies.put_policy(tr, function, named.qualifier, policy)

    await call.store.transact(body)
    return {}


@operation(access=access.on_function("GetPolicy"), domain=names.function_domain)
async def get_policy(call: Call, request: shapes.GetPolicyRequest) -> shapes.GetPolicyResponse:
    """Return a function's policy; whom it names and who is gone goes by the unique id."""
    document, revision = await _find_policy(call, names.function_name_of(call.scope, request))
    return {"Policy": document, "RevisionId": revision}


async def _find_policy(call: Call, named: FunctionName) -> tuple[str, str]:
    """Return a policy and its revision, or refuse the call."""

    async def body(tr: Transaction) -> tuple[str, BoundPolicy] | None:
        function = await state.find_function(tr, named.name)
        if function is None:
            return None
        qualified = await state.versions.find_qualified(tr, function, named.qualifier)
        policy = await state.policies.find_policy(tr, function, named.qualifier)
        return None if qualified is None or policy is None else (qualified.revision, policy)

    found = await call.store.read(body)
    if found is None:
        # AWS: in the same words whether function, version or policy is missing (recorded in
        # LocalStack's ``test_permission_exceptions``).
        raise ResourceNotFoundException("The resource you requested does not exist.")
    revision, policy = found
    document = with_ids(policy.document, await gone(call.facilities.placement, policy.bound))
    return document, revision


@operation(
    access=access.on_policy("PutResourcePolicy", "AddPermission", "RemovePermission"),
    domain=names.policy_domain,
)
async def put_resource_policy(
    call: Call, request: shapes.PutResourcePolicyRequest
) -> shapes.PutResourcePolicyResponse:
    """Put a policy in the place of all that a function, a version or an alias says."""
    named = names.policy_name_of(call.scope, request)
    document = policies.whole_of(request["Policy"])
    policy = BoundPolicy(document, await state.policies.bound_names(call, document))
    revision = await _replace(call, named, request, policy)
    return {"Policy": document, "RevisionId": revision}


@operation(access=access.on_policy("GetResourcePolicy", "GetPolicy"), domain=names.policy_domain)
async def get_resource_policy(
    call: Call, request: shapes.GetResourcePolicyRequest
) -> shapes.GetResourcePolicyResponse:
    """Return the policy of a function, a version or an alias."""
    named = names.policy_name_of(call.scope, request)
    document, revision = await _find_policy(call, named)
    return {"Policy": document, "RevisionId": revision}


@operation(
    access=access.on_policy("DeleteResourcePolicy", "RemovePermission"),
    domain=names.policy_domain,
)
async def delete_resource_policy(call: Call, request: shapes.DeleteResourcePolicyRequest) -> Wire:
    """Remove the policy of a function, a version or an alias."""
    await _replace(call, names.policy_name_of(call.scope, request), request, None)
    return {}


async def _replace(
    call: Call, named: FunctionName, request: Request, policy: BoundPolicy | None
) -> str:
    """Write another policy, or remove it; return the revision from then on."""
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        function = await state.require_function(tr, named._replace(qualifier=""))
        qualified = await state.versions.require_qualified(tr, function, named)
        configuration.check_policy_revision(qualified, request)
        if (
            policy is None
            and await state.policies.find_policy(tr, function, named.qualifier) is None
        ):
            raise policies.no_policy()
        after = msgspec.structs.replace(qualified, revision=revision)
        state.versions.put_qualified(tr, function, after)
        state.policies.put_policy(tr, function, named.qualifier, policy)

    await call.store.transact(body)
    return revision
