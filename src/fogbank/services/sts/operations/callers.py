"""Callers: who signs with a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.services.sts import rules
from fogbank.services.sts.errors import ValidationError

if TYPE_CHECKING:
    from fogbank.wire.shapes import sts as shapes


@operation(access=rules.no_access)
async def get_caller_identity(
    call: Call, request: shapes.GetCallerIdentityRequest
) -> shapes.GetCallerIdentityResponse:
    """Describe the caller; needs no permission, and no policy can deny it."""
    del request
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


@operation()
async def get_access_key_info(
    call: Call, request: shapes.GetAccessKeyInfoRequest
) -> shapes.GetAccessKeyInfoResponse:
    """Return the account of an access key id, whether or not the key stands."""
    key_id = request["AccessKeyId"]
    account = await call.identity.account_of_key(key_id)
    if account is None:
        raise ValidationError(f"Invalid access key id: {key_id}")
    return {"Account": account}
