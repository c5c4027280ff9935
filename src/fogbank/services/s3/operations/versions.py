"""Versioning of buckets, and listings of all versions of their objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.errors import InvalidArgument
from fogbank.services.s3.rules import access, unhonoured
from fogbank.services.s3.rules.lifecycle import check_unruled
from fogbank.services.s3.rules.listings import (
    Walk,
    check_encoding,
    encoded,
    limit_of,
    walk_from_marker,
)
from fogbank.services.s3.rules.replies import common_prefixes, listed_id, listed_versions
from fogbank.services.s3.rules.versions import ENABLED, versioning_of
from fogbank.services.s3.schema import OBJECTS, BucketRecord
from fogbank.services.s3.state import buckets, people, second_factor, versions

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(
    access=access.on_bucket("s3:PutBucketVersioning"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_versioning(call: Call, request: shapes.PutBucketVersioningRequest) -> Wire:
    """Enable or suspend the versioning of a bucket; it never becomes one without versions again.

    Whether removals need a second factor is the root user's to say, with one.
    """
    configuration = request["VersioningConfiguration"]
    status = versioning_of(configuration)
    asked: str | None = configuration.get("MFADelete")
    proved = await second_factor.prove(call, request)

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        mfa_delete = second_factor.mfa_delete_of(call.principal, bucket, asked, proved=proved)
        if mfa_delete == ENABLED:
            check_unruled(bucket)
        buckets.put_versioning(tr, bucket, status, mfa_delete)

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetBucketVersioning"), domain=access.bucket_domain)
async def get_bucket_versioning(
    call: Call, request: shapes.GetBucketVersioningRequest
) -> shapes.GetBucketVersioningOutput:
    """Return whether versioning is enabled or suspended; nothing if it never was enabled."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    bucket = await call.store.read(body)
    reply: shapes.GetBucketVersioningOutput = {}
    if bucket.versioning:
        reply["Status"] = bucket.versioning
    if bucket.mfa_delete:
        reply["MFADelete"] = bucket.mfa_delete
    return reply


class _Asked(NamedTuple):
    """The bucket to list, and where to begin."""

    bucket: BucketRecord
    walk: Walk


@operation(
    access=access.on_bucket("s3:ListBucketVersions", access.LIST_KEYS),
    domain=access.bucket_domain,
    unhonoured=unhonoured.LIST,
)
async def list_object_versions(
    call: Call, request: shapes.ListObjectVersionsRequest
) -> shapes.ListObjectVersionsOutput:
    """List the versions and delete markers of all keys, the newest of each key first."""
    check_encoding(request)
    bucket, begin = await _asked(call, request)
    walk = await versions.walk_versions(call.store, bucket, begin)
    records = (OBJECTS.decode(row.value) for row in walk.rows)
    owners = await people.owners_of(call, bucket, records)
    shown, markers = listed_versions(request, owners, walk.rows, begin.place)
    reply: shapes.ListObjectVersionsOutput = {
        "Name": request["Bucket"],
        "Prefix": encoded(request, walk.prefix),
        "KeyMarker": encoded(request, request.get("KeyMarker") or ""),
        "VersionIdMarker": request.get("VersionIdMarker") or "",
        "MaxKeys": walk.limit,
        "IsTruncated": walk.truncated,
        "Versions": shown,
        "DeleteMarkers": markers,
        "CommonPrefixes": common_prefixes(request, walk.prefixes),
    }
    if delimiter := request.get("Delimiter"):
        reply["Delimiter"] = encoded(request, delimiter)
    if encoding := request.get("EncodingType"):
        reply["EncodingType"] = encoding
    if walk.truncated:
        reply["NextKeyMarker"] = encoded(request, walk.place.after[0])
        if not walk.place.past:
            reply["NextVersionIdMarker"] = listed_id(walk.rows[-1])
    return reply


async def _asked(call: Call, request: Request) -> _Asked:
    """Return the bucket and the beginning of the walk that a request asks for.

    Raises:
        InvalidArgument: The marker of the version is empty, cannot be one, or has no key.
    """
    prefix, delimiter = request.get("Prefix") or "", request.get("Delimiter") or ""
    limit = limit_of(request, "MaxKeys", "maxKeys")
    key: str = request.get("KeyMarker") or ""
    version_id: str | None = request.get("VersionIdMarker")
    if version_id is not None and not (key and version_id):
        raise InvalidArgument(
            "A version-id marker cannot be specified without a key marker."
            if version_id
            else "A version-id marker cannot be empty.",
            ArgumentName="version-id-marker",
            ArgumentValue=version_id,
        )

    async def body(tr: Transaction) -> _Asked:
        bucket = await buckets.require_bucket(tr, call, request)
        if version_id is None:
            return _Asked(bucket, walk_from_marker(prefix, delimiter, limit, key))
        place = await versions.find_place(tr, bucket, key, version_id)
        return _Asked(bucket, Walk(prefix, delimiter, limit, place))

    return await call.store.read(body)
