"""What the gateway reads of a bucket to decide who may reach it: its owner, its policy, its lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fogbank.base.arn import find_arn
from fogbank.contract.action import Access, ContextValue
from fogbank.contract.facet import ResourcePolicies, ResourceTags, Standing, StoredKeys
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.keys import BUCKET_TAGS, EXISTING_TAGS, POINT_TAGS
from fogbank.platform.iam.request import Caller
from fogbank.platform.store.engine import DIRECTORY, Domain, Transaction
from fogbank.services.s3.arns import find_point_arn
from fogbank.services.s3.errors import NoSuchBucket
from fogbank.services.s3.rules import standing
from fogbank.services.s3.rules.access import NewBucket, NewObject, domain_of
from fogbank.services.s3.rules.acls import ANONYMOUS, LOG_DELIVERY, owner_id
from fogbank.services.s3.rules.logging import PRINCIPAL
from fogbank.services.s3.rules.standing import Found
from fogbank.services.s3.schema import (
    POINTS,
    POLICIES,
    TAGS,
    BucketRecord,
    ObjectRecord,
    PolicyRecord,
    Tag,
)
from fogbank.services.s3.state import objects, versions
from fogbank.services.s3.state.buckets import REGION, find_bucket
from fogbank.services.s3.state.uploads import has_begun

_EVERY: Final = "*"


def find_domain(arn: str) -> Domain | None:
    """Return the domain of the bucket that an ARN names, or None if it names none."""
    found = find_arn(arn)
    if found is None or found.service != "s3" or found.region or found.account:
        return None
    name = found.resource.partition("/")[0]
    return None if name in ("", _EVERY) else domain_of(name)


async def find_standing(tr: Transaction, access: Access, caller: Caller) -> Standing | None:
    """Return what a bucket says of an access, or None if it is to a bucket to be made.

    Raises:
        NoSuchBucket: There is none, or it is not the one that the access point leads to.
    """
    if isinstance(access.context, NewBucket):
        return None
    name, _, key = access.resource.split(":", 5)[5].partition("/")
    bucket = await find_bucket(tr)
    point = access.point
    if bucket is None or (point is not None and point.token != bucket.bucket_id.hex()):
        raise NoSuchBucket(BucketName=name)
    found = await _found(tr, bucket, key, access, caller)
    policy = await _policy(tr, bucket, access.action, caller)
    owner = standing.owner_of(bucket, access.action, found)
    who = LOG_DELIVERY if caller.arn == PRINCIPAL else owner_id(caller.account or ANONYMOUS)
    said = standing.said_of(
        bucket,
        policy.document,
        access.action,
        found,
        who,
        ignores=point is not None and point.public_lists_ignored,
    )
    return Standing(
        BoundPolicy(said, policy.bound) if said else None,
        owner,
        bucket,
        {REGION: bucket.region},
        whole=standing.is_whole(bucket, access.action, found),
    )


_NO_POLICY: Final = PolicyRecord("")


async def _policy(
    tr: Transaction, bucket: BucketRecord, action: str, caller: Caller
) -> PolicyRecord:
    """Return the policy of a bucket, or an empty one."""
    if not bucket.has_policy or standing.is_spared(bucket, action, caller.account, caller.kind):
        return _NO_POLICY
    found = await POLICIES.find(tr, bucket.bucket_id)
    assert found is not None, "a bucket that says it has a policy has one"
    return found


async def _found(
    tr: Transaction, bucket: BucketRecord, key: str, access: Access, caller: Caller
) -> Found:
    """Return what an access is to, as far as that bears on who may."""
    action, account = access.action, caller.account or ANONYMOUS
    if isinstance(access.context, NewObject):
        # AWS: whoever writes an object owns it at first, and says who may reach it.
        return Found(account, granted=(action,))
    if action in standing.OF_INITIATOR:
        began = await has_begun(tr, bucket, key, account)
        return Found(granted=(action,)) if began else standing.NOTHING
    removes = action == standing.DELETE and standing.counts(bucket)
    if action not in standing.OF_OWNER and not removes:
        return standing.NOTHING
    record = await _object(tr, bucket, key, access)
    if record is None or record.delete_marker:
        return Found(absent=action != standing.DELETE)
    return _of_object(bucket, action, record, account)


def _of_object(bucket: BucketRecord, action: str, record: ObjectRecord, account: str) -> Found:
    """Return what an object says of an access, where that counts."""
    if not standing.counts(bucket):
        return standing.NOTHING
    if action == standing.DELETE:
        return Found(granted=(action,)) if record.owner == account else standing.NOTHING
    return Found(record.owner, record.acl)


_OF_TAGGED: Final = ("Acl", "Attributes", "Tagging")
"""How actions end that are to what is said of an object."""
_READS: Final = frozenset(("s3:GetObject", "s3:GetObjectVersion"))


async def _tags_of(tr: Transaction, bucket: BucketRecord) -> tuple[Tag, ...]:
    """Return the tags of a bucket, if they count: its attribute-based access control is on.

    Source: User Guide, "Enabling ABAC in general purpose buckets".
    """
    found = await TAGS.find(tr, bucket.bucket_id) if bucket.abac else None
    return () if found is None else found.tags


def find_tagged_domain(arn: str) -> Domain | None:
    """Return the domain of what an ARN names and may have tags: a bucket or an access point."""
    return find_domain(arn) if find_point_arn(arn) is None else DIRECTORY


async def _find_point_tags(tr: Transaction, arn: str) -> tuple[Tag, ...]:
    """Return the tags of the access point that an ARN names."""
    name = find_point_arn(arn)
    record = None if name is None else await POINTS.find(tr, *name)
    return () if record is None else record.tags


async def find_tags(tr: Transaction, arn: str) -> Mapping[str, ContextValue]:
    """Return the tags of a bucket or an access point as condition keys of it and of all behind it."""
    if tr.domain == DIRECTORY:
        return {f"aws:ResourceTag/{tag.key}": tag.value for tag in await _find_point_tags(tr, arn)}
    bucket = await find_bucket(tr)
    tags = () if bucket is None else await _tags_of(tr, bucket)
    return {f"aws:ResourceTag/{tag.key}": tag.value for tag in tags}


async def find_stored_keys(tr: Transaction, access: Access) -> Mapping[str, ContextValue]:
    """Return S3's own condition keys of the tags that bucket and object of an access have.

    Through an access point they are those of what it leads to, where ``aws:ResourceTag`` is of the
    point at the point; what is asked of the point itself has the point's. Source: Service Authorization Reference, "Actions, resources, and
    condition keys for Amazon S3": the actions with ``s3:ExistingObjectTag/<key>``.
    """
    if tr.domain == DIRECTORY:
        tags = await _find_point_tags(tr, access.resource)
        return {f"s3:AccessPointTag/{tag.key}": tag.value for tag in tags}
    bucket = await find_bucket(tr)
    # Of a bucket that is to be made nothing is stored, whoever's the name may be.
    if bucket is None or isinstance(access.context, NewBucket):
        return {}
    point = access.point
    at_point = point is not None and point.arn_of(access.resource) is None
    keys: dict[str, ContextValue] = {
        f"s3:BucketTag/{tag.key}": tag.value for tag in await _tags_of(tr, bucket)
    }
    _, _, key = access.resource.split(":", 5)[5].partition("/object/" if at_point else "/")
    is_tagged = access.action in _READS or access.action.endswith(_OF_TAGGED)
    record = await _object(tr, bucket, key, access) if key and is_tagged else None
    for tag in record.tags if record is not None else ():
        keys[f"s3:ExistingObjectTag/{tag.key}"] = tag.value
    return keys


async def _object(
    tr: Transaction, bucket: BucketRecord, key: str, access: Access
) -> ObjectRecord | None:
    """Return the object or version that an access is to, or None."""
    version_id = access.context.get("s3:versionid")
    if not version_id:
        return await objects.find_object(tr, bucket, key)
    return await versions.find_version(tr, bucket, key, str(version_id))


RESOURCE_POLICIES: Final = ResourcePolicies(domain=find_domain, find=find_standing, presumed=True)
STORED_KEYS: Final = StoredKeys(
    frozenset({EXISTING_TAGS, BUCKET_TAGS, POINT_TAGS}), find_tagged_domain, find_stored_keys
)
RESOURCE_TAGS: Final = ResourceTags(domain=find_tagged_domain, find=find_tags)
