"""Access points: in the directory, as buckets' names are, since aliases are names of everybody's."""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.contract.action import Point
from fogbank.contract.facet import AccessPoints
from fogbank.platform.store.engine import DIRECTORY, Transaction
from fogbank.services.s3.errors import (
    AccessPointAlreadyOwnedByYou,
    InvalidRequest,
    NoSuchAccessPoint,
    NoSuchBucket,
    TooManyAccessPoints,
)
from fogbank.services.s3.rules import points
from fogbank.services.s3.rules.points import PointName
from fogbank.services.s3.schema import (
    NAMES,
    POINT_COUNTS,
    POINT_LISTS,
    POINT_NAMES,
    POINTS,
    PointCountRecord,
    PointListRecord,
    PointNameRecord,
    PointRecord,
)
from fogbank.services.s3.state import buckets

Listed = tuple[str, PointRecord]
"""The name of an access point, and its record."""


async def create(tr: Transaction, name: PointName, wanted: PointRecord, points_max: int) -> None:
    """Create an access point of a bucket that there is.

    Args:
        tr: A transaction of the directory.
        name: Its name.
        wanted: What it is to be, without the bucket's id.
        points_max: How many its account may have in the region.

    Raises:
        AccessPointAlreadyOwnedByYou: There is one of the name.
        InvalidRequest: There is no such bucket of that account in the region.
        TooManyAccessPoints: The account has as many as it may.
    """
    if await POINTS.find(tr, *name[:3]) is not None:
        raise AccessPointAlreadyOwnedByYou
    bucket = await NAMES.find(tr, wanted.bucket)
    there = bucket is not None and bucket.active and bucket.account == wanted.bucket_account
    if bucket is None or not there or bucket.region != name.region:
        raise InvalidRequest("Amazon S3 AccessPoint can only be created for existing bucket")
    count = await POINT_COUNTS.find(tr, name.account, name.region) or PointCountRecord(0)
    if count.points >= points_max:
        raise TooManyAccessPoints
    record = msgspec.structs.replace(wanted, bucket_id=bucket.bucket_id)
    POINTS.put(tr, record, *name[:3])
    POINT_NAMES.put(tr, PointNameRecord(*name[:3]), record.alias)
    POINT_LISTS.put(tr, PointListRecord(), record.bucket_id, name.account, name.name)
    POINT_COUNTS.put(tr, PointCountRecord(count.points + 1), name.account, name.region)


async def require(tr: Transaction, name: PointName) -> PointRecord:
    """Return an access point.

    Raises:
        NoSuchAccessPoint: There is none of the name.
    """
    record = await POINTS.find(tr, *name[:3])
    if record is None:
        raise NoSuchAccessPoint(AccessPointName=name.name)
    return record


def put(tr: Transaction, name: PointName, record: PointRecord) -> None:
    """Write the record of an access point that there is."""
    POINTS.put(tr, record, *name[:3])


async def delete(tr: Transaction, name: PointName) -> None:
    """Delete an access point; see ``require``."""
    record = await require(tr, name)
    count = await POINT_COUNTS.find(tr, name.account, name.region)
    assert count is not None, "what stands is counted"
    POINTS.delete(tr, *name[:3])
    POINT_NAMES.delete(tr, record.alias)
    POINT_LISTS.delete(tr, record.bucket_id, name.account, name.name)
    POINT_COUNTS.put(tr, PointCountRecord(count.points - 1), name.account, name.region)


async def list_points(
    tr: Transaction, account: str, region: str, after: str, limit: int
) -> list[Listed]:
    """Return up to ``limit`` access points of an account in a region behind a name, in order."""
    rows = await POINTS.list(tr, account, region, limit=limit, after=(after,) if after else None)
    return [(str(key[0]), record) for key, record in rows]


async def list_of_bucket(
    tr: Transaction, owner: PointName, bucket: str, after: str, limit: int
) -> list[Listed]:
    """Return access points of an account that lead to a bucket; see ``list_points``."""
    named = await NAMES.find(tr, bucket)
    if named is None:
        return []
    rows = await POINT_LISTS.list(
        tr, named.bucket_id, owner.account, limit=limit, after=(after,) if after else None
    )
    names = [owner._replace(name=str(key[0])) for key, _ in rows]
    return [(each.name, await require(tr, each)) for each in names]


async def has_own(tr: Transaction, bucket: str) -> bool:
    """Return whether a bucket has access points of its own account."""
    named = await NAMES.find(tr, bucket)
    if named is None:
        return False
    return bool(await POINT_LISTS.list(tr, named.bucket_id, named.account, limit=1))


async def find_point(tr: Transaction, text: str) -> Point | None:
    """Return the access point that a request names; None if it means a bucket after all.

    Raises:
        NoSuchAccessPoint: It is the ARN of none.
        NoSuchBucket: It is the alias of none.
    """
    name = points.name_of(text)
    by_alias = name is None
    if name is None:
        aliased = await POINT_NAMES.find(tr, text)
        if aliased is None:
            raise NoSuchBucket(BucketName=text)
        name = PointName(aliased.account, aliased.region, aliased.name)
    elif name.bucket and await _means_bucket(tr, name):
        return None
    record = await require(tr, name)
    account = await buckets.find_account(tr, name.account)
    return points.point_of(name, record, account.access_block, by_alias=by_alias)


async def _means_bucket(tr: Transaction, name: PointName) -> bool:
    """Return whether a host names a bucket, and no access point.

    It does if that is the same account's, or if there is no such access point: nobody else draws
    requests to a bucket of theirs by its name.
    """
    bucket = await NAMES.find(tr, name.bucket)
    if bucket is not None and bucket.account == name.account:
        return True
    return await POINTS.find(tr, *name[:3]) is None


ACCESS_POINTS: Final = AccessPoints(
    domain=DIRECTORY,
    named=points.named,
    find=find_point,
    put=points.put_resource,
    check=points.check_served,
)
