"""The policies of buckets; the bucket's record says whether there is one, and whether it is public."""

from __future__ import annotations

import msgspec

from fogbank.contract.call import Call
from fogbank.platform.iam.malformed import MalformedPolicy as Malformed
from fogbank.platform.identity.bound import UnknownPrincipal, bind
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.errors import MalformedPolicy, NoSuchBucketPolicy
from fogbank.services.s3.schema import BUCKET, POLICIES, BucketRecord, PolicyRecord


async def record_of(call: Call, document: str) -> PolicyRecord:
    """Return a policy with whom its names mean.

    Raises:
        MalformedPolicy: It cannot be evaluated, or names nobody.
    """
    try:
        policy = call.identity.policies.compiled(document, "resource")
        return PolicyRecord(document, await bind(call.facilities.placement, policy))
    except Malformed as error:
        raise MalformedPolicy(error.message) from error
    except UnknownPrincipal:
        raise MalformedPolicy("Invalid principal in policy") from None


async def require_policy(tr: Transaction, bucket: BucketRecord) -> PolicyRecord:
    """Return the policy of a bucket or refuse the call."""
    record = await POLICIES.find(tr, bucket.bucket_id)
    if record is None:
        raise NoSuchBucketPolicy(BucketName=bucket.name)
    return record


async def find_policy(tr: Transaction, bucket: BucketRecord) -> PolicyRecord:
    """Return the policy of a bucket, or an empty one."""
    return await POLICIES.find(tr, bucket.bucket_id) or PolicyRecord("")


def put_policy(
    tr: Transaction, bucket: BucketRecord, record: PolicyRecord, *, public: bool
) -> None:
    """Replace the policy of a bucket; ``bucket`` is stale afterwards."""
    POLICIES.put(tr, record, bucket.bucket_id)
    said = msgspec.structs.replace(
        bucket,
        has_policy=True,
        policy_public=public,
        policy_version=bucket.policy_version + 1,
    )
    BUCKET.put(tr, said)


def delete_policy(tr: Transaction, bucket: BucketRecord) -> None:
    """Remove the policy of a bucket, if it has one; ``bucket`` is stale afterwards."""
    POLICIES.delete(tr, bucket.bucket_id)
    BUCKET.put(tr, msgspec.structs.replace(bucket, has_policy=False, policy_public=False))
