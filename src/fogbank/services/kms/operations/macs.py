"""Operations that make and verify message authentication codes, with HMAC keys."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms.errors import KMSInvalidMacException
from fogbank.services.kms.rules import access, names, states
from fogbank.services.kms.rules.specs import MAC, SPECS
from fogbank.services.kms.schema import MaterialRecord
from fogbank.services.kms.state import keys
from fogbank.services.kms.state.permitted import check_tokens, end_dry_run, permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def generate_mac(
    call: Call, request: shapes.GenerateMacRequest
) -> shapes.GenerateMacResponse:
    """Return the MAC of a message of up to 4,096 bytes."""
    arn, mac = await _mac(call, request)
    end_dry_run(asked=request.get("DryRun", False))
    return {"Mac": mac, "MacAlgorithm": request["MacAlgorithm"], "KeyId": arn}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def verify_mac(call: Call, request: shapes.VerifyMacRequest) -> shapes.VerifyMacResponse:
    """Say that a MAC is that of a message, or refuse."""
    arn, mac = await _mac(call, request)
    dry_run = request.get("DryRun", False)
    if not hmac.compare_digest(mac, request["Mac"]):
        raise KMSInvalidMacException
    end_dry_run(asked=dry_run)
    return {"KeyId": arn, "MacValid": True, "MacAlgorithm": request["MacAlgorithm"]}


async def _mac(
    call: Call, request: shapes.GenerateMacRequest | shapes.VerifyMacRequest
) -> tuple[str, bytes]:
    """Return a key's ARN and the MAC of a message."""
    context = access.mac_keys(request)
    found = await permitted(call, request["KeyId"], context, aliases=True, foreign=True)
    states.check_enabled(found.arn, found.key)
    states.check_usage(found.arn, found.key, MAC, call.operation)
    states.check_algorithm(found.key, request["MacAlgorithm"])
    await check_tokens(call, found.name, request)

    async def body(tr: Transaction) -> MaterialRecord:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_enabled(found.arn, key)
        return await keys.require_material(tr, key)

    material = await call.read(found.name.domain, body)
    digest = SPECS[found.key.spec].digest
    return found.arn, hmac.digest(material.secret, request["Message"], digest)
