"""Filters of event source mappings that a key of KMS seals.

Rule: who makes or changes a mapping has KMS make a key for its filters; who looks at one mapping has it
decrypted in his own name, and what reads the stream as Lambda itself, which the policy of the KMS key
lets in. Listings show no sealed filters. The encryption context is the source's ARN and the function's.

Source: Developer Guide, "Data encryption at rest for AWS Lambda" (GenerateDataKey and Decrypt as CloudTrail
has them); API Reference, FilterCriteriaError and the ``FilterCriteria`` of GetEventSourceMapping.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.base.types import Request
from fogbank.platform.crypto.locked import LockedKey
from fogbank.platform.crypto.sealer import BodySealer
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.errors import ResourceConflictException
from fogbank.services.lambda_.rules import sealing
from fogbank.services.lambda_.schema import MappingRecord

FILTERS: Final = "filter criteria"
_PURPOSE: Final = b"filters"
_KEY: Final = 1
_DECODER: Final = msgspec.json.Decoder(tuple[str, ...])


def lock_of(account: str, region: str, mapping: MappingRecord) -> LockedKey:
    """Return what it takes to have the key of a mapping's filters decrypted."""
    function = arns.function_arn(region, account, mapping.function)
    context = (
        ("aws:lambda:EventSourceArn", mapping.source_arn),
        ("aws:lambda:FunctionArn", function),
    )
    key, wrapped = mapping.kms_key, mapping.lock
    return LockedKey(sealing.SERVICE, account, region, key, wrapped, context)


def key_of(mapping: MappingRecord, request: Request) -> str:
    """Return the KMS key that a mapping is to have: the request's, or the one that it has."""
    key: str = request.get("KMSKeyArn", mapping.kms_key)
    return key


def reseals(before: MappingRecord, after: MappingRecord, request: Request) -> bool:
    """Return whether the filters of a mapping are to be kept in another way than they are."""
    key = key_of(before, request)
    if not key and not before.kms_key:
        return False
    is_other = (key, after.function) != (before.kms_key, before.function)
    return is_other or "FilterCriteria" in request


def _sealer_of(mapping: MappingRecord, key: bytes) -> BodySealer:
    """Return what seals and opens the filters of a mapping."""
    return BodySealer({_KEY: key}, _KEY, mapping.id.encode())


def sealed_mapping(mapping: MappingRecord, key: bytes) -> MappingRecord:
    """Return a mapping whose filters, which it has plain, are sealed with a key."""
    plain = msgspec.json.encode(mapping.filters)
    sealed = _sealer_of(mapping, key).seal(_PURPOSE, plain, b"")
    return msgspec.structs.replace(mapping, filters=(), sealed=sealed)


def filters_of(mapping: MappingRecord, key: bytes) -> tuple[str, ...]:
    """Return the filters that a mapping has sealed."""
    return _DECODER.decode(_sealer_of(mapping, key).open(_PURPOSE, mapping.sealed))


def require_same(found: MappingRecord, now: MappingRecord) -> None:
    """Refuse to write what was sealed from a mapping that has another sealing by now.

    Raises:
        ResourceConflictException: It has.
    """
    if (found.kms_key or now.kms_key) and _standing_of(found) != _standing_of(now):
        raise ResourceConflictException(
            "The operation cannot be performed at this time. An update is in progress for"
            f" the event source mapping {found.id}"
        )


def _standing_of(mapping: MappingRecord) -> tuple[object, ...]:
    """Return all that a sealing is made from."""
    return (mapping.kms_key, mapping.lock, mapping.sealed, mapping.filters, mapping.function)


def as_sealed(mapping: MappingRecord, like: MappingRecord) -> MappingRecord:
    """Return a mapping whose filters are kept as those of another."""
    return msgspec.structs.replace(
        mapping,
        filters=like.filters,
        kms_key=like.kms_key,
        lock=like.lock,
        sealed=like.sealed,
    )
