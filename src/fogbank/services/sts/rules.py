"""Pure decisions of STS: durations, tags, session policies and what a trust policy sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from fogbank.base.arn import find_arn
from fogbank.base.errors import AccessDenied, NotBuilt
from fogbank.base.types import Request
from fogbank.contract.action import Access, ContextValue, Scope
from fogbank.platform.iam.malformed import MalformedPolicy, NotEvaluated
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.identity.records import Pairs, RoleRecord
from fogbank.services.sts.errors import (
    InvalidParameterValue,
    MalformedPolicyDocument,
    PackedPolicyTooLarge,
    ValidationError,
)
from fogbank.services.sts.quotas import (
    CHAINED_SESSION_S_MAX,
    PACKED_BYTES_MAX,
    ROOT_TOKEN_SESSION_S_MAX,
    SESSION_POLICY_CHARACTERS_MAX,
    SESSION_S_DEFAULT,
    TOKEN_SESSION_S_DEFAULT,
)

_LAMBDA: Final = "lambda.amazonaws.com"
_TAGS_CLASH: Final = "Duplicate tag keys found. Please note that Tag keys are case insensitive."


class RoleName(NamedTuple):
    """What a role's ARN says."""

    partition: str
    account: str
    path: str
    name: str


def no_access(scope: Scope, request: Request) -> list[Access]:
    """Declare no access: the operation needs none, or decides with the role's trust policy."""
    del scope, request
    return []


def role_name_of(arn: str) -> RoleName:
    """Return account, path and name of a role's ARN.

    Raises:
        ValidationError: It is the ARN of something else.
    """
    parsed = find_arn(arn)
    if parsed is None or parsed.service != "iam" or not parsed.resource.startswith("role/"):
        raise ValidationError(f"{arn} is invalid")
    path, _, name = parsed.resource.removeprefix("role").rpartition("/")
    return RoleName(parsed.partition, parsed.account, f"{path}/", name)


def session_policies_of(request: Request, partition: str) -> tuple[str, ...]:
    """Return the session policies of a request: the document, and ARNs of managed ones.

    Raises:
        MalformedPolicyDocument: The document is no policy.
        NotBuilt: It uses what is not evaluated.
        PackedPolicyTooLarge: They are too long together.
    """
    given = [one["arn"] for one in request.get("PolicyArns", [])]
    document = request.get("Policy", "")
    if len(document) + sum(len(one) for one in given) > SESSION_POLICY_CHARACTERS_MAX:
        raise PackedPolicyTooLarge(
            "Packed policy consumes more than 100% of allotted space, please use smaller policy."
        )
    if "Policy" not in request:
        return tuple(given)
    try:
        compile_policy(document, kind="session", partition=partition)
    except NotEvaluated as refused:
        raise NotBuilt(refused.message) from None
    except MalformedPolicy as refused:
        raise MalformedPolicyDocument(refused.message) from None
    return (*given, document)


def packed_percent(policies: Iterable[str], tags: Pairs) -> int:
    """Return the share of the allotted space that policies and tags take."""
    size = sum(len(one.encode()) for one in policies)
    size += sum(len(key.encode()) + len(value.encode()) for key, value in tags)
    return -(-size * 100 // PACKED_BYTES_MAX)


class SessionTags(NamedTuple):
    """The tags of a session to be: those given, and those that came with the caller's."""

    tags: Pairs
    transitive: tuple[str, ...]


def tags_of(request: Request, principal: Principal) -> SessionTags:
    """Return the tags of the session that a request asks for.

    Raises:
        InvalidParameterValue: A key stands twice, or one that is inherited is set again.
    """
    inherited_keys = {key.lower() for key in principal.transitive_tags}
    inherited = tuple(pair for pair in principal.tags if pair[0].lower() in inherited_keys)
    given = tuple((tag["Key"], tag["Value"]) for tag in request.get("Tags", []))
    keys = [key.lower() for key, _ in given]
    if len(keys) != len(set(keys)):
        raise InvalidParameterValue(_TAGS_CLASH)
    if inherited_keys.intersection(keys):
        raise InvalidParameterValue(
            "One of the specified transitive tag keys can't be set because it conflicts with a "
            "transitive tag key from the calling session."
        )
    transitive = tuple(request.get("TransitiveTagKeys", ()))
    if not {key.lower() for key in transitive}.issubset(keys):
        raise InvalidParameterValue(
            "The specified transitive tag key must be included in the requested tags."
        )
    return SessionTags((*inherited, *given), (*principal.transitive_tags, *transitive))


def second_factor_of(request: Request) -> tuple[str, str] | None:
    """Return the serial number of an MFA device and its code, if a request has them.

    Raises:
        AccessDenied: It has one of the two.
    """
    serial, code = request.get("SerialNumber"), request.get("TokenCode")
    if serial is None and code is None:
        return None
    if serial is None or code is None:
        raise AccessDenied(
            "MultiFactorAuthentication failed, must provide both MFA serial number and one time "
            "pass code."
        )
    return serial, code


def function_of(principal: Principal) -> str:
    """Return the function that Lambda assumes a role for, or '' for every other caller."""
    by_lambda = principal.kind is PrincipalKind.SERVICE and principal.arn == _LAMBDA
    return principal.source_arn if by_lambda else ""


def source_identity_of(request: Request, principal: Principal) -> str:
    """Return the source identity of the session that a request asks for.

    Raises:
        InvalidParameterValue: Another was set earlier in the chain.
    """
    given = str(request.get("SourceIdentity", ""))
    if principal.source_identity and given not in ("", principal.source_identity):
        raise InvalidParameterValue("The source identity cannot be changed during role chaining.")
    return principal.source_identity or given


def duration_s_of(request: Request, role: RoleRecord, principal: Principal) -> int:
    """Return how long a session of a role lasts.

    Raises:
        ValidationError: Longer than the role or a chain of roles allows.
    """
    duration_s = int(request.get("DurationSeconds", SESSION_S_DEFAULT))
    if principal.kind is PrincipalKind.SESSION and duration_s > CHAINED_SESSION_S_MAX:
        raise ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed "
            "by role chaining."
        )
    if duration_s > role.session_s_max:
        raise ValidationError(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return duration_s


def token_duration_s_of(request: Request, principal: Principal) -> int:
    """Return how long a session of GetSessionToken lasts; the root user's is cut to an hour."""
    duration_s = int(request.get("DurationSeconds", TOKEN_SESSION_S_DEFAULT))
    if principal.kind is PrincipalKind.ROOT:
        return min(duration_s, ROOT_TOKEN_SESSION_S_MAX)
    return duration_s


def actions_of(request: Request, tags: SessionTags, source_identity: str) -> list[str]:
    """Return the actions that a trust policy must allow for a request."""
    actions = ["sts:AssumeRole"]
    if tags.tags or request.get("TransitiveTagKeys"):
        actions.append("sts:TagSession")
    if source_identity:
        actions.append("sts:SetSourceIdentity")
    return actions


def context_of(
    request: Request, role: RoleRecord, source_identity: str
) -> Mapping[str, ContextValue]:
    """Return the condition keys of assuming a role, beside the global ones."""
    tags = request.get("Tags", [])
    keys: dict[str, ContextValue] = {"sts:RoleSessionName": request["RoleSessionName"]}
    if "SerialNumber" in request:
        # It was proved a moment ago.
        keys |= {"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "0"}
    if "ExternalId" in request:
        keys["sts:ExternalId"] = request["ExternalId"]
    if source_identity:
        keys["sts:SourceIdentity"] = source_identity
    if tags:
        keys["aws:TagKeys"] = tuple(tag["Key"] for tag in tags)
    if request.get("TransitiveTagKeys"):
        keys["sts:TransitiveTagKeys"] = tuple(request["TransitiveTagKeys"])
    keys |= {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    for key, value in role.tags:
        keys |= {f"aws:ResourceTag/{key}": value, f"iam:ResourceTag/{key}": value}
    return keys
