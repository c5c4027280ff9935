"""Variables and code that a key of KMS seals: what KMS is asked for them, and how its refusals sound.

Rule: who configures a function makes a grant of the key for the session that its role has in an
environment, and has the variables encrypted; who looks at them has them decrypted in his own name, and an
environment that starts in its role's. Code is sealed and opened by Lambda itself, which the policy of the
key lets in; who asks for it must be able to decrypt it too. The encryption context is the function's ARN.

Source: Developer Guide, "Securing Lambda environment variables" (``kms:CreateGrant``, ``kms:Encrypt``,
``kms:Decrypt``) and "Data encryption at rest for AWS Lambda"; API Reference, EnvironmentError and the
errors of Invoke. The messages of CreateGrant, of GetFunctionConfiguration and of
KMSAccessDeniedException as users quote them (terraform-provider-aws ``function.go`` and its issue 6352,
serverless/examples issue 279); those of other states are the model's words in that form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from fogbank.base.arn import find_arn, global_arn
from fogbank.base.errors import ServiceError
from fogbank.base.types import Request
from fogbank.platform.crypto.locked import LockedKey
from fogbank.platform.runtime.cloud import VARIABLES, session_name_of
from fogbank.platform.runtime.functions import UnreadableError
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    KMSAccessDeniedException,
    KMSDisabledException,
    KMSInvalidStateException,
    KMSNotFoundException,
    ResourceConflictException,
)
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import FunctionRecord

SERVICE: Final = "lambda"
GRANTED: Final = ("Decrypt", "RetireGrant")
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_DECRYPT: Final = msgspec.json.Decoder(dict[str, str])
_STATES: Final[Mapping[str, tuple[type[ServiceError], str]]] = {
    "DisabledException": (KMSDisabledException, "the KMS key used is disabled"),
    "KMSInvalidStateException": (
        KMSInvalidStateException,
        "the state of the KMS key used is not valid for Decrypt",
    ),
    "NotFoundException": (KMSNotFoundException, "the KMS key was not found"),
}


class Sealing(NamedTuple):
    """How the variables of a function are to be kept."""

    kms_key: str
    variables: dict[str, str] | None
    """Where no key seals them."""
    sealed: bytes
    grant: str


def require_same(named: FunctionName, found: FunctionRecord, now: FunctionRecord) -> None:
    """Refuse to write what was sealed from a function that has another sealing by now.

    AWS: a change that meets another is told so in these words.

    Raises:
        ResourceConflictException: It has.
    """
    if (found.kms_key or now.kms_key) and _standing_of(found) != _standing_of(now):
        raise ResourceConflictException(
            "The operation cannot be performed at this time. An update is in progress for"
            f" resource: {named.arn}"
        )


def _standing_of(function: FunctionRecord) -> tuple[object, ...]:
    """Return all that a sealing is made from."""
    return (function.kms_key, function.sealed, function.grant, function.variables, function.role)


def sealed_function(function: FunctionRecord, sealing: Sealing | None) -> FunctionRecord:
    """Return a function whose variables are kept in another way; None: in none."""
    if sealing is None:
        return function
    return msgspec.structs.replace(function, **sealing._asdict())


def plain_of(variables: Mapping[str, str]) -> bytes:
    """Return what is encrypted of variables: JSON, no longer than KMS takes."""
    return json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode()


def variables_of(plain: bytes) -> dict[str, str]:
    """Return the variables that were encrypted."""
    return _DECRYPT.decode(plain)


def context_of(region: str, account: str, name: str) -> dict[str, str]:
    """Return the encryption context of a function's variables."""
    return {"aws:lambda:FunctionArn": arns.function_arn(region, account, name)}


def find_locked(account: str, region: str, function: FunctionRecord) -> LockedKey | None:
    """Return the variables of a function as KMS decrypts them; None: nothing seals them."""
    if not function.sealed:
        return None
    context = tuple(context_of(region, account, function.name).items())
    return LockedKey(SERVICE, account, region, function.kms_key, function.sealed, context)


def grant_request(named: FunctionName, key: str, role: str, name: str) -> Request:
    """Return the request for a grant by which the role of a function has its variables decrypted.

    Args:
        named: The function.
        key: The ARN of the KMS key.
        role: The ARN of the role.
        name: What tells the grant from others: KMS answers one that is asked for twice with itself.
    """
    arn = find_arn(role)
    assert arn is not None, "a role was checked before"
    session = f"assumed-role/{arn.resource.rpartition('/')[2]}/{session_name_of(named.name)}"
    return {
        "KeyId": key,
        "GranteePrincipal": global_arn(arn.partition, "sts", arn.account, session),
        "RetiringPrincipal": f"{SERVICE}.{named.region}.amazonaws.com",
        "Operations": list(GRANTED),
        "Constraints": {
            "EncryptionContextEquals": context_of(named.region, named.account, named.name)
        },
        "Name": name,
    }


def package_lock(region: str, account: str, name: str, key: str, wrapped: bytes) -> LockedKey:
    """Return what it takes to have the key of a function's zip file decrypted.

    AWS: the encryption context is the function's ARN (Developer Guide, "Encrypting Lambda .zip
    deployment packages").
    """
    context = tuple(context_of(region, account, name).items())
    return LockedKey(SERVICE, account, region, key, wrapped, context)


def find_package_lock(account: str, region: str, function: FunctionRecord) -> LockedKey | None:
    """Return the key of a function's zip file as KMS decrypts it; None: the store's own seals it."""
    if not function.code_lock:
        return None
    key, wrapped = function.code_kms_key, function.code_lock
    return package_lock(region, account, function.name, key, wrapped)


def unconfigured(error: ServiceError, operation: str, what: str = VARIABLES) -> ServiceError:
    """Return what is told where KMS does not let a function be configured.

    Args:
        error: What KMS said.
        operation: What it was asked for: ``CreateGrant``, ``Encrypt``, ``GenerateDataKey``, ``Decrypt``.
        what: What it was asked for for.
    """
    if operation == "Decrypt":
        return AccessDeniedException(_told(f"decrypt your {what}", error))
    words = f"configure access to your {what}"
    if error.code in _DENIED:
        return AccessDeniedException(_told(words, error))
    return InvalidParameterValueException(
        f"Lambda was unable to {words} because the KMS key is invalid for {operation}. Please check"
        f" your KMS key settings. KMS Exception: {error.code} KMS Message: {error.message}"
    )


def _told(what: str, error: ServiceError) -> str:
    """Return why something could not be done with variables, for who looks at a function."""
    if error.code in _STATES:
        cause, settings = _STATES[error.code][1], "key settings"
    else:
        cause, settings = "the KMS access was denied", "permissions"
    return (
        f"Lambda was unable to {what} because {cause}. Please check your KMS {settings}."
        f" KMS Exception: {_code_of(error)} KMS Message: {error.message}"
    )


def _code_of(error: ServiceError) -> str:
    """Return the code of an error as KMS's own wire has it."""
    return "AccessDeniedException" if error.code in _DENIED else error.code


def shown_as(error: ServiceError, what: str = VARIABLES) -> tuple[str, str]:
    """Return the code and the message that are shown instead of what could not be decrypted."""
    return _code_of(error), _told(f"decrypt your {what}", error)


def uninvoked(unreadable: UnreadableError) -> ServiceError:
    """Return what an invocation is told whose environment cannot have its variables, or its code."""
    error = unreadable.error
    kind, cause = _STATES.get(error.code, (KMSAccessDeniedException, "KMS access was denied"))
    return kind(
        f"Lambda was unable to decrypt the {unreadable.what} because {cause}. Please check the"
        f" function's KMS key settings. KMS Exception: {_code_of(error)}"
        f"KMS Message: {error.message}"
    )


def key_of(function: FunctionRecord, request: Request) -> str:
    """Return the key that a function is to have: the request's, or the one that it has."""
    key: str = request.get("KMSKeyArn", function.kms_key)
    return key


def touches(function: FunctionRecord, request: Request) -> bool:
    """Return whether a request changes how the variables of a function are sealed."""
    key = key_of(function, request)
    if not key and not function.kms_key:
        return False
    role = request.get("Role", function.role)
    return "Environment" in request or (key, role) != (function.kms_key, function.role)
