"""What KMS is asked for the filters of event source mappings: outside of transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request
from fogbank.contract.call import Call, Facilities
from fogbank.platform.runtime.cloud import lambda_for
from fogbank.platform.runtime.functions import UnreadableError
from fogbank.services.lambda_.rules import filters, mappings, sealing
from fogbank.services.lambda_.rules.filters import FILTERS
from fogbank.services.lambda_.schema import MappingRecord
from fogbank.services.lambda_.state.sealing import ask

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


async def sealed(
    call: Call, before: MappingRecord, after: MappingRecord, request: Request
) -> MappingRecord:
    """Return a mapping with its filters as they are to be kept.

    Args:
        call: Of who makes or changes the mapping, in whose name KMS is asked.
        before: The mapping as it is; of a new one, as it is asked for.
        after: The mapping as it is to be, with the filters of the request plain.
        request: Of CreateEventSourceMapping or UpdateEventSourceMapping.

    Raises:
        AccessDeniedException: KMS does not let the caller.
        InvalidParameterValueException: There is no such key, or it cannot be used.
    """
    if not filters.reseals(before, after, request):
        return after
    plain = after.filters
    if "FilterCriteria" not in request and before.sealed:
        plain = await _opened(call, before)
    key = filters.key_of(before, request)
    after = msgspec.structs.replace(after, filters=plain, kms_key=key, lock=b"", sealed=b"")
    if not key or not plain:
        return after
    lock = filters.lock_of(call.account, call.region, after)
    asked = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": dict(lock.context)}
    made = await ask(call, "GenerateDataKey", asked, FILTERS)
    named = msgspec.structs.replace(after, kms_key=made["KeyId"], lock=made["CiphertextBlob"])
    return filters.sealed_mapping(named, made["Plaintext"])


async def _opened(call: Call, mapping: MappingRecord) -> tuple[str, ...]:
    """Return the filters of a mapping for the caller."""
    try:
        key = await call.open_key(filters.lock_of(call.account, call.region, mapping))
    except ServiceError as error:
        raise sealing.unconfigured(error, "Decrypt", FILTERS) from error
    return filters.filters_of(mapping, key)


async def told(
    call: Call, mapping: MappingRecord, transition: str
) -> shapes.EventSourceMappingConfiguration:
    """Return a mapping with its filters, if the caller may have them decrypted.

    AWS: otherwise it has ``FilterCriteriaError``, and the call goes well.
    """
    view = mappings.view_of(call.scope, mapping, transition)
    if not mapping.sealed:
        return view
    try:
        key = await call.open_key(filters.lock_of(call.account, call.region, mapping))
    except ServiceError as error:
        code, message = sealing.shown_as(error, FILTERS)
        view["FilterCriteriaError"] = {"ErrorCode": code, "Message": message}
        return view
    found = filters.filters_of(mapping, key)
    return {**view, "FilterCriteria": mappings.criteria_of(found)}


async def read(
    facilities: Facilities, account: str, region: str, mapping: MappingRecord
) -> tuple[str, ...]:
    """Return the filters of a mapping for Lambda itself, which reads its source.

    Raises:
        UnreadableError: They are sealed with a KMS key that Lambda cannot use.
    """
    if not mapping.sealed:
        return mapping.filters
    lock = filters.lock_of(account, region, mapping)
    try:
        key = await facilities.opened_for(lambda_for(account), lock)
    except ServiceError as error:
        raise UnreadableError(FILTERS, error) from error
    return filters.filters_of(mapping, key)
