"""Key policies that are about to be put: checked, compiled, bound to whom they name."""

from __future__ import annotations

from collections.abc import Mapping

from fogbank.contract.action import ContextValue
from fogbank.contract.call import Call
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.identity.bound import UnknownPrincipal, bind
from fogbank.services.kms import quotas
from fogbank.services.kms.errors import MalformedPolicyDocumentException
from fogbank.services.kms.rules import policies


async def policy_of(
    call: Call, arn: str, document: str, context: Mapping[str, ContextValue], *, bypass: bool
) -> BoundPolicy:
    """Return a key policy with whom its names mean.

    Args:
        call: The call that puts it.
        arn: The key's.
        document: JSON.
        context: The condition keys of putting it.
        bypass: Whether the caller may lock itself out.

    Raises:
        MalformedPolicyDocumentException: It is no policy, names nobody, or would lock out the
            caller.
        LimitExceededException: It is too long.
    """
    policies.check_size(document, call.limit(quotas.POLICY_BYTES))
    try:
        policy = call.identity.policies.compiled(document, "resource")
        bound = await bind(call.facilities.placement, policy)
    except MalformedPolicy as error:
        raise MalformedPolicyDocumentException(str(error)) from error
    except UnknownPrincipal:
        raise MalformedPolicyDocumentException(policies.UNKNOWN_PRINCIPAL) from None
    if not bypass:
        hanging = await call.identity.policies.of(call.principal)
        whole = {**call.access_context, **context}
        compiled = call.identity.policies.compiled(document, "resource", bound)
        policies.check_lockout(call.principal, hanging, compiled, arn, whole)
    return BoundPolicy(document, bound)
