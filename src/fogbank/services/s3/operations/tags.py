"""Tags of buckets, and of objects and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.rules import access, tags, unhonoured
from fogbank.services.s3.rules.notifications import TAGGED, UNTAGGED
from fogbank.services.s3.rules.versions import version_member
from fogbank.services.s3.schema import ObjectRecord, Tag, TagsRecord
from fogbank.services.s3.state import buckets, notifications
from fogbank.services.s3.state.configurations import TAGS
from fogbank.services.s3.state.named import Change, Named, change_version, read_version

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(
    access=access.on_bucket("s3:PutBucketTagging"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_tagging(call: Call, request: shapes.PutBucketTaggingRequest) -> Wire:
    """Replace the tags of a bucket; an empty set removes them."""
    given = tags.tags_of(request["Tagging"]["TagSet"], tags.BUCKET)
    await _replace(call, request, TagsRecord(given) if given else None)
    return {}


async def _replace(call: Call, request: Request, record: TagsRecord | None) -> None:
    """Replace the tags of a bucket; None removes them.

    Raises:
        InvalidRequest: They are condition keys, and only S3 Control changes those.
    """

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        tags.check_replaceable(bucket)
        if record is None:
            TAGS.delete(tr, bucket)
        else:
            TAGS.put(tr, bucket, record)

    await call.store.transact(body)


@operation(access=access.on_bucket("s3:GetBucketTagging"), domain=access.bucket_domain)
async def get_bucket_tagging(
    call: Call, request: shapes.GetBucketTaggingRequest
) -> shapes.GetBucketTaggingOutput:
    """Return the tags of a bucket."""
    return {"TagSet": tags.tag_set((await TAGS.read(call, request)).tags)}


@operation(access=access.on_bucket("s3:PutBucketTagging"), domain=access.bucket_domain)
async def delete_bucket_tagging(call: Call, request: shapes.DeleteBucketTaggingRequest) -> Wire:
    """Remove the tags of a bucket, whether it has some or not."""
    await _replace(call, request, None)
    return {}


@operation(
    access=access.on_version("Put", "Tagging"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_object_tagging(
    call: Call, request: shapes.PutObjectTaggingRequest
) -> shapes.PutObjectTaggingOutput:
    """Replace the tags of an object or of a version of it."""
    given = tags.tags_of(request["Tagging"]["TagSet"], tags.OBJECT)
    change = _retagging(call, request, given, TAGGED)
    return version_member(*await change_version(call, request, change))


@operation(
    access=access.on_version("Get", "Tagging"),
    domain=access.bucket_domain,
)
async def get_object_tagging(
    call: Call, request: shapes.GetObjectTaggingRequest
) -> shapes.GetObjectTaggingOutput:
    """Return the tags of an object or of a version of it; none is no error."""
    found = await read_version(call, request)
    return {"TagSet": tags.tag_set(found.record.tags), **version_member(*found)}


@operation(access=access.on_version("Delete", "Tagging"), domain=access.bucket_domain)
async def delete_object_tagging(
    call: Call, request: shapes.DeleteObjectTaggingRequest
) -> shapes.DeleteObjectTaggingOutput:
    """Remove the tags of an object or of a version of it."""
    change = _retagging(call, request, (), UNTAGGED)
    return version_member(*await change_version(call, request, change, "DELETE"))


def _retagging(call: Call, request: Request, given: tuple[Tag, ...], event: str) -> Change:
    """Return the change of a version that gives it other tags and tells of it."""
    now_ms = call.clock.now_ms()

    async def change(tr: Transaction, named: Named) -> ObjectRecord:
        told = (event, request["Key"], named.record)
        await notifications.tell_of_version(tr, call, named.bucket, now_ms, told)
        return msgspec.structs.replace(named.record, tags=given)

    return change
