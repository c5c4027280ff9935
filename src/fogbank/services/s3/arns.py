"""Amazon Resource Names: of buckets and objects they name neither region nor account.

Source: Service Authorization Reference, "Resource types defined by Amazon S3".
"""

from __future__ import annotations

from fogbank.base.arn import arn_of, global_arn, partition_of


def bucket_arn(region: str, bucket: str) -> str:
    """Return the ARN of a bucket; ``*`` is all of them.

    Args:
        region: One of the partition that the bucket lies in.
        bucket: Its name.
    """
    return global_arn(partition_of(region), "s3", "", bucket)


def object_arn(region: str, bucket: str, key: str) -> str:
    """Return the ARN of an object of a bucket; see ``bucket_arn``."""
    return bucket_arn(region, f"{bucket}/{key}")


def point_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of an access point, which names both."""
    return arn_of("s3", region, account, f"accesspoint/{name}")
