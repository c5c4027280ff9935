"""Who pays for a request: the bucket's owner, or whoever asks and says so.

Source: Amazon S3 User Guide, "Using Requester Pays general purpose buckets for storage transfers and
usage"; API Reference, PutBucketRequestPayment (``x-amz-request-payer``, ``x-amz-request-charged``).
"""

from __future__ import annotations

from typing import Final

REQUESTER: Final = "requester"
"""What a request says whose sender pays for it, and its answer."""
PAYABLE: Final = frozenset(
    (
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateMultipartUpload",
        "DeleteObject",
        "DeleteObjects",
        "GetBucketAccelerateConfiguration",
        "GetObject",
        "GetObjectAcl",
        "GetObjectAttributes",
        "GetObjectLegalHold",
        "GetObjectRetention",
        "GetObjectTagging",
        "HeadObject",
        "ListMultipartUploads",
        "ListObjectVersions",
        "ListObjects",
        "ListObjectsV2",
        "ListParts",
        "PutObject",
        "PutObjectAcl",
        "PutObjectLegalHold",
        "PutObjectLockConfiguration",
        "PutObjectRetention",
        "PutObjectTagging",
        "UploadPart",
        "UploadPartCopy",
    )
)
"""The operations in which a request can say so."""
SILENT: Final = frozenset(
    ("GetObjectLegalHold", "GetObjectRetention", "GetObjectTagging", "PutObjectTagging")
)
"""Those of them whose answer does not say who paid."""
