"""Attribute-based access control of buckets: whether their tags are condition keys.

Source: Amazon S3 User Guide, "Enabling ABAC in general purpose buckets", "Using tags with S3 general
purpose buckets"; API Reference, PutBucketAbac.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.errors import MalformedXML
from fogbank.services.s3.rules import access, unhonoured
from fogbank.services.s3.schema import BUCKET, BucketRecord
from fogbank.services.s3.state import buckets

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

_ENABLED: Final = "Enabled"
_DISABLED: Final = "Disabled"


@operation(
    access=access.on_bucket("s3:PutBucketAbac"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_abac(call: Call, request: shapes.PutBucketAbacRequest) -> Wire:
    """Have the tags of a bucket count as condition keys, or not."""
    status = request["AbacStatus"].get("Status")
    if status not in (_ENABLED, _DISABLED):
        raise MalformedXML

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        BUCKET.put(tr, msgspec.structs.replace(bucket, abac=status == _ENABLED))

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetBucketAbac"), domain=access.bucket_domain)
async def get_bucket_abac(
    call: Call, request: shapes.GetBucketAbacRequest
) -> shapes.GetBucketAbacOutput:
    """Return whether the tags of a bucket count as condition keys."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    bucket = await call.store.read(body)
    return {"AbacStatus": {"Status": _ENABLED if bucket.abac else _DISABLED}}
