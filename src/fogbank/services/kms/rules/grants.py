"""Grants: what each lets its grantee do, and how they join a key's policy.

A grant whose constraint a request meets is an allowing statement of the key's policy for one
principal: so explicit denies, boundaries and session policies count against it as against the rest.
Constraints are compared here, by the request's encryption context as it is, case and all. Whoever
makes a grant by leave of another may not give more than that one gives.

Source: AWS KMS Developer Guide, "Grants in AWS KMS" and "Creating grants"; API Reference,
CreateGrant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fogbank.base.arn import find_arn, global_arn
from fogbank.base.types import Request
from fogbank.contract.action import Access, ContextValue
from fogbank.platform.iam.bound import BoundName, BoundPolicy
from fogbank.platform.iam.request import Caller
from fogbank.services.kms.errors import InvalidArnException, ValidationException
from fogbank.services.kms.rules.access import GrantKeys
from fogbank.services.kms.rules.specs import SPECS
from fogbank.services.kms.schema import GrantRecord, KeyRecord

CREATE: Final = "kms:CreateGrant"
RETIRE: Final = "kms:RetireGrant"
EQUALS: Final = "EncryptionContextEquals"
SUBSET: Final = "EncryptionContextSubset"
_ANY_KEY: Final = frozenset({"CreateGrant", "RetireGrant", "DescribeKey"})
_CONTEXT: Final = "kms:EncryptionContext:"
_CONSTRAINED: Final = frozenset(
    {
        *("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
        *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    }
)
_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*\.amazonaws\.com(\.cn)?")


def check(request: Request, key: KeyRecord) -> None:
    """Refuse a grant that the key could not honour."""
    allowed = SPECS[key.spec].operations | _ANY_KEY
    wrong = [operation for operation in request["Operations"] if operation not in allowed]
    if wrong:
        raise ValidationException(
            f"Grant operations {wrong} are not valid for a key with key spec {key.spec}."
        )
    if not request["Operations"]:
        raise ValidationException("Operations may not be empty.")
    if request.get("Constraints") and not SPECS[key.spec].operations & {"Encrypt"}:
        raise ValidationException(f"Grant constraints are not valid for key spec {key.spec}.")


def principal_of(text: str) -> dict[str, str]:
    """Return the Principal element for what a grant names.

    Raises:
        InvalidArnException: It names nobody who could hold a grant.
    """
    if _SERVICE.fullmatch(text):
        return {"Service": text}
    arn = find_arn(text)
    if arn is None or arn.service not in ("iam", "sts"):
        raise InvalidArnException(f"ARN is not valid: {text}")
    return {"AWS": text}


def names_of(caller: Caller, partition: str) -> tuple[str, ...]:
    """Return by which names grants may speak of a caller."""
    root = global_arn(partition, "iam", caller.account, "root") if caller.account else ""
    names = dict.fromkeys((caller.arn, caller.role_arn, root))
    return tuple(name for name in names if name)


def is_same(grant: GrantRecord, asked: GrantRecord) -> bool:
    """Return whether a grant is all that is asked for, under the same name."""
    return _terms(grant) == _terms(asked)


def _terms(grant: GrantRecord) -> tuple[object, ...]:
    """Return what a grant was asked for with."""
    return (
        *(grant.name, grant.key_id, grant.grantee, grant.retiring, grant.issuer),
        *(frozenset(grant.operations), grant.equals, grant.subset, grant.bound),
    )


def document_of(*principals: str) -> str:
    """Return a policy that names principals and allows nothing of importance: to bind them."""
    statements = [
        _statement(f"Grant{at}", principal, "kms:DescribeKey")
        for at, principal in enumerate(principals)
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def joined(
    document: str, bound: Sequence[BoundName], grants: Iterable[GrantRecord], access: Access
) -> BoundPolicy | None:
    """Return a key's policy with the grants that allow an access, or None if none does."""
    statements: list[dict[str, Any]] = []
    names = list(bound)
    for grant in grants:
        held = [grant.grantee] if permits(grant, access) else []
        if _retires(grant, access):
            held.append(grant.retiring)
        for at, principal in enumerate(held):
            sid = f"Grant{at}{grant.id}"
            statements.append(_statement(sid, principal, access.action))
            names += [name._replace(sid=sid) for name in grant.bound if name.arn == principal]
    if not statements:
        return None
    whole = json.loads(document)
    said = whole["Statement"]
    whole["Statement"] = [*(said if isinstance(said, list) else [said]), *statements]
    return BoundPolicy(json.dumps(whole), tuple(names))


def _statement(sid: str, principal: str, action: str) -> dict[str, Any]:
    """Return the statement that a grant is."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": principal_of(principal),
        "Action": action,
        "Resource": "*",
    }


def permits(grant: GrantRecord, access: Access) -> bool:
    """Return whether a grant lets its grantee do something."""
    action = access.action
    if action.removeprefix("kms:") not in grant.operations:
        return False
    context = access.context
    if action == RETIRE:
        return isinstance(context, GrantKeys) and context.grant_id == grant.id
    if action == CREATE:
        return _holds(grant, context)
    return action not in _CONSTRAINED or _met(grant, _encryption_context(context))


def _retires(grant: GrantRecord, access: Access) -> bool:
    """Return whether an access ends a grant that has a retiring principal."""
    context = access.context
    ends = isinstance(context, GrantKeys) and context.grant_id == grant.id
    return access.action == RETIRE and ends and bool(grant.retiring)


def _encryption_context(keys: Mapping[str, ContextValue]) -> dict[str, ContextValue]:
    """Return the encryption context that condition keys tell of."""
    return {
        key.removeprefix(_CONTEXT): value for key, value in keys.items() if key.startswith(_CONTEXT)
    }


def _met(grant: GrantRecord, context: Mapping[str, ContextValue]) -> bool:
    """Return whether an encryption context meets a grant's constraint."""
    if grant.equals is not None and context != grant.equals:
        return False
    return grant.subset is None or grant.subset.items() <= context.items()


def _holds(grant: GrantRecord, keys: Mapping[str, ContextValue]) -> bool:
    """Return whether a grant that is to be made gives no more than this one.

    AWS: its operations must be among those of the parent, and its constraint as strict or stricter.
    """
    operations = keys.get("kms:GrantOperations", ())
    if not set(operations) <= set(grant.operations):
        return False
    if grant.equals is None and grant.subset is None:
        return True
    kind = keys.get("kms:GrantConstraintType")
    if kind is None or (grant.equals is not None and kind != EQUALS):
        return False
    return _met(grant, _encryption_context(keys))
