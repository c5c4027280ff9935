"""Tags of buckets and access points by S3 Control, a key at a time.

It is the only way for access points, and for buckets whose tags are condition keys.

Source: Amazon S3 API Reference, TagResource, UntagResource, ListTagsForResource; User Guide, "Using
tags with S3 general purpose buckets", "Using tags with S3 Access Points for general purpose buckets".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.rules import tags
from fogbank.services.s3.rules.points import PointName, check_account
from fogbank.services.s3.rules.tagged import on_tagged, tagged_bucket, tagged_domain, tagged_point
from fogbank.services.s3.schema import BucketRecord, Tag, TagsRecord
from fogbank.services.s3.state import buckets, points
from fogbank.services.s3.state.configurations import TAGS

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3control as shapes


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


def _find_point(call: Call, request: Request) -> PointName | None:
    """Return the access point that an ARN names, of the caller's account; None: it names a bucket.

    Raises:
        AccessDenied: It is another account's.
    """
    found = tagged_point(request)
    if found is None:
        return None
    check_account(call, {"AccountId": found[0]})
    check_account(call, request)
    return PointName(*found)


async def _change(
    call: Call, request: Request, kind: tags.Kind, change: Callable[[list[Tag]], list[Tag]]
) -> None:
    """Change the tags of the bucket or access point that a request names."""
    point = _find_point(call, request)

    def wanted_of(had: list[Tag]) -> tuple[Tag, ...]:
        return tags.tags_of(tags.tag_set(change(had)), kind)

    async def body(tr: Transaction) -> None:
        if point is not None:
            record = await points.require(tr, point)
            tagged = msgspec.structs.replace(record, tags=wanted_of(list(record.tags)))
            points.put(tr, point, tagged)
            return
        bucket, had = await _found(tr, call, request)
        if wanted := wanted_of(had):
            TAGS.put(tr, bucket, TagsRecord(wanted))
        else:
            TAGS.delete(tr, bucket)

    store = call.store
    await call.decided(lambda: store.transact(body))


def _kind_of(request: Request) -> tags.Kind:
    """Return what bears the tags of a request."""
    return tags.BUCKET if tagged_point(request) is None else tags.POINT


@operation(access=on_tagged("s3:TagResource"), domain=tagged_domain)
async def tag_resource(call: Call, request: shapes.TagResourceRequest) -> shapes.TagResourceResult:
    """Give a bucket or an access point tags, or the keys that it has other values."""
    kind = _kind_of(request)
    given = tags.tags_of(request["Tags"], kind)

    def change(had: list[Tag]) -> list[Tag]:
        return list({tag.key: tag for tag in (*had, *given)}.values())

    await _change(call, request, kind, change)
    return {}


@operation(access=on_tagged("s3:UntagResource"), domain=tagged_domain)
async def untag_resource(
    call: Call, request: shapes.UntagResourceRequest
) -> shapes.UntagResourceResult:
    """Take tags from a bucket or an access point, those that it has."""
    doomed = frozenset(request["TagKeys"])

    def change(had: list[Tag]) -> list[Tag]:
        return [tag for tag in had if tag.key not in doomed]

    await _change(call, request, _kind_of(request), change)
    return {}


@operation(access=on_tagged("s3:ListTagsForResource"), domain=tagged_domain)
async def list_tags_for_resource(
    call: Call, request: shapes.ListTagsForResourceRequest
) -> shapes.ListTagsForResourceResult:
    """Return the tags of a bucket or an access point; none is no error."""
    point = _find_point(call, request)

    async def body(tr: Transaction) -> list[Tag]:
        if point is not None:
            return list((await points.require(tr, point)).tags)
        return (await _found(tr, call, request))[1]

    store = call.store
    found = await call.decided(lambda: store.read(body))
    return {"Tags": tags.tag_set(found)}
