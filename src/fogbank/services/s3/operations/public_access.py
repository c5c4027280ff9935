"""What of public access to a bucket is blocked, and who owns the objects in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.errors import (
    InvalidBucketAclWithObjectOwnership,
    MalformedXML,
    NoSuchPublicAccessBlockConfiguration,
    OwnershipControlsNotFoundError,
)
from fogbank.services.s3.rules import access, acls, blocks, unhonoured
from fogbank.services.s3.schema import ENFORCED, AccessBlock, BucketRecord
from fogbank.services.s3.state import buckets

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


async def _read_bucket(call: Call, request: Wire) -> BucketRecord:
    """Return the request's bucket."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    return await call.store.read(body)


async def _block(call: Call, request: Wire, block: AccessBlock | None) -> None:
    """Replace what of public access is blocked; None: nothing is."""

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        buckets.put_bucket(tr, msgspec.structs.replace(bucket, access_block=block))

    await call.store.transact(body)


@operation(
    access=access.on_bucket("s3:PutBucketPublicAccessBlock"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_public_access_block(call: Call, request: shapes.PutPublicAccessBlockRequest) -> Wire:
    """Say what of public access to a bucket is blocked; what is not said is not."""
    wanted = request["PublicAccessBlockConfiguration"]
    # AWS: a configuration that says nothing is none (recorded by LocalStack).
    if not wanted:
        raise MalformedXML
    await _block(call, {**request}, blocks.asked_of(wanted))
    return {}


@operation(access=access.on_bucket("s3:GetBucketPublicAccessBlock"), domain=access.bucket_domain)
async def get_public_access_block(
    call: Call, request: shapes.GetPublicAccessBlockRequest
) -> shapes.GetPublicAccessBlockOutput:
    """Return what of public access to a bucket is blocked."""
    block = (await _read_bucket(call, {**request})).access_block
    if block is None:
        raise NoSuchPublicAccessBlockConfiguration(BucketName=request["Bucket"])
    return {"PublicAccessBlockConfiguration": blocks.shown(block)}


@operation(access=access.on_bucket("s3:PutBucketPublicAccessBlock"), domain=access.bucket_domain)
async def delete_public_access_block(
    call: Call, request: shapes.DeletePublicAccessBlockRequest
) -> Wire:
    """Block nothing of public access to a bucket any more."""
    await _block(call, {**request}, None)
    return {}


@operation(
    access=access.on_bucket("s3:PutBucketOwnershipControls"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_ownership_controls(
    call: Call, request: shapes.PutBucketOwnershipControlsRequest
) -> Wire:
    """Say who owns the objects of a bucket, and whether access control lists count."""
    rules = request["OwnershipControls"].get("Rules") or []
    ownership = rules[0].get("ObjectOwnership") if len(rules) == 1 else None
    if ownership not in acls.OWNERSHIPS:
        raise MalformedXML

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        if ownership == ENFORCED and acls.lets_others_in(bucket):
            raise InvalidBucketAclWithObjectOwnership
        acl = None if ownership == ENFORCED else bucket.acl
        buckets.put_bucket(tr, msgspec.structs.replace(bucket, ownership=ownership, acl=acl))

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetBucketOwnershipControls"), domain=access.bucket_domain)
async def get_bucket_ownership_controls(
    call: Call, request: shapes.GetBucketOwnershipControlsRequest
) -> shapes.GetBucketOwnershipControlsOutput:
    """Return who owns the objects of a bucket."""
    ownership = (await _read_bucket(call, {**request})).ownership
    if not ownership:
        raise OwnershipControlsNotFoundError(BucketName=request["Bucket"])
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": ownership}]}}


@operation(access=access.on_bucket("s3:PutBucketOwnershipControls"), domain=access.bucket_domain)
async def delete_bucket_ownership_controls(
    call: Call, request: shapes.DeleteBucketOwnershipControlsRequest
) -> Wire:
    """Have who writes an object own it, and access control lists count."""

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        buckets.put_bucket(tr, msgspec.structs.replace(bucket, ownership=""))

    await call.store.transact(body)
    return {}
