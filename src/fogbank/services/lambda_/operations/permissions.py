"""Operations on function policies: who else may invoke a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.bound import Bound, BoundPolicy, with_ids
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.identity.bound import UnknownPrincipal, bind, gone
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
)
from fogbank.services.lambda_.rules import access, configuration, names, policies
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.rules.policies import Statement

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_UNHONOURED = {
    "FunctionUrlAuthType": None,
    "InvokedViaFunctionUrl": None,
    "EventSourceToken": None,
    "PrincipalOrgID": None,
}


def _unversioned(call: Call, request: Request) -> FunctionName:
    """Return the function whose policy is meant; versions have none of their own yet."""
    named = names.function_name_of(call.scope, request)
    if named.qualifier == LATEST:
        raise InvalidParameterValueException(
            "We currently do not support adding policies for $LATEST."
        )
    return named


async def _bound(call: Call, statement: Statement) -> Bound:
    """Check a statement; return whom it names, with the unique id."""
    try:
        policy = call.identity.policies.compiled(policies.document_of(statement), "resource")
        return await bind(call.facilities.placement, policy, statement["Sid"])
    except MalformedPolicy as error:
        raise InvalidParameterValueException(str(error)) from error
    except UnknownPrincipal:
        raise InvalidParameterValueException(policies.INVALID_PRINCIPAL) from None


@operation(access=access.add_permission, domain=names.function_domain, unhonoured=_UNHONOURED)
async def add_permission(
    call: Call, request: shapes.AddPermissionRequest
) -> shapes.AddPermissionResponse:
    """Let someone else invoke a function."""
    named = _unversioned(call, request)
    statement = policies.statement_of(request, named.arn)
    bound = await _bound(call, statement)
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        function = await state.require_function(tr, named)
        configuration.check_revision(function, request)
        before = await state.find_policy_of(tr, named.name)
        policy = policies.with_statement(before, statement, bound)
        state.put_policy(tr, msgspec.structs.replace(function, revision=revision), policy)

    await call.store.transact(body)
    return {"Statement": policies.text_of(statement)}


@operation(access=access.remove_permission, domain=names.function_domain)
async def remove_permission(call: Call, request: shapes.RemovePermissionRequest) -> Wire:
    """Remove a statement from a function's policy."""
    named = _unversioned(call, request)
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        function = await state.find_function(tr, named.name)
        if function is None:
            raise ResourceNotFoundException(f"No policy found for: {named.arn}")
        configuration.check_revision(function, request)
        before = await state.find_policy_of(tr, named.name)
        policy = policies.without_statement(before, request["StatementId"])
        state.put_policy(tr, msgspec.structs.replace(function, revision=revision), policy)

    await call.store.transact(body)
    return {}


@operation(access=access.on_function("GetPolicy"), domain=names.function_domain)
async def get_policy(call: Call, request: shapes.GetPolicyRequest) -> shapes.GetPolicyResponse:
    """Return a function's policy; whom it names and who is gone goes by the unique id."""
    named = names.function_name_of(call.scope, request)

    async def body(tr: Transaction) -> tuple[str, BoundPolicy | None]:
        function = await state.require_function(tr, named)
        return function.revision, await state.find_policy_of(tr, named.name)

    revision, policy = await call.store.read(body)
    if policy is None or named.qualifier:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    document = with_ids(policy.document, await gone(call.facilities.placement, policy.bound))
    return {"Policy": document, "RevisionId": revision}
