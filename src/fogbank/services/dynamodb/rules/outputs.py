"""What exports and bulk puts write into a bucket: where it lies, how it is encrypted, its manifests.

Source: Amazon DynamoDB Developer Guide, "DynamoDB table export output format". The guide calls the files
of checksums ``manifest-summary.checksum`` and ``manifest-files.checksum``; AWS writes them as ``.md5``.
"""

from __future__ import annotations

from base64 import b32encode, b64encode
from datetime import UTC, datetime
from hashlib import blake2b, md5
from typing import Final

import orjson

from fogbank.base.types import Request, Wire
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.schema.exports import ExportFileRecord

_FOLDER: Final = "AWSDynamoDB"
_FILE_NAME_BYTES: Final = 16
_SSE: Final = {"AES256": "AES256", "KMS": "aws:kms"}
INVALID: Final = "One or more parameter values were invalid: "


def require_encryption(given: Request) -> None:
    """Refuse the name of a key for an encryption that has none."""
    if "S3SseKmsKeyId" in given and given.get("S3SseAlgorithm") != "KMS":
        raise ValidationException(f"{INVALID}S3SseKmsKeyId is only for S3SseAlgorithm KMS")


def root_of(prefix: str) -> str:
    """Return the key below which everything with a prefix lies, a slash at its end."""
    prefix = prefix.rstrip("/")
    return f"{prefix}/{_FOLDER}/" if prefix else f"{_FOLDER}/"


def file_name(word: str, ending: str) -> str:
    """Return the name of a file, which is the same whenever it is written again."""
    named = blake2b(word.encode(), digest_size=_FILE_NAME_BYTES)
    return f"{b32encode(named.digest()).decode().rstrip('=').lower()}.{ending}"


def put_members(given: Request) -> Wire:
    """Return the members with which PutObject writes what is asked for.

    AWS: it needs ``s3:PutObjectAcl``, for the owner of the bucket is to own what is written there.

    Args:
        given: With ``S3Bucket``, ``S3BucketOwner`` and, if wanted, what encrypts.
    """
    members: Wire = {
        "Bucket": given["S3Bucket"],
        "ACL": "bucket-owner-full-control",
        "ExpectedBucketOwner": given["S3BucketOwner"],
    }
    if "S3SseAlgorithm" in given:
        members["ServerSideEncryption"] = _SSE[given["S3SseAlgorithm"]]
    if "S3SseKmsKeyId" in given:
        members["SSEKMSKeyId"] = given["S3SseKmsKeyId"]
    return members


def files_manifest(files: list[ExportFileRecord]) -> bytes:
    """Return lines of the manifest of files."""
    return b"".join(
        orjson.dumps(
            {
                "itemCount": each.items,
                "md5Checksum": each.md5,
                "etag": each.etag,
                "dataFileS3Key": each.key,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for each in files
    )


def md5_of(content: bytes) -> str:
    """Return a checksum as manifests have it."""
    return b64encode(md5(content, usedforsecurity=False).digest()).decode()


def time_text(at_ms: int) -> str:
    """Return a time as manifests show it: ``2020-11-04T07:28:34.028Z``."""
    text = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
