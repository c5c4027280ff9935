"""Object Lock: its configuration of buckets, retention and legal hold of versions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import ANY, operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.errors import (
    MalformedXML,
    NoSuchObjectLockConfiguration,
    ObjectLockConfigurationNotFoundError,
)
from fogbank.services.s3.rules import access, retention, unhonoured
from fogbank.services.s3.rules.notifications import RETAINED
from fogbank.services.s3.schema import BucketRecord, ObjectRecord, Protection
from fogbank.services.s3.state import buckets, notifications
from fogbank.services.s3.state.named import Named, change_version, read_version

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes


@operation(
    access=access.on_bucket("s3:PutBucketObjectLockConfiguration"),
    domain=access.bucket_domain,
    # AWS: buckets with versions need no token any more (User Guide, "Configuring S3 Object Lock").
    unhonoured={**unhonoured.DIGESTS, "Token": ANY},
)
async def put_object_lock_configuration(
    call: Call, request: shapes.PutObjectLockConfigurationRequest
) -> shapes.PutObjectLockConfigurationOutput:
    """Enable Object Lock for good, or change the retention that new versions have by default."""
    configuration = request.get("ObjectLockConfiguration")
    if configuration is None:
        raise MalformedXML
    lock = retention.object_lock_of(configuration)

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        retention.check_lockable(bucket)
        buckets.put_object_lock(tr, bucket, lock)

    await call.store.transact(body)
    return {}


@operation(
    access=access.on_bucket("s3:GetBucketObjectLockConfiguration"), domain=access.bucket_domain
)
async def get_object_lock_configuration(
    call: Call, request: shapes.GetObjectLockConfigurationRequest
) -> shapes.GetObjectLockConfigurationOutput:
    """Return whether a bucket has Object Lock, and its default retention."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    bucket = await call.store.read(body)
    if bucket.object_lock is None:
        raise ObjectLockConfigurationNotFoundError(BucketName=bucket.name)
    return {"ObjectLockConfiguration": retention.object_lock_view(bucket.object_lock)}


async def _protection(call: Call, request: Request) -> Protection:
    """Return what protects the version that a request names.

    Raises:
        NoSuchObjectLockConfiguration: Nothing ever did.
    """
    found = await read_version(call, request, retention.require_object_lock)
    if found.record.protection is None:
        raise NoSuchObjectLockConfiguration
    return found.record.protection


async def _protect(
    call: Call,
    request: Request,
    protect: Callable[[Transaction, Named], Awaitable[Protection]],
) -> None:
    """Change what protects the version that a request names."""

    async def change(tr: Transaction, named: Named) -> ObjectRecord:
        return msgspec.structs.replace(named.record, protection=await protect(tr, named))

    await change_version(call, request, change, admit=retention.require_object_lock)


@operation(
    access=access.put_object_retention,
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_object_retention(
    call: Call, request: shapes.PutObjectRetentionRequest
) -> shapes.PutObjectRetentionOutput:
    """Give a version a retention, make it longer, or (where it yields) less."""
    given = request.get("Retention")
    if given is None:
        raise MalformedXML
    now_ms = call.clock.now_ms()
    bypasses = bool(request.get("BypassGovernanceRetention"))

    async def protect(tr: Transaction, named: Named) -> Protection:
        told = (RETAINED, request["Key"], named.record)
        await notifications.tell_of_version(tr, call, named.bucket, now_ms, told)
        return retention.retained(named.record, given, now_ms, bypasses=bypasses)

    await _protect(call, request, protect)
    return {}


@operation(
    access=access.on_any_version("s3:GetObjectRetention"),
    domain=access.bucket_domain,
)
async def get_object_retention(
    call: Call, request: shapes.GetObjectRetentionRequest
) -> shapes.GetObjectRetentionOutput:
    """Return the retention of a version."""
    protection = await _protection(call, request)
    if not protection.mode:
        raise NoSuchObjectLockConfiguration
    return {"Retention": {"Mode": protection.mode, "RetainUntilDate": protection.until_ms}}


@operation(
    access=access.on_any_version("s3:PutObjectLegalHold"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_object_legal_hold(
    call: Call, request: shapes.PutObjectLegalHoldRequest
) -> shapes.PutObjectLegalHoldOutput:
    """Put a legal hold on a version, or take it off."""
    given = request.get("LegalHold") or {}
    if "Status" not in given:
        raise MalformedXML
    status = given["Status"]

    async def protect(_tr: Transaction, named: Named) -> Protection:
        return retention.held(named.record, status)

    await _protect(call, request, protect)
    return {}


@operation(
    access=access.on_any_version("s3:GetObjectLegalHold"),
    domain=access.bucket_domain,
)
async def get_object_legal_hold(
    call: Call, request: shapes.GetObjectLegalHoldRequest
) -> shapes.GetObjectLegalHoldOutput:
    """Return whether a legal hold is on a version."""
    protection = await _protection(call, request)
    if not protection.legal_hold:
        raise NoSuchObjectLockConfiguration
    return {"LegalHold": {"Status": protection.legal_hold}}
