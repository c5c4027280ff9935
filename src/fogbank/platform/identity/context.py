"""The condition keys that say who calls.

Source: IAM User Guide, "AWS global condition context keys", "Properties of the principal" and
"Properties of a role session".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from fogbank.platform.iam.request import ContextValue
from fogbank.platform.identity.principal import Principal, PrincipalKind

_TYPES: Final = {
    PrincipalKind.ROOT: "Account",
    PrincipalKind.USER: "User",
    PrincipalKind.SESSION: "AssumedRole",
    PrincipalKind.ANONYMOUS: "Anonymous",
}


def _service_context(principal: Principal) -> dict[str, ContextValue]:
    """Return the condition keys of a service that calls for itself."""
    keys: dict[str, ContextValue] = {
        "aws:PrincipalIsAWSService": "true",
        "aws:PrincipalServiceName": principal.arn,
        "aws:PrincipalServiceNamesList": (principal.arn,),
        "aws:SourceArn": principal.source_arn,
        "aws:SourceAccount": principal.source_account,
    }
    return {key: value for key, value in keys.items() if value}


def context_of(principal: Principal) -> dict[str, ContextValue]:
    """Return the condition keys of a caller; a key without a value is absent."""
    if principal.kind is PrincipalKind.SERVICE:
        return _service_context(principal)
    keys: dict[str, ContextValue] = {"aws:PrincipalType": _TYPES[principal.kind]}
    if principal.kind is PrincipalKind.ANONYMOUS:
        # AWS: these two say so; the other keys are in signed requests only.
        return {**keys, "aws:PrincipalAccount": "anonymous", "aws:userid": "anonymous"}
    keys["aws:PrincipalIsAWSService"] = "false"
    keys["aws:PrincipalAccount"] = principal.account
    # AWS: the key holds the role's ARN for a session, not the session's.
    keys["aws:PrincipalArn"] = principal.role_arn or principal.arn
    keys["aws:userid"] = principal.user_id
    if principal.kind is PrincipalKind.USER:
        keys["aws:username"] = principal.name
    if principal.is_temporary:
        issued = datetime.fromtimestamp(principal.issued_ms // 1000, UTC)
        keys["aws:TokenIssueTime"] = issued.strftime("%Y-%m-%dT%H:%M:%SZ")
        # AWS: the key is in requests with temporary credentials only; there is no MFA here.
        keys["aws:MultiFactorAuthPresent"] = "false"
    if principal.provider:
        keys["aws:FederatedProvider"] = principal.provider
    if principal.source_function_arn:
        # AWS: it is in every request that a function's environment signs (Lambda Developer Guide,
        # "Using source function ARN to control function access behavior").
        keys["lambda:SourceFunctionArn"] = principal.source_function_arn
    if principal.source_identity:
        keys["aws:SourceIdentity"] = principal.source_identity
    for name, value in principal.tags:
        keys[f"aws:PrincipalTag/{name}"] = value
    return keys
