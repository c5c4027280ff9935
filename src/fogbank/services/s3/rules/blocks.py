"""What of public access is blocked: by a bucket, by an access point, by the account.

Rule: the most restrictive of them counts, setting by setting.

Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fogbank.services.s3.schema import AccessBlock, BucketRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3control as shapes


def both(*blocks: AccessBlock | None) -> AccessBlock:
    """Return what several block together; None blocks nothing."""
    there = [each for each in blocks if each is not None]
    return AccessBlock(
        any(each.block_acls for each in there),
        any(each.ignore_acls for each in there),
        any(each.block_policy for each in there),
        any(each.restrict for each in there),
    )


def block_of(bucket: BucketRecord) -> AccessBlock:
    """Return what a bucket blocks, or its account."""
    return both(bucket.access_block, bucket.account_block)


def asked_of(wanted: Mapping[str, Any]) -> AccessBlock:
    """Return what a configuration asks to be blocked; what it does not say is not."""
    return AccessBlock(
        wanted.get("BlockPublicAcls", False),
        wanted.get("IgnorePublicAcls", False),
        wanted.get("BlockPublicPolicy", False),
        wanted.get("RestrictPublicBuckets", False),
    )


def shown(block: AccessBlock) -> shapes.PublicAccessBlockConfiguration:
    """Return what is blocked as replies have it."""
    return {
        "BlockPublicAcls": block.block_acls,
        "IgnorePublicAcls": block.ignore_acls,
        "BlockPublicPolicy": block.block_policy,
        "RestrictPublicBuckets": block.restrict,
    }
