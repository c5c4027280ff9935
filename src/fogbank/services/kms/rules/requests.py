"""Members of requests that encrypt and decrypt, checked beyond the model.

Source: API Reference, Encrypt, Decrypt and GenerateDataKey; Developer Guide, "Encryption context";
words of refusals as recorded in LocalStack's validated ``TestKMS`` where they are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fogbank.base.types import Request
from fogbank.services.kms import quotas
from fogbank.services.kms.errors import InvalidKeyUsageException, ValidationException
from fogbank.services.kms.rules.specs import SYMMETRIC

_SIZES: Final[Mapping[str, int]] = {"AES_256": 32, "AES_128": 16}


def context_of(context: Mapping[str, str] | None) -> dict[str, str]:
    """Return the encryption context of a request; none is the empty one.

    Raises:
        ValidationException: It is too long.
    """
    if not context:
        return {}
    size = sum(len(key.encode()) + len(value.encode()) for key, value in context.items())
    if size > quotas.CONTEXT_BYTES_MAX:
        raise ValidationException(
            f"The encryption context is longer than {quotas.CONTEXT_BYTES_MAX} bytes."
        )
    return dict(context)


def algorithm_of(algorithm: str | None) -> str:
    """Return the encryption algorithm of a request.

    Raises:
        InvalidKeyUsageException: No key that can be made has it.
    """
    if algorithm not in (None, SYMMETRIC):
        raise InvalidKeyUsageException(
            f"Algorithm {algorithm} is incompatible with key spec {SYMMETRIC}."
        )
    return SYMMETRIC


def ciphertext_of(request: Request) -> bytes:
    """Return the ciphertext of a request.

    Raises:
        ValidationException: There is none.
    """
    blob: bytes | None = request.get("CiphertextBlob")
    if blob is None:
        raise ValidationException("CiphertextBlob is required.")
    return blob


def data_key_bytes(spec: str | None, size: int | None) -> int:
    """Return how long a data key is to be.

    Raises:
        ValidationException: Both members say so, or neither.
    """
    if (spec is None) == (size is None):
        raise ValidationException("Please specify either number of bytes or key spec.")
    return _SIZES[spec] if spec is not None else size or 0


def window_days(days: int | None) -> int:
    """Return after how many days a key is to be deleted.

    Raises:
        ValidationException: That is too soon or too late.
    """
    if days is None:
        return quotas.WINDOW_DAYS
    low, high = quotas.WINDOW_DAYS_MIN, quotas.WINDOW_DAYS_MAX
    if low <= days <= high:
        return days
    bound = f"greater than or equal to {low}" if days < low else f"less than or equal to {high}"
    raise ValidationException(
        f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy "
        f"constraint: Member must have value {bound}"
    )
