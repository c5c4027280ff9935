"""Access control lists of buckets and objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.errors import AccessDenied
from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import bucket_arn, object_arn
from fogbank.services.s3.errors import AccessControlListNotSupported
from fogbank.services.s3.rules import access, acls, unhonoured
from fogbank.services.s3.rules.acls import Asked, People
from fogbank.services.s3.rules.notifications import ACL_PUT
from fogbank.services.s3.rules.refusals import ACL_BLOCKED, blocked
from fogbank.services.s3.rules.replies import owner_of
from fogbank.services.s3.schema import ENFORCED, Acl, BucketRecord, ObjectRecord
from fogbank.services.s3.state import buckets, notifications, people
from fogbank.services.s3.state.named import Named, change_version, read_version

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

_ACL_ONLY = {**unhonoured.DIGESTS}


@operation(
    access=access.on_bucket("s3:PutBucketAcl", access.ACL_KEYS),
    domain=access.bucket_domain,
    unhonoured=_ACL_ONLY,
)
async def put_bucket_acl(call: Call, request: shapes.PutBucketAclRequest) -> Wire:
    """Replace the access control list of a bucket."""
    asked = acls.asked_by(request)
    await people.check_people(call, asked)

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        arn = bucket_arn(call.region, bucket.name)
        _check(call, bucket, asked, "s3:PutBucketAcl", arn)
        _check_owner(asked, bucket.account)
        acl = acls.acl_of(asked, People(bucket.account, bucket.account))
        buckets.put_bucket(tr, msgspec.structs.replace(bucket, acl=acl))

    await call.store.transact(body)
    return {}


def _check(call: Call, bucket: BucketRecord, asked: Asked, action: str, arn: str) -> None:
    """Refuse a list where none counts, and one that lets the public in where that is blocked."""
    if bucket.ownership == ENFORCED:
        raise AccessControlListNotSupported
    if acls.is_blocked(bucket, asked, call.points):
        raise blocked(call, bucket, action, arn, ACL_BLOCKED)


def _check_owner(asked: Asked, owner: str) -> None:
    """Refuse a document that gives what it is about to somebody else."""
    if asked.owner_id not in ("", acls.owner_id(owner)):
        raise AccessDenied("Access Denied")


@operation(access=access.on_bucket("s3:GetBucketAcl"), domain=access.bucket_domain)
async def get_bucket_acl(
    call: Call, request: shapes.GetBucketAclRequest
) -> shapes.GetBucketAclOutput:
    """Return the access control list of a bucket."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    bucket = await call.store.read(body)
    reply: shapes.GetBucketAclOutput = {**await _shown(call, bucket.account, bucket.acl)}
    return reply


async def _shown(call: Call, owner: str, acl: Acl | None) -> shapes.AccessControlPolicy:
    """Return an owner and the grants of a list, as replies have them."""
    grants = acls.grants_of(acl, owner)
    names = await people.display_names(call, acls.ids_of(grants) | {acls.owner_id(owner)})
    return {
        "Owner": owner_of(owner, names),
        "Grants": acls.shown_grants(grants, names),
    }


@operation(
    access=access.put_object_acl,
    domain=access.bucket_domain,
    unhonoured=_ACL_ONLY,
)
async def put_object_acl(
    call: Call, request: shapes.PutObjectAclRequest
) -> shapes.PutObjectAclOutput:
    """Replace the access control list of an object or a version."""
    asked = acls.asked_by(request)
    await people.check_people(call, asked)
    arn = object_arn(call.region, request["Bucket"], request["Key"])

    now_ms = call.clock.now_ms()

    async def change(tr: Transaction, named: Named) -> ObjectRecord:
        bucket, record = named
        _check(call, bucket, asked, "s3:PutObjectAcl", arn)
        owner = record.owner or bucket.account
        _check_owner(asked, owner)
        acl = acls.acl_of(asked, People(owner, bucket.account))
        if acl != record.acl:
            # AWS: "An event is not generated when a request results in no change to an object's ACL".
            told = (ACL_PUT, request["Key"], record)
            await notifications.tell_of_version(tr, call, bucket, now_ms, told)
        return msgspec.structs.replace(record, acl=acl)

    await change_version(call, request, change)
    return {}


@operation(access=access.on_version("Get", "Acl"), domain=access.bucket_domain)
async def get_object_acl(
    call: Call, request: shapes.GetObjectAclRequest
) -> shapes.GetObjectAclOutput:
    """Return the access control list of an object or a version."""
    bucket, record = await read_version(call, request)
    if bucket.ownership == ENFORCED:
        return {**await _shown(call, bucket.account, None)}
    return {**await _shown(call, record.owner or bucket.account, record.acl)}
