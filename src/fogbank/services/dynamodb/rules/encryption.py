"""Encryption of tables with keys of KMS: what requests ask for, what is told, and how KMS's words sound.

Source: Amazon DynamoDB API Reference, SSESpecification and SSEDescription; Developer Guide, "Encryption
at rest: How it works" and "Managing encrypted tables"; AWS KMS Developer Guide, "How Amazon DynamoDB
uses AWS KMS". The messages were recorded from DynamoDB by the maintainers of its controllers for
Kubernetes in October 2026 (ack-api-quirks, DDB-TABLE-020 to 023, 079, 082, 141, 333, 461 and the list
of its errors).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import (
    AccessDeniedException,
    InternalServerError,
    LimitExceededException,
    ResourceInUseException,
    ValidationException,
)
from fogbank.services.dynamodb.schema.encryption import (
    ENABLED,
    UPDATING,
    EncryptionRecord,
    TableKey,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

CHANGES_MAX: Final = 4
CHANGE_PAUSE_MS: Final = 21_600_000
DAY_MS: Final = 86_400_000
MANAGED: Final = "alias/aws/dynamodb"
GRANTED: Final = (
    *("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"),
    *("GenerateDataKey", "DescribeKey", "RetireGrant"),
)
"""What the service may do with a key by itself (KMS Developer Guide, "Using grants to authorize
DynamoDB")."""
_INVALID: Final = "One or more parameter values were invalid: "
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_UNUSABLE: Final = frozenset(
    {"NotFoundException", "KMSInvalidStateException", "InvalidArnException"}
)


class Asked(NamedTuple):
    """What a request asks to encrypt a table with."""

    enabled: bool
    """Whether with a key of KMS in the account; otherwise with one that AWS owns."""
    key: str = MANAGED
    """By its id, ARN or alias."""


def asked_of(given: Request | None) -> Asked | None:
    """Return what an ``SSESpecification`` asks for; None: there is none.

    Raises:
        ValidationException: It contradicts itself.
    """
    if given is None:
        return None
    kind: str | None = given.get("SSEType")
    key: str | None = given.get("KMSMasterKeyId")
    if not given.get("Enabled", False):
        for member in ("SSEType", "KMSMasterKeyId"):
            if member in given:
                raise ValidationException(
                    f"{_INVALID}{member} can not be specified if Enabled is false"
                )
        return Asked(enabled=False)
    if kind not in (None, "KMS"):
        raise ValidationException(f"{_INVALID}SSEType {kind} is not supported")
    if key is None:
        return Asked(enabled=True)
    if kind is None:
        raise ValidationException(
            f"{_INVALID}SSEType KMS is required if KMSMasterKeyId is specified"
        )
    return Asked(enabled=True, key=key)


def require_change(sse: EncryptionRecord | None, asked: Asked, now_ms: int) -> None:
    """Refuse to change the encryption of a table to what it is, or too often.

    AWS: the present key by its ARN is what it is; by its id or an alias it is a change (DDB-TABLE-082).

    Raises:
        LimitExceededException: It was changed four times within a day.
        ResourceInUseException: An earlier change is under way.
        ValidationException: It is no change.
    """
    if not asked.enabled and (sse is None or not sse.kms_key):
        raise ValidationException(f"{_INVALID}Table is already encrypted by default")
    if sse is None:
        return
    if asked.enabled and asked.key == sse.kms_key:
        raise ValidationException(
            f"{_INVALID}Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId"
            " parameter if you want to change Master Key"
        )
    if sse.status == UPDATING:
        raise ResourceInUseException("Server-Side Encryption is still being updated")
    recent = recent_changes(sse, now_ms)
    if len(recent) >= CHANGES_MAX and now_ms < recent[-1] + CHANGE_PAUSE_MS:
        raise LimitExceededException(
            "Subscriber limit exceeded: Encryption mode changes are limited in the 24h window"
            f" ending at {_moment(recent[0] + DAY_MS)}. After the first {CHANGES_MAX} change, each"
            " subsequent change in the same window can be performed at most once every"
            f" {CHANGE_PAUSE_MS // 1_000} seconds. Number of updates today: {len(recent)}. Last"
            f" change at {_moment(recent[-1])}"
        )


def recent_changes(sse: EncryptionRecord | None, now_ms: int) -> tuple[int, ...]:
    """Return when the encryption of a table was changed within the last day, in order."""
    if sse is None:
        return ()
    return tuple(each for each in sse.changes_ms if each > now_ms - DAY_MS)


def _moment(at_ms: int) -> str:
    """Return a time as these messages write it."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def without_kms(sse: EncryptionRecord, keys: Mapping[int, bytes]) -> EncryptionRecord:
    """Return what seals a table that is to have AWS's own key: what was sealed is opened by it.

    Args:
        sse: What sealed it.
        keys: Its keys, opened, by their numbers: they are kept as the store keeps everything.
    """
    kept = tuple(
        TableKey(number=number, wrapped=key, kms_key="") for number, key in sorted(keys.items())
    )
    return EncryptionRecord(keys=kept, changes_ms=sse.changes_ms)


def sealed_by_all(sse: EncryptionRecord) -> EncryptionRecord:
    """Return what seals a table of which all items are sealed with the key for new ones."""
    keys = tuple(each for each in sse.keys if each.number == sse.active)
    return msgspec.structs.replace(sse, keys=keys, status=ENABLED)


def inherited(sse: EncryptionRecord | None) -> Asked | None:
    """Return what a restored table is encrypted with unless the request says: what its source was."""
    if sse is None or not sse.kms_key:
        return None
    return Asked(enabled=True, key=sse.kms_key)


def context_of(account: str, table: str) -> dict[str, str]:
    """Return the encryption context of the key of a table, which grants and policies hear."""
    return {"aws:dynamodb:tableName": table, "aws:dynamodb:subscriberId": account}


def grant_request(key: str, account: str, region: str, table: str) -> Request:
    """Return the request for a grant by which the service may use a key for a table."""
    service = f"dynamodb.{region}.amazonaws.com"
    return {
        "KeyId": key,
        "GranteePrincipal": service,
        "RetiringPrincipal": service,
        "Operations": list(GRANTED),
        "Constraints": {"EncryptionContextSubset": context_of(account, table)},
    }


def shown(error: ServiceError, request_id: str) -> ServiceError:
    """Return how DynamoDB tells a refusal of KMS.

    Args:
        error: What KMS said.
        request_id: That of the request which asked KMS.
    """
    if error.code in _DENIED:
        return AccessDeniedException(_told("access denied", error, request_id))
    if error.code == "DisabledException":
        return ValidationException(_told("disabled", error, request_id))
    if error.code in _UNUSABLE:
        return ValidationException(_told("validation", error, request_id))
    return InternalServerError(_told("internal", error, request_id))


def _told(what: str, error: ServiceError, request_id: str) -> str:
    """Return the message of a refusal of KMS."""
    subject = "KMS key" if what in ("access denied", "disabled") else "KMS"
    kind = "AWSKMSException" if what in ("access denied", "internal") else error.code
    code = "AccessDeniedException" if what == "access denied" else error.code
    return (
        f"{subject} {what} error: com.amazonaws.services.kms.model.{kind}: {error.message}"
        f" (Service: AWSKMS; Status Code: 400; Error Code: {code}; Request ID: {request_id};"
        " Proxy: null)"
    )


def description_of(sse: EncryptionRecord | None) -> shapes.SSEDescription | None:
    """Return the ``SSEDescription`` of a table; None: its key is AWS's own, of which none is told."""
    if sse is None or not sse.kms_key:
        return None
    described: shapes.SSEDescription = {
        "Status": sse.status,
        "SSEType": "KMS",
        "KMSMasterKeyArn": sse.kms_key,
    }
    if sse.inaccessible_ms:
        described["InaccessibleEncryptionDateTime"] = sse.inaccessible_ms
    return described
