"""Operations on function policies: who else may invoke a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
)
from fogbank.services.lambda_.rules import access, configuration, names, policies
from fogbank.services.lambda_.rules.names import FunctionName

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


@operation(access=access.add_permission, domain=names.function_domain, unhonoured=_UNHONOURED)
async def add_permission(
    call: Call, request: shapes.AddPermissionRequest
) -> shapes.AddPermissionResponse:
    """Let someone else invoke a function."""
    named = _unversioned(call, request)
    statement = policies.statement_of(request, named.arn)
    try:
        call.identity.compiled(policies.with_statement(None, statement), "resource")
    except MalformedPolicy as error:
        raise InvalidParameterValueException(str(error)) from error
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        function = await state.require_function(tr, named)
        configuration.check_revision(function, request)
        document = policies.with_statement(await state.find_document(tr, named.name), statement)
        state.put_document(tr, msgspec.structs.replace(function, revision=revision), document)

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
        document = policies.without_statement(
            await state.find_document(tr, named.name), request["StatementId"]
        )
        state.put_document(tr, msgspec.structs.replace(function, revision=revision), document)

    await call.store.transact(body)
    return {}


@operation(access=access.on_function("GetPolicy"), domain=names.function_domain)
async def get_policy(call: Call, request: shapes.GetPolicyRequest) -> shapes.GetPolicyResponse:
    """Return a function's policy."""
    named = names.function_name_of(call.scope, request)

    async def body(tr: Transaction) -> tuple[str, str | None]:
        function = await state.require_function(tr, named)
        return function.revision, await state.find_document(tr, named.name)

    revision, document = await call.store.read(body)
    if document is None or named.qualifier:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return {"Policy": document, "RevisionId": revision}
