"""Server access logs: where the records of a bucket's requests are delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.evaluate import evaluate
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.context import context_of
from fogbank.platform.identity.principal import service_principal
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import bucket_arn, object_arn
from fogbank.services.s3.errors import (
    AccessControlListNotSupported,
    CrossLocationLoggingProhibitted,
    InvalidTargetBucketForLogging,
)
from fogbank.services.s3.rules import access, acls, standing, unhonoured
from fogbank.services.s3.rules import logging as rules
from fogbank.services.s3.schema import ENFORCED, Acl, BucketRecord, LoggingRecord
from fogbank.services.s3.state import buckets, people, policies
from fogbank.services.s3.state.configurations import LOGGING

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

_PUT = "s3:PutObject"


@operation(
    access=access.on_bucket("s3:PutBucketLogging"),
    domain=access.bucket_domain,
    unhonoured=unhonoured.DIGESTS,
)
async def put_bucket_logging(call: Call, request: shapes.PutBucketLoggingRequest) -> Wire:
    """Say where the records of a bucket's requests are delivered, or that none are kept."""
    wanted = request["BucketLoggingStatus"].get("LoggingEnabled")
    if wanted is None:
        await LOGGING.remove(call, request)
        return {}
    record = LoggingRecord(
        target=wanted["TargetBucket"],
        prefix=wanted["TargetPrefix"],
        grants=await _grants(call, wanted),
        partition=rules.format_of({**wanted}),
        says_simple="TargetObjectKeyFormat" in wanted,
    )

    async def source(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    await _check_target(call, await call.store.read(source), record)
    await LOGGING.replace(call, request, record)
    return {}


async def _grants(call: Call, wanted: shapes.LoggingEnabled) -> Acl:
    """Return whom a configuration grants log objects to; everybody it names stands."""
    raw = cast("list[shapes.Grant]", wanted.get("TargetGrants") or [])
    grants = acls.grants_of_document(raw)
    if grants:
        await people.check_people(call, acls.Asked(grants=grants))
    return grants


async def _check_target(call: Call, source: BucketRecord, record: LoggingRecord) -> None:
    """Refuse a target that does not keep the records of a bucket.

    Raises:
        InvalidTargetBucketForLogging: There is none, or it is another account's, or it does not
            let the service in that delivers them.
        CrossLocationLoggingProhibitted: It lies in another region.
        AccessControlListNotSupported: Lists do not count in it, and its objects are to have one.
    """
    name = record.target

    async def body(tr: Transaction) -> tuple[BucketRecord, policies.PolicyRecord] | None:
        bucket = await buckets.find_bucket(tr)
        return None if bucket is None else (bucket, await policies.find_policy(tr, bucket))

    found = await call.read(access.domain_of(name), body)
    if found is None:
        raise InvalidTargetBucketForLogging(
            "The target bucket for logging does not exist", TargetBucket=name
        )
    target, policy = found
    if target.account != source.account:
        raise InvalidTargetBucketForLogging(
            "The owner for the bucket to be logged and the target bucket must be the same.",
            TargetBucket=name,
        )
    if target.region != source.region:
        raise CrossLocationLoggingProhibitted(TargetBucketLocation=target.region)
    if record.grants and target.ownership == ENFORCED:
        raise AccessControlListNotSupported
    if not await _lets_in(call, source, target, policy, record):
        raise InvalidTargetBucketForLogging(
            "You must give the log-delivery group WRITE and READ_ACP permissions to the target "
            "bucket",
            TargetBucket=name,
        )


async def _lets_in(
    call: Call,
    source: BucketRecord,
    target: BucketRecord,
    policy: policies.PolicyRecord,
    record: LoggingRecord,
) -> bool:
    """Return whether a target lets the service write that delivers records, by policy or list.

    A policy for the prefix as it stands will do: each delivery is decided anew.
    """
    arn = bucket_arn(source.region, source.name)
    caller = service_principal(rules.PRINCIPAL, source_arn=arn, source_account=source.account)
    said = standing.said_of(target, policy.document, _PUT, standing.NOTHING, "")
    if not said:
        return False
    compiled = call.identity.policies.compiled(said, "resource", policy.bound)
    policies_of = (await call.identity.policies.of(caller)).with_resource(compiled)
    resources = [
        object_arn(target.region, target.name, key)
        for key in (f"{record.prefix}log", record.prefix)
    ]
    return any(
        evaluate(
            AccessRequest(caller, _PUT, each, context_of(caller), target.account), policies_of
        ).allowed
        for each in resources
    )


@operation(access=access.on_bucket("s3:GetBucketLogging"), domain=access.bucket_domain)
async def get_bucket_logging(
    call: Call, request: shapes.GetBucketLoggingRequest
) -> shapes.GetBucketLoggingOutput:
    """Return where the records of a bucket's requests are delivered; nothing if none are kept."""
    record = await LOGGING.look(call, request)
    if record is None:
        return {}
    names = await people.display_names(call, acls.ids_of(record.grants))
    grants = cast("list[shapes.TargetGrant]", acls.shown_grants(record.grants, names))
    return {"LoggingEnabled": rules.shown(record, grants)}
