"""Policies of buckets, and whether they let the public in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.bound import with_ids
from fogbank.platform.identity.bound import gone
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.errors import InvalidRequest, MethodNotAllowed
from fogbank.services.s3.rules import access, acls, unhonoured
from fogbank.services.s3.rules.blocks import block_of
from fogbank.services.s3.rules.policies import is_public, locks_out, raw_of
from fogbank.services.s3.rules.refusals import POLICY_BLOCKED, blocked
from fogbank.services.s3.schema import BucketRecord, PolicyRecord
from fogbank.services.s3.state import buckets, policies

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

_PUT = "s3:PutBucketPolicy"


@operation(
    access=access.on_bucket(_PUT), domain=access.bucket_domain, unhonoured=unhonoured.DIGESTS
)
async def put_bucket_policy(call: Call, request: shapes.PutBucketPolicyRequest) -> Wire:
    """Replace the policy of a bucket."""
    name, document = request["Bucket"], request["Policy"]
    raw = raw_of(document, name)
    record = await policies.record_of(call, document)
    if not request.get("ConfirmRemoveSelfBucketAccess"):
        await _check_lockout(call, name, record)
    public = is_public(raw)

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        _check_owner(call, bucket, "PUT")
        if public and block_of(bucket).block_policy:
            raise blocked(call, bucket, _PUT, bucket_arn(call.region, name), POLICY_BLOCKED)
        policies.put_policy(tr, bucket, record, public=public)

    await call.store.transact(body)
    return {}


async def _check_lockout(call: Call, name: str, record: PolicyRecord) -> None:
    """Refuse a policy that its caller could not replace, unless it says that it means that.

    AWS: ``ConfirmRemoveSelfBucketAccess`` confirms it (API Reference, PutBucketPolicy).
    """
    hanging = await call.identity.policies.of(call.principal)
    policy = call.identity.policies.compiled(record.document, "resource", record.bound)
    arn = bucket_arn(call.region, name)
    if locks_out(call.principal, hanging, policy, arn, dict(call.access_context)):
        raise InvalidRequest(
            "The policy would not let you change it in the future. Confirm that with "
            "x-amz-confirm-remove-self-bucket-access."
        )


def _check_owner(call: Call, bucket: BucketRecord, method: str) -> None:
    """Refuse other accounts: a bucket's policy may let them, and they may not all the same.

    AWS: "Amazon S3 returns a 405 Method Not Allowed error" (API Reference, PutBucketPolicy).
    """
    if call.account != bucket.account:
        raise MethodNotAllowed(Method=method, ResourceType="BUCKETPOLICY")


@operation(access=access.on_bucket("s3:GetBucketPolicy"), domain=access.bucket_domain)
async def get_bucket_policy(
    call: Call, request: shapes.GetBucketPolicyRequest
) -> shapes.GetBucketPolicyOutput:
    """Return the policy of a bucket; whom it names and who is gone goes by the unique id."""

    async def body(tr: Transaction) -> PolicyRecord:
        bucket = await buckets.require_bucket(tr, call, request)
        _check_owner(call, bucket, "GET")
        return await policies.require_policy(tr, bucket)

    record = await call.store.read(body)
    return {
        "Policy": with_ids(record.document, await gone(call.facilities.placement, record.bound))
    }


@operation(access=access.on_bucket("s3:DeleteBucketPolicy"), domain=access.bucket_domain)
async def delete_bucket_policy(call: Call, request: shapes.DeleteBucketPolicyRequest) -> Wire:
    """Remove the policy of a bucket, whether it has one or not."""

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        _check_owner(call, bucket, "DELETE")
        policies.delete_policy(tr, bucket)

    await call.store.transact(body)
    return {}


@operation(access=access.on_bucket("s3:GetBucketPolicyStatus"), domain=access.bucket_domain)
async def get_bucket_policy_status(
    call: Call, request: shapes.GetBucketPolicyStatusRequest
) -> shapes.GetBucketPolicyStatusOutput:
    """Say whether a bucket is public: by its policy or by its access control list."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    bucket = await call.store.read(body)
    return {"PolicyStatus": {"IsPublic": bucket.policy_public or acls.is_public(bucket.acl)}}
