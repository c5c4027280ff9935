"""Key policies: the default one, those of AWS managed keys, and the check against lock-outs.

In KMS the key policy is the root of trust: policies of identities count only for whom it lets in.
Source: AWS KMS Developer Guide, "Default key policy" and "AWS managed keys"; API Reference,
PutKeyPolicy, ``BypassPolicyLockoutSafetyCheck``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fogbank.base.arn import global_arn
from fogbank.contract.action import Scope
from fogbank.platform.iam.evaluate import PolicySet, evaluate
from fogbank.platform.iam.policy import Policy
from fogbank.platform.iam.request import AccessRequest, Caller, ContextValue
from fogbank.services.kms.errors import (
    LimitExceededException,
    MalformedPolicyDocumentException,
    NotFoundException,
)

NAME: Final = "default"
"""The one policy that a key has."""
UNKNOWN_PRINCIPAL: Final = "Policy contains a statement with one or more invalid principals."
_LOCKED_OUT: Final = "The new key policy will not allow you to update the key policy in the future."
_USES: Final = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*")
_OF_SERVICES: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "s3": ("auto-s3-2", "S3", (*_USES, "kms:DescribeKey")),
    "dynamodb": (
        "auto-dynamodb-1",
        "Amazon DynamoDB",
        (*_USES, "kms:CreateGrant", "kms:DescribeKey"),
    ),
    "lambda": ("auto-awslambda", "AWS Lambda", (*_USES, "kms:CreateGrant", "kms:DescribeKey")),
}
"""Id of the policy, name of the service and its actions, by the service's word."""
SERVICES: Final = frozenset(_OF_SERVICES)
"""The services that have a key of their own in every account: ``alias/aws/s3`` and so on."""


def text_of(document: Mapping[str, Any]) -> str:
    """Return a policy as KMS writes it."""
    return json.dumps(document, indent=2, separators=(",", " : "))


def _root(scope: Scope) -> dict[str, str]:
    """Return the principal that stands for an account."""
    return {"AWS": global_arn(scope.partition, "iam", scope.account, "root")}


def default_policy(scope: Scope) -> str:
    """Return the policy of a key that was given none: the account's own policies decide."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": _root(scope),
        "Action": "kms:*",
        "Resource": "*",
    }
    return text_of({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]})


def managed_policy(scope: Scope, service: str) -> str:
    """Return the policy of a service's own key: used through the service, changed by nobody."""
    policy_id, title, actions = _OF_SERVICES[service]
    through = {
        "Sid": f"Allow access through {title} for all principals in the account that are "
        f"authorized to use {title}",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": list(actions),
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": scope.account,
                "kms:ViaService": f"{service}.{scope.region}.amazonaws.com",
            }
        },
    }
    seen = {
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": _root(scope),
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
        "Resource": "*",
    }
    return text_of({"Version": "2012-10-17", "Id": policy_id, "Statement": [through, seen]})


def check_name(name: str | None) -> None:
    """Refuse the name of a policy that no key has."""
    if name not in (None, NAME):
        raise NotFoundException("No such policy exists")


def check_size(document: str, limit: int) -> None:
    """Refuse a policy that is too long."""
    if len(document.encode()) > limit:
        raise LimitExceededException(f"The key policy exceeds the limit of {limit} bytes.")


def check_lockout(
    caller: Caller,
    policies: PolicySet,
    policy: Policy,
    arn: str,
    context: Mapping[str, ContextValue],
) -> None:
    """Refuse a policy under which whoever puts it could not put another."""
    request = AccessRequest(caller, "kms:PutKeyPolicy", arn, context)
    if not evaluate(request, policies.with_resource(policy, required=True)).allowed:
        raise MalformedPolicyDocumentException(_LOCKED_OUT)
