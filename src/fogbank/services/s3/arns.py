"""Amazon Resource Names: of buckets and objects they name neither region nor account.

Source: Service Authorization Reference, "Resource types defined by Amazon S3".
"""

from __future__ import annotations

from fogbank.base.arn import arn_of, find_arn, global_arn, partition_of


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


def find_point_arn(arn: str) -> tuple[str, str, str] | None:
    """Return account, region and name of the access point that an ARN names, or is behind.

    None: it names none.
    """
    found = find_arn(arn)
    if found is None or found.service != "s3" or not (found.region and found.account):
        return None
    kind, _, rest = found.resource.partition("/")
    name = rest.partition("/object/")[0]
    return (found.account, found.region, name) if kind == "accesspoint" and name else None
