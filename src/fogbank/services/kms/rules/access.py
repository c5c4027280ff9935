"""What a request needs to be allowed, and the condition keys of KMS.

Which key is meant, and whether its policy lets the caller in, takes the store: operations on keys
declare nothing here and require their access in the operation, on the key that they have found.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Key
Management Service"; AWS KMS Developer Guide, "AWS KMS condition keys".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.platform import tags
from fogbank.services.kms.arns import alias_arn
from fogbank.services.kms.rules.names import KeyName
from fogbank.services.kms.rules.specs import SPECS, SYMMETRIC
from fogbank.services.kms.schema import KeyRecord

Keys = dict[str, ContextValue]


def in_operation(scope: Scope, request: Request) -> list[Access]:
    """Declare no access: the operation requires it on the key that it has found."""
    del scope, request
    return []


def of_account(action: str) -> AccessOf:
    """Return the access of an operation that is about no key."""

    def access(scope: Scope, request: Request) -> list[Access]:
        del scope, request
        return [Access(f"kms:{action}", "*")]

    return access


def on_alias(action: str) -> AccessOf:
    """Return the access of an operation on an alias."""

    def access(scope: Scope, request: Request) -> list[Access]:
        arn = alias_arn(scope.region, scope.account, request["AliasName"])
        return [Access(f"kms:{action}", arn, {"kms:CallerAccount": scope.account})]

    return access


def create_key(scope: Scope, request: Request) -> list[Access]:
    """Return what CreateKey needs; its tags need an access of their own."""
    spec = request.get("KeySpec") or request.get("CustomerMasterKeySpec") or SYMMETRIC
    default = SPECS[spec].usage if spec in SPECS else ""
    keys = kind_keys(spec, request.get("KeyUsage") or default)
    keys["kms:CallerAccount"] = scope.account
    keys |= bypass_keys(request) | tag_keys(request)
    accesses = [Access("kms:CreateKey", "*", keys)]
    if request.get("Tags"):
        accesses.append(Access("kms:TagResource", "*", keys))
    return accesses


def kind_keys(spec: str, usage: str) -> Keys:
    """Return the condition keys of a kind of key."""
    return {
        "kms:CustomerMasterKeySpec": spec,
        "kms:CustomerMasterKeyUsage": usage,
        "kms:KeyOrigin": "AWS_KMS",
        "kms:KeySpec": spec,
        "kms:KeyUsage": usage,
        "kms:MultiRegion": "false",
    }


def key_keys(scope: Scope, via: str, name: KeyName, key: KeyRecord | None) -> Keys:
    """Return the condition keys of every request on a key.

    Args:
        scope: The caller's account and region.
        via: The service that asks for the caller, such as ``s3``; empty: none does.
        name: What the request calls the key.
        key: The key, if there is one.
    """
    keys: Keys = {} if key is None else kind_keys(key.spec, key.usage)
    keys["kms:CallerAccount"] = scope.account
    if via:
        keys["kms:ViaService"] = f"{via}.{scope.region}.amazonaws.com"
    if name.alias:
        keys["kms:RequestAlias"] = name.alias
    return keys


def context_keys(context: Mapping[str, str]) -> Keys:
    """Return the condition keys of an encryption context."""
    keys: Keys = {f"kms:EncryptionContext:{key}": value for key, value in context.items()}
    if context:
        keys["kms:EncryptionContextKeys"] = tuple(context)
    return keys


def cipher_keys(context: Mapping[str, str], algorithm: str = SYMMETRIC) -> Keys:
    """Return the condition keys of encrypting and decrypting."""
    keys = context_keys(context)
    keys["kms:EncryptionAlgorithm"] = algorithm
    return keys


def mac_keys(request: Request) -> Keys:
    """Return the condition keys of making and verifying MACs."""
    return {"kms:MacAlgorithm": request["MacAlgorithm"]}


def bypass_keys(request: Request) -> Keys:
    """Return the condition keys of putting a key policy."""
    bypassed = request.get("BypassPolicyLockoutSafetyCheck", False)
    return {"kms:BypassPolicyLockoutSafetyCheck": "true" if bypassed else "false"}


def window_keys(days: int) -> Keys:
    """Return the condition keys of scheduling a deletion."""
    return {"kms:ScheduleKeyDeletionPendingWindowInDays": str(days)}


def rotation_keys(days: int) -> Keys:
    """Return the condition keys of setting a rotation."""
    return {"kms:RotationPeriodInDays": str(days)}


def reencryption_keys(*, same: bool) -> Keys:
    """Return the condition keys of both halves of ReEncrypt."""
    return {"kms:ReEncryptOnSameKey": "true" if same else "false"}


def tag_keys(request: Request) -> Keys:
    """Return the condition keys of the tags that a request gives."""
    given: list[dict[str, str]] = request.get("Tags") or []
    return tags.requested({tag["TagKey"]: tag["TagValue"] for tag in given})


def for_aws_keys(via: str) -> Keys:
    """Return the condition key that says whether a grant is made or ended for a service."""
    return {"kms:GrantIsForAWSResource": "true" if via else "false"}


def grant_keys(request: Request, via: str) -> Keys:
    """Return the condition keys of CreateGrant.

    A grant's constraint stands for the encryption context of the requests that it will allow.
    """
    keys: Keys = {"kms:GrantOperations": tuple(request["Operations"])}
    if grantee := request.get("GranteePrincipal"):
        keys["kms:GranteePrincipal"] = grantee
    if retiring := request.get("RetiringPrincipal"):
        keys["kms:RetiringPrincipal"] = retiring
    constraints: dict[str, Any] = request.get("Constraints") or {}
    for kind in ("EncryptionContextSubset", "EncryptionContextEquals"):
        if kind not in constraints:
            continue
        context: dict[str, str] = constraints[kind]
        keys["kms:GrantConstraintType"] = kind
        keys |= context_keys(context)
    return keys | for_aws_keys(via)


class GrantKeys(Keys):
    """The condition keys of a request that ends one grant."""

    __slots__ = ("grant_id",)

    def __init__(self, keys: Mapping[str, ContextValue], grant_id: str) -> None:
        super().__init__(keys)
        self.grant_id = grant_id
