"""CORS configurations of buckets: which web pages may ask for their objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.services.s3.rules import access, unhonoured
from fogbank.services.s3.rules.cors import configuration_of, rules_of
from fogbank.services.s3.schema import CorsRecord
from fogbank.services.s3.state.configurations import CORS

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(
    access=access.on_bucket("s3:PutBucketCORS"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_cors(call: Call, request: shapes.PutBucketCorsRequest) -> Wire:
    """Replace the CORS configuration of a bucket."""
    await CORS.replace(call, request, CorsRecord(rules_of(request["CORSConfiguration"])))
    return {}


@operation(access=access.on_bucket("s3:GetBucketCORS"), domain=access.bucket_domain)
async def get_bucket_cors(
    call: Call, request: shapes.GetBucketCorsRequest
) -> shapes.GetBucketCorsOutput:
    """Return the CORS configuration of a bucket."""
    return configuration_of((await CORS.read(call, request)).rules)


@operation(access=access.on_bucket("s3:PutBucketCORS"), domain=access.bucket_domain)
async def delete_bucket_cors(call: Call, request: shapes.DeleteBucketCorsRequest) -> Wire:
    """Remove the CORS configuration of a bucket, whether it has one or not."""
    await CORS.remove(call, request)
    return {}
