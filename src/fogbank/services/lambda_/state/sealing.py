"""What KMS is asked for the variables of functions: outside of transactions.

Rule: grants first, the reference in the record second; a grant that nobody refers to after all is retired
at once, and one that nobody refers to any more by a job (``state/grants``).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call, Facilities, service_principal_in
from fogbank.platform.crypto.locked import LockedKey
from fogbank.platform.runtime.cloud import VARIABLES
from fogbank.platform.store.engine import Domain
from fogbank.services.lambda_.rules import configuration, sealing
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.rules.sealing import Sealing
from fogbank.services.lambda_.schema import FunctionRecord, RetiringRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

log = logging.getLogger("fogbank.functions")

_GONE: Final = frozenset(
    {
        *("NotFoundException", "InvalidGrantIdException", "KMSInvalidStateException"),
        *("AccessDenied", "AccessDeniedException", "DisabledException"),
    }
)
"""What KMS says of a grant that is gone, or whose key is, or is about to be."""


async def find_sealing(
    call: Call, named: FunctionName, before: FunctionRecord, request: Request
) -> Sealing | None:
    """Return how the variables of a function are to be kept; None: as they are, or no key is asked for.

    Args:
        call: Of who configures the function, in whose name KMS is asked.
        named: The function.
        before: The function as it is.
        request: Of CreateFunction or UpdateFunctionConfiguration.

    Raises:
        AccessDeniedException: KMS does not let the caller.
        InvalidParameterValueException: There is no such key, or it cannot be used.
    """
    variables = configuration.variables_of(request)
    if not sealing.touches(before, request):
        return None
    key, role = sealing.key_of(before, request), request.get("Role", before.role)
    is_new = key != before.kms_key
    if variables is None and is_new:
        variables = await _opened(call, named, before)
    if not key:
        return Sealing("", variables, b"", "")
    grant, sealed = before.grant, before.sealed
    if is_new or role != before.role:
        wanted = sealing.grant_request(named, key, role, call.request_id)
        grant = (await ask(call, "CreateGrant", wanted))["GrantId"]
    if variables is not None:
        try:
            sealed = await _encrypted(call, named, key, variables)
        except ServiceError:
            if grant != before.grant:
                await retire(call.facilities, call.domain, RetiringRecord(key, grant))
            raise
    return Sealing(key, None, sealed, grant)


async def _opened(
    call: Call, named: FunctionName, function: FunctionRecord
) -> dict[str, str] | None:
    """Return the variables of a function for the caller; None: it has none."""
    locked = sealing.find_locked(named.account, named.region, function)
    if locked is None:
        return function.variables
    try:
        return sealing.variables_of(await call.open_key(locked))
    except ServiceError as error:
        raise sealing.unconfigured(error, "Decrypt") from error


async def _encrypted(call: Call, named: FunctionName, key: str, variables: dict[str, str]) -> bytes:
    """Return variables as a KMS key encrypts them."""
    request = {
        "KeyId": key,
        "Plaintext": sealing.plain_of(variables),
        "EncryptionContext": sealing.context_of(named.region, named.account, named.name),
    }
    sealed: bytes = (await ask(call, "Encrypt", request))["CiphertextBlob"]
    return sealed


async def ask(call: Call, operation: str, request: Request, what: str = VARIABLES) -> Wire:
    """Ask KMS on behalf of the caller; its refusals become Lambda's.

    Raises:
        AccessDeniedException: It does not let the caller.
        InvalidParameterValueException: There is no such key, or it cannot be used.
    """
    try:
        return await call.calls.call(
            "kms",
            operation,
            dict(request),
            principal=call.principal,
            region=call.region,
            via=sealing.SERVICE,
        )
    except ServiceError as error:
        raise sealing.unconfigured(error, operation, what) from error


async def discard(call: Call, before: FunctionRecord, made: Sealing | None) -> None:
    """Retire the grant of a sealing that nobody refers to after all, if one was made for it."""
    if made is not None and made.grant not in ("", before.grant):
        await retire(call.facilities, call.domain, RetiringRecord(made.kms_key, made.grant))


async def retire(facilities: Facilities, domain: Domain, retiring: RetiringRecord) -> None:
    """Retire a grant that nobody needs any more; harmless to repeat.

    Raises:
        ServiceError: KMS cannot be asked now.
    """
    _, account, region = domain.name
    locked = LockedKey(sealing.SERVICE, account, region, retiring.kms_key, b"", ())
    try:
        await facilities.calls.call(
            "kms",
            "RetireGrant",
            {"KeyId": retiring.kms_key, "GrantId": retiring.grant},
            principal=service_principal_in(locked),
            region=region,
            account=account,
        )
    except ServiceError as error:
        if error.code not in _GONE:
            raise
        log.info("the grant %s is not retired: %s", retiring.grant, error)


async def told(
    call: Call,
    account: str,
    function: FunctionRecord,
    view: shapes.FunctionConfiguration,
) -> shapes.FunctionConfiguration:
    """Return a function's configuration with its variables, if the caller may have them decrypted.

    AWS: otherwise it has ``Environment.Error``, and the call goes well.
    """
    locked = sealing.find_locked(account, call.region, function)
    if locked is None:
        return view
    try:
        variables = sealing.variables_of(await call.open_key(locked))
    except ServiceError as error:
        code, message = sealing.shown_as(error)
        return {**view, "Environment": {"Error": {"ErrorCode": code, "Message": message}}}
    return {**view, "Environment": {"Variables": variables}}
