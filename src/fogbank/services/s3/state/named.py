"""The version that a request names, read or changed: its tags, its locks, not its bytes.

Rule: what is said of a version is changed where the version lies, current or not, in the transaction
that found it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fogbank.base.errors import AccessDenied, ServiceError
from fogbank.base.types import Request
from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import bucket_arn, object_arn
from fogbank.services.s3.errors import MethodNotAllowed, NoSuchKey, NoSuchVersion
from fogbank.services.s3.rules import access
from fogbank.services.s3.rules.retention import RetentionMembers, retention_members
from fogbank.services.s3.schema import BucketRecord, ObjectRecord
from fogbank.services.s3.state import buckets, objects, versions


class Named(NamedTuple):
    """A version, and the bucket it lies in."""

    bucket: BucketRecord
    record: ObjectRecord


class FurtherMembers(RetentionMembers, total=False):
    """What GetObject and HeadObject say of a version to who may know it."""

    TagCount: int
    ObjectLockLegalHoldStatus: str


Change = Callable[[Transaction, Named], Awaitable[ObjectRecord]]
"""Returns what the version's record becomes; what it writes beside is of the same transaction."""
Admit = Callable[[BucketRecord], None]
"""Refuses a bucket in which the operation makes no sense."""


async def read_version(call: Call, request: Request, admit: Admit | None = None) -> Named:
    """Return the version that a request names, or the current one.

    Raises:
        NoSuchKey: There is none, and the caller may know: it may list the bucket.
        NoSuchVersion: There is no such version of it.
        MethodNotAllowed: It is a delete marker.
    """

    async def body(tr: Transaction) -> Named | None:
        return await _find(tr, call, request, "GET", admit)

    return await _required(call, request, await call.store.read(body))


async def change_version(
    call: Call,
    request: Request,
    change: Change,
    method: str = "PUT",
    admit: Admit | None = None,
) -> Named:
    """Change what is said of the version that a request names; see ``read_version``.

    Returns:
        The version as it has become.
    """

    async def body(tr: Transaction) -> Named | None:
        named = await _find(tr, call, request, method, admit)
        if named is None:
            return None
        revised = await change(tr, named)
        await versions.revise(tr, named.bucket, request["Key"], revised)
        return Named(named.bucket, revised)

    return await _required(call, request, await call.store.transact(body))


async def _find(
    tr: Transaction, call: Call, request: Request, method: str, admit: Admit | None
) -> Named | None:
    """Return the version that a request names; None if there is none."""
    bucket = await buckets.require_bucket(tr, call, request)
    if admit is not None:
        admit(bucket)
    key, version_id = request["Key"], request.get("VersionId")
    if version_id is None:
        current = await objects.find_object(tr, bucket, key)
        record = await versions.find_top(tr, bucket, key, current)
    else:
        record = await versions.find_version(tr, bucket, key, version_id)
    if record is None:
        return None
    if record.delete_marker:
        raise MethodNotAllowed(Method=method, ResourceType="DeleteMarker")
    return Named(bucket, record)


async def _required(call: Call, request: Request, named: Named | None) -> Named:
    """Return a version that was found, or say that there is none to who may know."""
    if named is not None:
        return named
    prefix = {"s3:prefix": request["Key"]}
    await call.require("s3:ListBucket", bucket_arn(call.region, request["Bucket"]), prefix)
    raise _absent(request)


def _absent(request: Request) -> ServiceError:
    """Return the error for a version that is not there."""
    if "VersionId" in request:
        return NoSuchVersion(Key=request["Key"], VersionId=request["VersionId"])
    return NoSuchKey(Key=request["Key"])


async def further_members(call: Call, request: Request, record: ObjectRecord) -> FurtherMembers:
    """Return what GetObject and HeadObject say of a version to who may ask for it alone.

    AWS: "when you have the relevant permission to read object tags"; "only returned if the
    requester has the s3:GetObjectRetention permission" (API Reference, GetObject, HeadObject).
    """
    members: FurtherMembers = {}
    if record.tags and await _may(
        call, access.version_access(call.scope, request, "Get", "Tagging")
    ):
        members["TagCount"] = len(record.tags)
    protection = record.protection
    if protection is None:
        return members
    arn = object_arn(call.region, request["Bucket"], request["Key"])
    if protection.mode and await _may(call, Access("s3:GetObjectRetention", arn)):
        members = {**members, **retention_members(protection)}
    if protection.legal_hold and await _may(call, Access("s3:GetObjectLegalHold", arn)):
        members["ObjectLockLegalHoldStatus"] = protection.legal_hold
    return members


async def _may(call: Call, needed: Access) -> bool:
    """Return whether the caller may do something beside what it does."""
    try:
        await call.require(needed.action, needed.resource, needed.context)
    except ServiceError as error:
        if error.code != AccessDenied.code:
            raise
        return False
    return True
