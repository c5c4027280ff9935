"""Amazon Resource Names of buckets and objects: they name neither region nor account.

Source: Service Authorization Reference, "Resource types defined by Amazon S3".
"""

from __future__ import annotations

BUCKETS_ARN = "arn:aws:s3:::*"
"""What ``s3:ListAllMyBuckets`` is asked on."""


def bucket_arn(bucket: str) -> str:
    """Return the ARN of a bucket."""
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    """Return the ARN of an object."""
    return f"arn:aws:s3:::{bucket}/{key}"
