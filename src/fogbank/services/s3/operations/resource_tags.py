"""Tags of buckets by S3 Control, a key at a time: the only way where they are condition keys.

Source: Amazon S3 API Reference, TagResource, UntagResource, ListTagsForResource; User Guide, "Using
tags with S3 general purpose buckets".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.rules import tags
from fogbank.services.s3.rules.tagged import on_tagged, tagged_bucket, tagged_domain
from fogbank.services.s3.schema import BucketRecord, Tag, TagsRecord
from fogbank.services.s3.state import buckets
from fogbank.services.s3.state.configurations import TAGS

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3control as shapes

T = TypeVar("T")


async def _found(tr: Transaction, call: Call, request: Request) -> tuple[BucketRecord, list[Tag]]:
    """Return the bucket that an ARN names, and its tags.

    AWS: the account is the one that created the bucket, or the caller's (API Reference, TagResource).
    """
    named = {"Bucket": tagged_bucket(request)}
    if request["AccountId"] != call.account:
        named["ExpectedBucketOwner"] = request["AccountId"]
    bucket = await buckets.require_bucket(tr, call, named)
    record = await TAGS.find(tr, bucket)
    return bucket, [] if record is None else list(record.tags)


async def _change(
    call: Call, request: Request, change: Callable[[list[Tag]], tuple[Tag, ...]]
) -> None:
    """Change the tags of the bucket that a request names."""

    async def body(tr: Transaction) -> None:
        bucket, had = await _found(tr, call, request)
        if wanted := change(had):
            TAGS.put(tr, bucket, TagsRecord(wanted))
        else:
            TAGS.delete(tr, bucket)

    store = call.store
    await call.decided(lambda: store.transact(body))


@operation(access=on_tagged("s3:TagResource"), domain=tagged_domain)
async def tag_resource(call: Call, request: shapes.TagResourceRequest) -> shapes.TagResourceResult:
    """Give a bucket tags, or the keys that it has other values."""
    given = tags.tags_of(request["Tags"], tags.BUCKET)

    def change(had: list[Tag]) -> tuple[Tag, ...]:
        kept = {tag.key: tag for tag in (*had, *given)}
        return tags.tags_of(tags.tag_set(tuple(kept.values())), tags.BUCKET)

    await _change(call, request, change)
    return {}


@operation(access=on_tagged("s3:UntagResource"), domain=tagged_domain)
async def untag_resource(
    call: Call, request: shapes.UntagResourceRequest
) -> shapes.UntagResourceResult:
    """Take tags from a bucket, those that it has."""
    doomed = frozenset(request["TagKeys"])
    await _change(call, request, lambda had: tuple(tag for tag in had if tag.key not in doomed))
    return {}


@operation(access=on_tagged("s3:ListTagsForResource"), domain=tagged_domain)
async def list_tags_for_resource(
    call: Call, request: shapes.ListTagsForResourceRequest
) -> shapes.ListTagsForResourceResult:
    """Return the tags of a bucket; none is no error."""

    async def body(tr: Transaction) -> list[Tag]:
        return (await _found(tr, call, request))[1]

    store = call.store
    found = await call.decided(lambda: store.read(body))
    return {"Tags": tags.tag_set(found)}
