"""What of public access to all that an account has in S3 is blocked (S3 Control)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.services.s3.errors import InvalidRequest, NoSuchPublicAccessBlockConfiguration
from fogbank.services.s3.rules import access
from fogbank.services.s3.rules.blocks import asked_of, shown
from fogbank.services.s3.rules.points import check_account, on_account
from fogbank.services.s3.schema import AccessBlock
from fogbank.services.s3.state import blocks, buckets

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3control as shapes

_PUT = on_account("s3:PutAccountPublicAccessBlock")
_GET = on_account("s3:GetAccountPublicAccessBlock")


async def _block(call: Call, request: Request, block: AccessBlock | None) -> None:
    """Put what is blocked in force at every bucket of the account; None: nothing is."""
    check_account(call, request)
    now_ms = call.clock.now_ms()
    await call.store.transact(lambda tr: blocks.put_block(tr, call.account, block, now_ms))
    await blocks.spread(call.facilities.placement, call.account)


@operation(access=_PUT, domain=access.directory_domain)
async def put_public_access_block(call: Call, request: shapes.PutPublicAccessBlockRequest) -> Wire:
    """Say what of public access is blocked, whatever buckets and access points say."""
    wanted = request["PublicAccessBlockConfiguration"]
    if not wanted:
        raise InvalidRequest("Must specify at least one configuration.")
    await _block(call, request, asked_of(wanted))
    return {}


@operation(access=_GET, domain=access.directory_domain)
async def get_public_access_block(
    call: Call, request: shapes.GetPublicAccessBlockRequest
) -> shapes.GetPublicAccessBlockOutput:
    """Return what of public access is blocked in the whole account."""
    check_account(call, request)
    account = await call.store.read(lambda tr: buckets.find_account(tr, call.account))
    if account.access_block is None:
        raise NoSuchPublicAccessBlockConfiguration(AccountId=call.account)
    return {"PublicAccessBlockConfiguration": shown(account.access_block)}


@operation(access=_PUT, domain=access.directory_domain)
async def delete_public_access_block(
    call: Call, request: shapes.DeletePublicAccessBlockRequest
) -> Wire:
    """Block nothing for the whole account any more."""
    await _block(call, request, None)
    return {}
