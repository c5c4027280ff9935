"""Amazon Resource Names: parse and format.

Source: AWS General Reference, "Amazon Resource Names (ARNs)".
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple

_ARN_PARTS = 6
_REGIONS_REMEMBERED_MAX: Final = 256
AWS: Final = "aws"
"""The partition of most regions."""
_BY_PREFIX: Final = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
)
"""How the regions of the other partitions begin: ``regionRegex`` in botocore's partitions.json."""
PARTITIONS: Final = (AWS, *(partition for _, partition in _BY_PREFIX))
"""The separate clouds of AWS: accounts, names and endpoints of one are nothing in another."""


class Arn(NamedTuple):
    """The six parts of an ARN; ``resource`` keeps its own separators."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def find_arn(text: str) -> Arn | None:
    """Return the parsed ARN, or None if the text is not one."""
    if not text.startswith("arn:"):
        return None
    parts = text.split(":", 5)
    if len(parts) != _ARN_PARTS or not parts[1] or not parts[2]:
        return None
    return Arn(*parts[1:])


@lru_cache(maxsize=_REGIONS_REMEMBERED_MAX)
def partition_of(region: str) -> str:
    """Return the partition of a region."""
    for prefix, partition in _BY_PREFIX:
        if region.startswith(prefix):
            return partition
    return AWS


def arn_of(service: str, region: str, account: str, resource: str) -> str:
    """Return an ARN of something in a region, in the region's partition."""
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{resource}"


def global_arn(partition: str, service: str, account: str, resource: str) -> str:
    """Return an ARN of something that lies in no region of its partition."""
    return f"arn:{partition}:{service}::{account}:{resource}"


def canonical_user_id(account: str) -> str:
    """Return the canonical user id of an account: 64 hexadecimal digits, always the same.

    Source: AWS General Reference, "AWS account identifiers".
    """
    return hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()
