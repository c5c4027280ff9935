"""Removing objects and versions, one by one and many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

from fogbank.base.errors import AccessDenied, ServiceError
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3 import quotas
from fogbank.services.s3.errors import InvalidArgument, MalformedXML, NoSuchVersion
from fogbank.services.s3.events import Happening
from fogbank.services.s3.quotas import DELETE_KEYS_MAX
from fogbank.services.s3.rules import access, conditions, retention
from fogbank.services.s3.rules.logging import BATCH_DELETE, Deed
from fogbank.services.s3.rules.notifications import REMOVED_DELETE, REMOVED_MARKER
from fogbank.services.s3.rules.sequencing import sequencer_of
from fogbank.services.s3.rules.versions import NULL, delete_marker, invalid_id
from fogbank.services.s3.schema import BucketRecord, ObjectRecord
from fogbank.services.s3.state import (
    buckets,
    logs,
    notifications,
    objects,
    second_factor,
    versions,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

DELETES_PER_TRANSACTION: Final = 50
_REMOVED: Final = 204
_DENIED: Final = 403


class _Wanted(NamedTuple):
    """What is to be removed, and on what conditions."""

    key: str
    version_id: str | None
    etag: str | None
    modified_ms: int | None
    size: int | None
    bypasses: bool
    """Whether a GOVERNANCE retention is no hindrance."""


class _Removed(NamedTuple):
    """What was removed, or what was put in its place."""

    version_id: str = ""
    """Of the version or marker; empty without versioning."""
    delete_marker: bool = False
    """Whether it is a delete marker."""


_Outcome = tuple["shapes.ObjectIdentifier", "ServiceError | _Removed"]
"""An entry of DeleteObjects, and how it went."""


@operation(access=access.delete_object, domain=access.bucket_domain)
async def delete_object(
    call: Call, request: shapes.DeleteObjectRequest
) -> shapes.DeleteObjectOutput:
    """Remove an object or a version of it; that there is none is no error."""
    wanted = _Wanted(
        request["Key"],
        request.get("VersionId"),
        request.get("IfMatch"),
        request.get("IfMatchLastModifiedTime"),
        request.get("IfMatchSize"),
        bool(request.get("BypassGovernanceRetention")),
    )
    now_ms = call.clock.now_ms()
    proved = await second_factor.prove(call, request)

    async def body(tr: Transaction) -> _Removed:
        bucket = await buckets.require_bucket(tr, call, request)
        if wanted.version_id is not None:
            second_factor.require(bucket, proved=proved)
        retention.check_bypass(bucket, request)
        return await _remove(tr, call, bucket, wanted, now_ms, tells_absent=False)

    removed = await call.store.transact(body)
    reply: shapes.DeleteObjectOutput = {}
    if removed.version_id:
        reply["VersionId"] = removed.version_id
    if removed.delete_marker:
        reply["DeleteMarker"] = True
    return reply


async def _remove(
    tr: Transaction,
    call: Call,
    bucket: BucketRecord,
    wanted: _Wanted,
    now_ms: int,
    *,
    tells_absent: bool,
) -> _Removed:
    """Remove an object, put a marker on it, or remove a version, and tell of it.

    Raises:
        PreconditionFailed: The object is another.
        InvalidArgument: The version cannot be one.
    """
    current = await objects.find_object(tr, bucket, wanted.key)
    if wanted.version_id is not None:
        return await _remove_version(tr, call, bucket, wanted, current, now_ms)
    conditions.check_delete(current, wanted.etag, wanted.modified_ms, wanted.size)
    if bucket.versioning:
        return await _mark(tr, call, bucket, wanted.key, current, now_ms)
    if current is not None:
        await objects.remove_object(tr, bucket, wanted.key, current, now_ms)
    if current is not None or tells_absent:
        happening = Happening(REMOVED_DELETE, wanted.key, sequencer_of(now_ms, current))
        await notifications.tell(tr, call, bucket, now_ms, happening)
    return _Removed()


async def _mark(
    tr: Transaction,
    call: Call,
    bucket: BucketRecord,
    key: str,
    current: ObjectRecord | None,
    now_ms: int,
) -> _Removed:
    """Put a delete marker on a key, whether there is something to delete or not."""
    place = await versions.next_place(tr, bucket, key, current, now_ms, call.request_id)
    marker = delete_marker(place, now_ms)
    await versions.put_marker(tr, bucket, key, marker, current)
    shown = marker.version_id or NULL
    happening = Happening(REMOVED_MARKER, key, marker.sequencer, version_id=shown)
    await notifications.tell(tr, call, bucket, now_ms, happening)
    return _Removed(shown, delete_marker=True)


async def _remove_version(
    tr: Transaction,
    call: Call,
    bucket: BucketRecord,
    wanted: _Wanted,
    current: ObjectRecord | None,
    now_ms: int,
) -> _Removed:
    """Remove a version or a marker for good."""
    assert wanted.version_id is not None
    if not bucket.versioning and wanted.version_id != NULL:
        raise invalid_id(wanted.version_id)
    key = wanted.key
    record = await versions.find_version(tr, bucket, key, wanted.version_id)
    if record is None:
        return _Removed(wanted.version_id)
    if not record.delete_marker:
        conditions.check_delete(record, wanted.etag, wanted.modified_ms, wanted.size)
    top = await versions.find_top(tr, bucket, key, current)
    await versions.remove_version(
        tr, bucket, key, record, current, now_ms, bypasses=wanted.bypasses
    )
    shown = wanted.version_id if bucket.versioning else ""
    happening = Happening(REMOVED_DELETE, key, sequencer_of(now_ms, top), version_id=shown)
    await notifications.tell(tr, call, bucket, now_ms, happening)
    return _Removed(wanted.version_id, delete_marker=record.delete_marker)


@operation(
    access=access.delete_objects,
    domain=access.bucket_domain,
    body=BodyLimit(quotas.LONG_REQUEST_BYTES),
)
async def delete_objects(
    call: Call, request: shapes.DeleteObjectsRequest
) -> shapes.DeleteObjectsOutput:
    """Remove up to a thousand objects, each by itself, and say of each how it went."""
    entries = request["Delete"].get("Objects") or []
    if not 1 <= len(entries) <= DELETE_KEYS_MAX or any("Key" not in entry for entry in entries):
        raise MalformedXML

    proved = await second_factor.prove(call, request)
    await _settle(call, request)
    refusals = [await _refusal(call, request, entry) for entry in entries]
    if not call.account and None not in refusals:
        # Who is nobody and may nothing hears only that.
        raise AccessDenied("Access Denied")
    outcomes: list[_Outcome] = []
    for at in range(0, len(entries), DELETES_PER_TRANSACTION):
        end = at + DELETES_PER_TRANSACTION
        piece = zip(entries[at:end], refusals[at:end], strict=True)
        outcomes += await _delete_some(call, request, list(piece), at, proved=proved)
    return _delete_reply(outcomes, quiet=bool(request["Delete"].get("Quiet")))


async def _refusal(
    call: Call, request: Request, entry: shapes.ObjectIdentifier
) -> ServiceError | None:
    """Return why the caller may not remove an object, or None if it may."""
    alone = {"Bucket": request["Bucket"], **entry}
    if "ETag" in entry:
        alone["IfMatch"] = entry["ETag"]
    if request.get("BypassGovernanceRetention"):
        alone["BypassGovernanceRetention"] = True
    try:
        for needed in access.delete_object(call.scope, alone):
            await call.require(needed.action, needed.resource, needed.context)
    except ServiceError as error:
        if error.code != AccessDenied.code:
            raise
        return error
    return None


async def _settle(call: Call, request: Request) -> None:
    """Look at the bucket, so that each key is decided with what it says."""

    async def look(tr: Transaction) -> None:
        await buckets.settle_bucket(tr, call, request)

    await call.store.read(look)


async def _delete_some(
    call: Call,
    request: Request,
    piece: list[tuple[shapes.ObjectIdentifier, ServiceError | None]],
    at: int,
    *,
    proved: bool,
) -> list[_Outcome]:
    """Remove some objects in one transaction; what is refused leaves the others alone.

    A second factor that is missing for one version is missing for the whole request. The records of
    a bucket with a log are of the same transaction; ``at`` counts what was removed before.
    """
    now_ms = call.clock.now_ms()
    names_versions = any("VersionId" in entry for entry in request["Delete"]["Objects"])

    async def body(tr: Transaction) -> list[_Outcome]:
        bucket = await buckets.require_bucket(tr, call, request)
        if names_versions:
            second_factor.require(bucket, proved=proved)
        outcomes: list[_Outcome] = [
            (entry, refused or await _delete_one(tr, call, bucket, (request, entry), now_ms))
            for entry, refused in piece
        ]
        if bucket.logs:
            deeds = [_deed_of(entry, outcome) for entry, outcome in outcomes]
            await logs.keep_deeds(tr, call, bucket, deeds, (now_ms, at))
        return outcomes

    return await call.store.transact(body)


def _deed_of(entry: shapes.ObjectIdentifier, outcome: ServiceError | _Removed) -> Deed:
    """Return what the log says of one removal of many."""
    named = (BATCH_DELETE, entry["Key"], entry.get("VersionId", ""))
    if isinstance(outcome, ServiceError):
        return Deed(*named, outcome.status or _DENIED, outcome.code)
    return Deed(*named, _REMOVED)


async def _delete_one(
    tr: Transaction,
    call: Call,
    bucket: BucketRecord,
    named: tuple[Request, shapes.ObjectIdentifier],
    now_ms: int,
) -> ServiceError | _Removed:
    """Remove one object that a request names; return why not, if not."""
    request, entry = named
    wanted = _Wanted(
        entry["Key"],
        entry.get("VersionId"),
        entry.get("ETag"),
        entry.get("LastModifiedTime"),
        entry.get("Size"),
        bool(request.get("BypassGovernanceRetention")),
    )
    try:
        # AWS: DeleteObjects tells even of keys that are not there (LocalStack, delete_objects).
        return await _remove(tr, call, bucket, wanted, now_ms, tells_absent=True)
    except InvalidArgument:
        return NoSuchVersion()
    except ServiceError as error:
        return error


class _Named(TypedDict, total=False):
    """What DeleteObjects says of every object."""

    Key: str
    VersionId: str


def _delete_reply(outcomes: list[_Outcome], *, quiet: bool) -> shapes.DeleteObjectsOutput:
    """Return the reply of DeleteObjects: what was removed, unless quiet, and what was not."""
    deleted: list[shapes.DeletedObject] = []
    errors: list[shapes.Error] = []
    for entry, outcome in outcomes:
        named: _Named = {"Key": entry["Key"]}
        if "VersionId" in entry:
            named["VersionId"] = entry["VersionId"]
        if isinstance(outcome, ServiceError):
            errors.append({**named, "Code": outcome.code, "Message": outcome.message})
        elif not quiet:
            deleted.append(_deleted(named, outcome))
    reply: shapes.DeleteObjectsOutput = {}
    if deleted:
        reply["Deleted"] = deleted
    if errors:
        reply["Errors"] = errors
    return reply


def _deleted(named: _Named, removed: _Removed) -> shapes.DeletedObject:
    """Return one entry of what was removed."""
    entry: shapes.DeletedObject = {**named}
    if removed.delete_marker:
        entry["DeleteMarker"] = True
        entry["DeleteMarkerVersionId"] = removed.version_id
    return entry
