"""Who pays for requests: the owner of a bucket or whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.rules import access, unhonoured
from fogbank.services.s3.state import buckets

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

_OWNER: Final = "BucketOwner"
_REQUESTER: Final = "Requester"


@operation(
    access=access.on_bucket("s3:PutBucketRequestPayment"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_request_payment(
    call: Call, request: shapes.PutBucketRequestPaymentRequest
) -> Wire:
    """Say who pays for requests to a bucket."""
    requester_pays = request["RequestPaymentConfiguration"]["Payer"] == _REQUESTER

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        buckets.put_payer(tr, bucket, requester_pays=requester_pays)

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetBucketRequestPayment"), domain=access.bucket_domain)
async def get_bucket_request_payment(
    call: Call, request: shapes.GetBucketRequestPaymentRequest
) -> shapes.GetBucketRequestPaymentOutput:
    """Return who pays for requests to a bucket."""

    async def body(tr: Transaction) -> bool:
        return (await buckets.require_bucket(tr, call, request)).requester_pays

    return {"Payer": _REQUESTER if await call.store.read(body) else _OWNER}
