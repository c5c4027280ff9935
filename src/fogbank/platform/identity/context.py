"""The condition keys that say who calls.

Rule: each key is a function of the caller, so that what nobody asks for is never put together.
Source: IAM User Guide, "AWS global condition context keys", "Properties of the principal" and
"Properties of a role session".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from fogbank.platform.iam.request import ContextValue
from fogbank.platform.identity.principal import Principal, PrincipalKind

KeyOf = Callable[[Principal], ContextValue]
"""The value of a key; empty: the caller does not have it."""

_TYPES: Final = {
    PrincipalKind.ROOT: "Account",
    PrincipalKind.USER: "User",
    PrincipalKind.SESSION: "AssumedRole",
    PrincipalKind.ANONYMOUS: "Anonymous",
}
_OF_SERVICES: Final[Mapping[str, KeyOf]] = {
    "aws:PrincipalIsAWSService": lambda _: "true",
    "aws:PrincipalServiceName": lambda principal: principal.arn,
    "aws:PrincipalServiceNamesList": lambda principal: (principal.arn,),
    "aws:SourceArn": lambda principal: principal.source_arn,
    "aws:SourceAccount": lambda principal: principal.source_account,
}
"""The keys of a service that calls for itself."""
_OF_ANONYMOUS: Final[Mapping[str, KeyOf]] = {
    "aws:PrincipalType": lambda principal: _TYPES[principal.kind],
    # AWS: these two say so; the other keys are in signed requests only.
    "aws:PrincipalAccount": lambda _: "anonymous",
    "aws:userid": lambda _: "anonymous",
}
_TAG: Final = "aws:principaltag/"


def _name_of(principal: Principal) -> str:
    return principal.name if principal.kind is PrincipalKind.USER else ""


def _issued_at(principal: Principal) -> str:
    if not principal.is_temporary:
        return ""
    issued = datetime.fromtimestamp(principal.issued_ms // 1000, UTC)
    return issued.strftime("%Y-%m-%dT%H:%M:%SZ")


def _has_second_factor(principal: Principal) -> str:
    # AWS: the key is in requests with temporary credentials only.
    if not principal.is_temporary:
        return ""
    return "true" if principal.mfa_ms else "false"


_OF_SIGNERS: Final[Mapping[str, KeyOf]] = {
    "aws:PrincipalType": lambda principal: _TYPES[principal.kind],
    "aws:PrincipalIsAWSService": lambda _: "false",
    "aws:PrincipalAccount": lambda principal: principal.account,
    # AWS: the key holds the role's ARN for a session, not the session's.
    "aws:PrincipalArn": lambda principal: principal.role_arn or principal.arn,
    "aws:userid": lambda principal: principal.user_id,
    "aws:username": _name_of,
    "aws:TokenIssueTime": _issued_at,
    "aws:MultiFactorAuthPresent": _has_second_factor,
    "aws:FederatedProvider": lambda principal: principal.provider,
    # AWS: it is in every request that a function's environment signs (Lambda Developer Guide,
    # "Using source function ARN to control function access behavior").
    "lambda:SourceFunctionArn": lambda principal: principal.source_function_arn,
    "aws:SourceIdentity": lambda principal: principal.source_identity,
}
_KEYS: Final[Mapping[PrincipalKind, Mapping[str, KeyOf]]] = {
    PrincipalKind.SERVICE: _OF_SERVICES,
    PrincipalKind.ANONYMOUS: _OF_ANONYMOUS,
    PrincipalKind.ROOT: _OF_SIGNERS,
    PrincipalKind.USER: _OF_SIGNERS,
    PrincipalKind.SESSION: _OF_SIGNERS,
}
_LOWERED: Final = {
    kind: {name.lower(): of for name, of in keys.items()} for kind, keys in _KEYS.items()
}


def find_key(principal: Principal, key: str) -> ContextValue | None:
    """Return the value of a condition key (in lower case) that says who calls, or None."""
    of = _LOWERED[principal.kind].get(key)
    if of is not None:
        return of(principal) or None
    if key.startswith(_TAG):
        wanted = key.removeprefix(_TAG)
        for name, value in principal.tags:
            if name.lower() == wanted:
                return value
    return None


def context_of(principal: Principal) -> dict[str, ContextValue]:
    """Return the condition keys of a caller; a key without a value is absent."""
    found = {name: of(principal) for name, of in _KEYS[principal.kind].items()}
    context = {name: value for name, value in found.items() if value}
    for name, value in principal.tags:
        context[f"aws:PrincipalTag/{name}"] = value
    return context
