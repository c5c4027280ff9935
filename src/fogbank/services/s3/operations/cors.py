"""CORS configurations of buckets: which web pages may ask for their objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.facet import OriginRule
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.rules import access, unhonoured
from fogbank.services.s3.rules.cors import configuration_of, rules_of
from fogbank.services.s3.state import buckets, cors

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(
    access=access.on_bucket("s3:PutBucketCORS"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_cors(call: Call, request: shapes.PutBucketCorsRequest) -> Wire:
    """Replace the CORS configuration of a bucket."""
    rules = rules_of(request["CORSConfiguration"])

    async def body(tr: Transaction) -> None:
        cors.put_rules(tr, await buckets.require_bucket(tr, call, request), rules)

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetBucketCORS"), domain=access.bucket_domain)
async def get_bucket_cors(
    call: Call, request: shapes.GetBucketCorsRequest
) -> shapes.GetBucketCorsOutput:
    """Return the CORS configuration of a bucket."""

    async def body(tr: Transaction) -> tuple[OriginRule, ...]:
        return await cors.require_rules(tr, await buckets.require_bucket(tr, call, request))

    return configuration_of(await call.store.read(body))


@operation(access=access.on_bucket("s3:PutBucketCORS"), domain=access.bucket_domain)
async def delete_bucket_cors(call: Call, request: shapes.DeleteBucketCorsRequest) -> Wire:
    """Remove the CORS configuration of a bucket, whether it has one or not."""

    async def body(tr: Transaction) -> None:
        cors.delete_rules(tr, await buckets.require_bucket(tr, call, request))

    await call.store.transact(body)
    return {}
