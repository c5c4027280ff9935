"""Bucket policies: what may be put, and which let the public in.

Source: Amazon S3 User Guide, "Policies and permissions in Amazon S3", "Blocking public access to your
Amazon S3 storage" (The meaning of "public"); API Reference, PutBucketPolicy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from fogbank.platform.iam import document as documents
from fogbank.platform.iam import public
from fogbank.platform.iam.document import RawPolicy
from fogbank.platform.iam.evaluate import PolicySet, evaluate
from fogbank.platform.iam.malformed import MalformedPolicy as Malformed
from fogbank.platform.iam.policy import Policy
from fogbank.platform.iam.request import AccessRequest, Caller, ContextValue
from fogbank.platform.iam.wildcards import pattern_matcher
from fogbank.services.s3.errors import InvalidRequest, MalformedPolicy

POLICY_BYTES_MAX: Final = 20 << 10
"""AWS: "Bucket policies are limited to 20 KB in size" (User Guide, "Bucket policies")."""
_NO_JSON: Final = "Policies must be valid JSON and the first byte must be '{'"
_ARN_PARTS: Final = 6

_FIXED_KEYS: Final = frozenset(
    {
        *("aws:principalorgid", "aws:principalarn", "aws:principalaccount"),
        *("aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner"),
        *("aws:sourceaccount", "aws:userid", "s3:dataaccesspointaccount"),
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
"""The keys by which a statement may name whom it trusts."""
_FIXED_BY_ACCOUNT: Final = frozenset({"s3:dataaccesspointarn"})


def raw_of(document: str, bucket: str) -> RawPolicy:
    """Return the statements of a document that may be the policy of a bucket; see ``checked``."""
    return checked(document, lambda resource: _is_of(resource, bucket))


def checked(document: str, is_of: Callable[[str], bool]) -> RawPolicy:
    """Return the statements of a document that may be the policy of a resource.

    Args:
        document: JSON, as it was sent.
        is_of: Whether what a statement names is, or may be, the resource or something in it.

    Raises:
        InvalidRequest: It is too long.
        MalformedPolicy: It is no policy, or not of this resource.
    """
    if len(document.encode()) > POLICY_BYTES_MAX:
        raise InvalidRequest(
            f"Policy exceeds the maximum allowed document size of {POLICY_BYTES_MAX} bytes."
        )
    if not _is_object(document):
        raise MalformedPolicy(_NO_JSON)
    try:
        raw = documents.parse(document)
        documents.check(raw, "resource")
    except Malformed as error:
        raise MalformedPolicy(error.message) from None
    for statement in raw.statements:
        if statement.principal_negated and statement.effect == "Allow":
            raise MalformedPolicy("Allow with NotPrincipal is not allowed.")
        if not all(is_of(resource) for resource in statement.resources):
            raise MalformedPolicy("Policy has invalid resource")
        if not all(_is_action(action) for action in statement.actions):
            raise MalformedPolicy("Policy has invalid action")
    return raw


def _is_object(document: str) -> bool:
    """Return whether a text is a JSON object from its first byte on."""
    if not document.startswith("{"):
        return False
    try:
        json.loads(document)
    except (ValueError, RecursionError):
        return False
    return True


def _is_action(action: str) -> bool:
    """Return whether an action can be one of S3."""
    return action == "*" or action.lower().startswith("s3:")


def _is_of(resource: str, bucket: str) -> bool:
    """Return whether a resource is, or may be, this bucket or something in it."""
    if resource == "*":
        return True
    parts = resource.split(":", _ARN_PARTS - 1)
    service, region, account, path = parts[2:]
    if (service, region, account) != ("s3", "", ""):
        return False
    return pattern_matcher(path.partition("/")[0])(bucket)


def is_public(raw: RawPolicy) -> bool:
    """Return whether a policy lets the public in: it does unless each grant is to somebody fixed."""
    return public.is_public(raw, _FIXED_KEYS, by_account=_FIXED_BY_ACCOUNT, by_address=True)


def locks_out(
    caller: Caller,
    hanging: PolicySet,
    policy: Policy,
    arn: str,
    context: Mapping[str, ContextValue],
) -> bool:
    """Return whether whoever puts a policy could not put another; root always can."""
    if caller.kind == "root":
        return False
    request = AccessRequest(caller, "s3:PutBucketPolicy", arn, context, caller.account)
    return not evaluate(request, hanging.with_resource(policy)).allowed
