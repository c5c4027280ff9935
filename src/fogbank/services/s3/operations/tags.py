"""Tags of buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.services.s3.rules import access, tags, unhonoured
from fogbank.services.s3.schema import TagsRecord
from fogbank.services.s3.state.configurations import TAGS

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
    await TAGS.replace(call, request, TagsRecord(given) if given else None)
    return {}


@operation(access=access.on_bucket("s3:GetBucketTagging"), domain=access.bucket_domain)
async def get_bucket_tagging(
    call: Call, request: shapes.GetBucketTaggingRequest
) -> shapes.GetBucketTaggingOutput:
    """Return the tags of a bucket."""
    return {"TagSet": tags.tag_set((await TAGS.read(call, request)).tags)}


@operation(access=access.on_bucket("s3:PutBucketTagging"), domain=access.bucket_domain)
async def delete_bucket_tagging(call: Call, request: shapes.DeleteBucketTaggingRequest) -> Wire:
    """Remove the tags of a bucket, whether it has some or not."""
    await TAGS.remove(call, request)
    return {}
