"""Buckets: create, find, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import DIRECTORY, Transaction
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.errors import (
    BucketAlreadyOwnedByYou,
    BucketHasAccessPointsAttached,
    InvalidArgument,
    InvalidBucketAclWithBlockPublicAccessError,
    InvalidBucketAclWithObjectOwnership,
    OperationAborted,
)
from fogbank.services.s3.options import DEFAULTS_BEFORE_2023
from fogbank.services.s3.quotas import BUCKETS_MAX, LIST_BUCKETS_MAX
from fogbank.services.s3.rules import access, tags, unhonoured
from fogbank.services.s3.rules.acls import Asked, People, acl_of, owner_id
from fogbank.services.s3.rules.listings import Place, place_of, token_of
from fogbank.services.s3.rules.names import (
    bucket_url,
    check_bucket_name,
    check_region_filter,
    region_of,
)
from fogbank.services.s3.rules.replies import owner_of
from fogbank.services.s3.schema import (
    ENFORCED,
    AccessBlock,
    AccountBucketRecord,
    BucketRecord,
    NameRecord,
    TaskRecord,
)
from fogbank.services.s3.state import buckets, people, points, writing
from fogbank.wire.regions import US_EAST_1

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

BUCKET_ID_BYTES = 8
NAMES_PER_READ = 250
_CONFIGURATION_UNBUILT = ("Location", "Bucket")


@operation(
    access=access.create_bucket,
    domain=access.directory_domain,
    unhonoured=unhonoured.CREATE_BUCKET,
)
async def create_bucket(
    call: Call, request: shapes.CreateBucketRequest
) -> shapes.CreateBucketOutput:
    """Create a bucket, or find that the caller has it already."""
    name: str = request["Bucket"]
    check_bucket_name(name)
    asked = await writing.check_list(call, request)
    wanted = _wanted(call, request, asked)
    buckets_max = call.limit(BUCKETS_MAX)

    async def body(tr: Transaction) -> buckets.Reserved:
        return await buckets.reserve_name(tr, name, wanted, buckets_max)

    reserved = await call.store.transact(body)
    if reserved.record.active:
        await _check_again(call, reserved, wanted)
    else:
        await buckets.finish_creation(call.facilities.placement, reserved, wanted.created_ms)
    location = f"/{name}"
    if reserved.record.region != US_EAST_1:
        location = f"{bucket_url(call.http, name, reserved.record.region)}/"
    return {"Location": location, "BucketArn": bucket_arn(reserved.record.region, name)}


def _wanted(call: Call, request: Request, asked: Asked) -> NameRecord:
    """Return the directory's record of the bucket that the request asks for.

    Raises:
        InvalidBucketAclWithObjectOwnership: It has a list, and is to have none that counts.
        InvalidBucketAclWithBlockPublicAccessError: Its list lets the public in, as none of a new
            bucket may.
    """
    before_2023 = call.chosen(DEFAULTS_BEFORE_2023)
    ownership = request.get("ObjectOwnership") or ("" if before_2023 else ENFORCED)
    acl = acl_of(asked, People(call.account, call.account))
    if ownership == ENFORCED and acl is not None:
        raise InvalidBucketAclWithObjectOwnership
    if asked.is_public and not before_2023:
        raise InvalidBucketAclWithBlockPublicAccessError
    configuration: Wire = request.get("CreateBucketConfiguration") or {}
    for member in _CONFIGURATION_UNBUILT:
        if configuration.get(member):
            raise NotBuilt.member("s3", "CreateBucket", f"CreateBucketConfiguration.{member}")
    location: str | None = configuration.get("LocationConstraint")
    return NameRecord(
        account=call.account,
        bucket_id=call.ids.random_bytes(BUCKET_ID_BYTES),
        region=region_of(location, call.region),
        location=location or "",
        created_ms=call.clock.now_ms(),
        active=False,
        object_lock=bool(request.get("ObjectLockEnabledForBucket")),
        ownership=ownership,
        acl=acl,
        access_block=None if before_2023 else AccessBlock(),
        tags=tags.tags_of(configuration.get("Tags") or (), tags.BUCKET),
    )


async def _check_again(call: Call, reserved: buckets.Reserved, wanted: NameRecord) -> None:
    """Decide about a bucket that the caller owns already; where that is no error its list is set.

    Raises:
        BucketAlreadyOwnedByYou: Outside of us-east-1, creating it again is an error.
        OperationAborted: It is being deleted just now.
    """

    async def again(tr: Transaction) -> None:
        bucket = await buckets.find_bucket(tr)
        if bucket is None or bucket.bucket_id != reserved.record.bucket_id:
            raise OperationAborted
        # AWS: "in the North Virginia Region ... Amazon S3 returns 200 OK and resets the bucket access
        # control lists (ACLs)" (API Reference, CreateBucket, Errors).
        if (wanted.region, reserved.record.region) != (US_EAST_1, US_EAST_1):
            raise BucketAlreadyOwnedByYou(BucketName=reserved.name)
        if bucket.ownership != ENFORCED and bucket.acl != wanted.acl:
            buckets.put_bucket(tr, msgspec.structs.replace(bucket, acl=wanted.acl))

    await call.store_of(access.domain_of(reserved.name)).transact(again)


@operation(access=access.on_bucket("s3:ListBucket"), domain=access.bucket_domain)
async def head_bucket(call: Call, request: shapes.HeadBucketRequest) -> shapes.HeadBucketOutput:
    """Say that a bucket is there, whose it may be, and where."""
    bucket = await _read_bucket(call, request)
    return {
        "BucketArn": bucket_arn(bucket.region, bucket.name),
        "BucketRegion": bucket.region,
        "AccessPointAlias": any(point.by_alias for point in call.points),
    }


@operation(access=access.on_bucket("s3:GetBucketLocation"), domain=access.bucket_domain)
async def get_bucket_location(
    call: Call, request: shapes.GetBucketLocationRequest
) -> shapes.GetBucketLocationOutput:
    """Return the location constraint of a bucket, to every region; us-east-1 has none."""

    async def body(tr: Transaction) -> BucketRecord:
        # AWS: this one is answered everywhere, as whoever asks does not know the region yet.
        expected: str | None = request.get("ExpectedBucketOwner")
        return await buckets.require_named(tr, call, request["Bucket"], expected)

    bucket = await call.store.read(body)
    return {"LocationConstraint": bucket.location} if bucket.location else {}


async def _read_bucket(call: Call, request: Request) -> BucketRecord:
    """Return the request's bucket."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    return await call.store.read(body)


@operation(access=access.list_buckets, domain=access.directory_domain)
async def list_buckets(call: Call, request: shapes.ListBucketsRequest) -> shapes.ListBucketsOutput:
    """List the caller's buckets in order of name, a page at a time if asked to."""
    limit = _limit_of(request)
    region: str | None = request.get("BucketRegion")
    check_region_filter(region)
    prefix: str = request.get("Prefix") or ""
    token: str | None = request.get("ContinuationToken")
    after = place_of(token).after[0] if token else ""
    found: list[tuple[str, AccountBucketRecord]] = []
    more = True
    while more and len(found) <= limit:
        page = await _names_page(call, after)
        more = len(page) == NAMES_PER_READ
        for name, record in page:
            after = name
            if record.active and name.startswith(prefix) and region in (None, record.region):
                found.append((name, record))
    reply: shapes.ListBucketsOutput = {
        "Buckets": [_listed_bucket(*entry) for entry in found[:limit]]
    }
    names = await people.display_names(call, [owner_id(call.account)])
    reply["Owner"] = owner_of(call.account, names)
    if "Prefix" in request:
        reply["Prefix"] = prefix
    if len(found) > limit:
        reply["ContinuationToken"] = token_of(Place((found[limit - 1][0],)))
    return reply


def _limit_of(request: Request) -> int:
    """Return how many buckets a page holds."""
    limit: int = request.get("MaxBuckets", LIST_BUCKETS_MAX)
    if not 1 <= limit <= LIST_BUCKETS_MAX:
        raise InvalidArgument(
            f"Argument max-buckets must be an integer between 1 and {LIST_BUCKETS_MAX}",
            ArgumentName="max-buckets",
            ArgumentValue=limit,
        )
    return limit


async def _names_page(call: Call, after: str) -> list[tuple[str, AccountBucketRecord]]:
    """Return some of the account's list of buckets."""

    async def body(tr: Transaction) -> list[tuple[str, AccountBucketRecord]]:
        return await buckets.list_names(tr, call.account, after, NAMES_PER_READ)

    return await call.store.read(body)


def _listed_bucket(name: str, record: AccountBucketRecord) -> shapes.Bucket:
    """Return one entry of ListBuckets."""
    return {
        "Name": name,
        "CreationDate": record.created_ms,
        "BucketRegion": record.region,
        "BucketArn": bucket_arn(record.region, name),
    }


@operation(access=access.on_bucket("s3:DeleteBucket"), domain=access.bucket_domain)
async def delete_bucket(call: Call, request: shapes.DeleteBucketRequest) -> Wire:
    """Delete a bucket that holds no object and has no access point."""
    now_ms, name = call.clock.now_ms(), request["Bucket"]
    if await call.read(DIRECTORY, lambda tr: points.has_own(tr, name)):
        raise BucketHasAccessPointsAttached

    async def body(tr: Transaction) -> BucketRecord:
        bucket = await buckets.require_bucket(tr, call, request)
        await buckets.mark_deleting(tr, bucket, now_ms)
        return bucket

    bucket = await call.store.transact(body)
    task = TaskRecord(
        kind="delete", bucket_id=bucket.bucket_id, name=bucket.name, account=bucket.account
    )
    await buckets.finish_deletion(call.facilities.placement, task, now_ms)
    return {}
