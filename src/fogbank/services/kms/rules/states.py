"""What a key can do in which state, and with which usage.

Source: AWS KMS Developer Guide, "Key states of AWS KMS keys", the table of operations; words of
refusals as recorded in LocalStack's validated ``TestKMS`` and in the AWS Encryption SDK's tests.
"""

from __future__ import annotations

from fogbank.services.kms.errors import (
    DisabledException,
    InvalidKeyUsageException,
    KMSInvalidStateException,
    UnsupportedOperationException,
)
from fogbank.services.kms.rules.specs import ENCRYPT, SPECS
from fogbank.services.kms.schema import PENDING_DELETION, KeyRecord


def check_enabled(arn: str, key: KeyRecord) -> None:
    """Refuse a key that cannot be used."""
    check_kept(arn, key)
    if not key.enabled:
        raise DisabledException(f"{arn} is disabled.")


def check_kept(arn: str, key: KeyRecord) -> None:
    """Refuse a key that is to be deleted."""
    if key.state == PENDING_DELETION:
        raise KMSInvalidStateException(f"{arn} is pending deletion.")


def check_pending(arn: str, key: KeyRecord) -> None:
    """Refuse a key that is not to be deleted."""
    if key.state != PENDING_DELETION:
        raise KMSInvalidStateException(f"{arn} is not pending deletion.")


def check_usage(arn: str, key: KeyRecord, usage: str, operation: str) -> None:
    """Refuse a key that is for something else."""
    if key.usage != usage:
        raise InvalidKeyUsageException(
            f"{arn} key usage is {key.usage} which is not valid for {operation}."
        )


def check_algorithm(key: KeyRecord, algorithm: str) -> None:
    """Refuse an algorithm that the key has not."""
    if algorithm != SPECS[key.spec].algorithm:
        raise InvalidKeyUsageException(
            f"Algorithm {algorithm} is incompatible with key spec {key.spec}."
        )


def check_rotates(arn: str, key: KeyRecord) -> None:
    """Refuse a key whose material can never change."""
    if key.usage != ENCRYPT:
        raise UnsupportedOperationException(
            f"{arn} key spec is {key.spec} which is not valid for this operation."
        )
