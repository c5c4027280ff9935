"""Policies and tags: what a function, a version or an alias says of who may reach it."""

from __future__ import annotations

from collections.abc import Mapping

from fogbank.contract.action import Access, ContextValue
from fogbank.contract.call import Call
from fogbank.contract.facet import Standing
from fogbank.platform.iam.bound import Bound, BoundPolicy
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.request import Caller
from fogbank.platform.identity.bound import UnknownPrincipal, bind
from fogbank.platform.store.engine import Transaction
from fogbank.platform.tags import borne
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.errors import InvalidParameterValueException
from fogbank.services.lambda_.rules import policies
from fogbank.services.lambda_.rules.access import StatementKeys
from fogbank.services.lambda_.rules.layers import find_named, policy_of
from fogbank.services.lambda_.schema import (
    FUNCTIONS,
    LAYER_POLICIES,
    MAPPINGS,
    POLICIES,
    QUALIFIED,
    FunctionRecord,
    PolicyRecord,
)


async def bound_of(call: Call, statement: policies.Statement) -> Bound:
    """Check a statement; return whom it names, with the unique id.

    Raises:
        InvalidParameterValueException: It is malformed, or there is nobody of that name.
    """
    return await bound_names(call, policies.document_of(statement), statement["Sid"])


async def bound_names(call: Call, document: str, sid: str = "") -> Bound:
    """Check a policy document; return whom it names, with the unique id.

    Args:
        call: The call.
        document: JSON.
        sid: The only statement whose names they are to be; empty: all of them.

    Raises:
        InvalidParameterValueException: It is malformed, or there is nobody of that name.
    """
    try:
        policy = call.identity.policies.compiled(document, "resource")
        return await bind(call.facilities.placement, policy, sid)
    except MalformedPolicy as error:
        raise InvalidParameterValueException(str(error)) from error
    except UnknownPrincipal:
        raise InvalidParameterValueException(policies.INVALID_PRINCIPAL) from None


async def find_tags(tr: Transaction, arn: str) -> Mapping[str, ContextValue]:
    """Return the condition keys of the tags of a function's or a mapping's ARN; none if it is gone."""
    named = arns.find_mapping(arn)
    if named is not None:
        mapping = await MAPPINGS.find(tr, named[2])
        return {} if mapping is None else borne(mapping.tags)
    found = arns.find_function(arn)
    function = None if found is None else await FUNCTIONS.find(tr, found[2])
    return {} if function is None else borne(function.tags)


async def find_stored_keys(tr: Transaction, access: Access) -> Mapping[str, ContextValue]:
    """Return the condition keys of the statement or mapping that a request is about."""
    mapping = arns.find_mapping(access.resource)
    if mapping is not None:
        record = await MAPPINGS.find(tr, mapping[2])
        if record is None:
            return {}
        named = arns.function_arn(mapping[1], mapping[0], record.function)
        return {"lambda:FunctionArn": named}
    if not isinstance(access.context, StatementKeys):
        return {}
    found = await _find_policy_at(tr, access.resource)
    for statement in policies.statements_of(None if found is None else found.document):
        if statement.get("Sid") == access.context.sid:
            return {"lambda:Principal": policies.named_principals(statement)}
    return {}


async def find_standing(tr: Transaction, access: Access, _caller: Caller) -> Standing | None:
    """Return what a function, a version or alias of it, or a layer says of who may reach it."""
    layer = find_named(access.resource)
    if layer is not None and layer.number:
        return Standing(policy_of(await LAYER_POLICIES.find(tr, layer.name, layer.number)))
    if arns.find_function(access.resource) is None:
        return None
    return Standing(await _find_policy_at(tr, access.resource))


async def _find_policy_at(tr: Transaction, arn: str) -> BoundPolicy | None:
    """Return the policy of a function's ARN, or None."""
    found = arns.find_function(arn)
    function = None if found is None else await FUNCTIONS.find(tr, found[2])
    if found is None or function is None:
        return None
    return await find_said(tr, function, found[3])


async def find_said(
    tr: Transaction, function: FunctionRecord, qualifier: str
) -> BoundPolicy | None:
    """Return all that is said of who may reach a function, or a version or alias of it; or None."""
    own = await find_policy(tr, function, qualifier)
    if not qualifier:
        return own
    return policies.joined(own, await find_policy(tr, function, ""))


async def find_policy(
    tr: Transaction, function: FunctionRecord, qualifier: str
) -> BoundPolicy | None:
    """Return the policy of a function, or of a version or alias of it; or None."""
    if qualifier:
        policy = await QUALIFIED.find(tr, function.key, qualifier)
    else:
        policy = await POLICIES.find(tr, function.name)
    return None if policy is None else BoundPolicy(policy.document, policy.bound)


def put_policy(
    tr: Transaction, function: FunctionRecord, qualifier: str, policy: BoundPolicy | None
) -> None:
    """Write or remove the policy of a function, or of a version or alias of it."""
    key = (function.key, qualifier) if qualifier else (function.name,)
    table = QUALIFIED if qualifier else POLICIES
    if policy is None:
        table.delete(tr, *key)
    else:
        table.put(tr, PolicyRecord(*policy), *key)
