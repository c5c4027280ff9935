"""Limits of S3, each with the page that gives it.

Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits", "Working with object metadata",
"Creating object key names"; Amazon S3 API Reference, DeleteObjects and ListObjectsV2.
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

BUCKETS_MAX = Quota(
    "s3.buckets_per_account_max", 10_000, "AWS General Reference, Amazon S3 endpoints and quotas"
)
POINTS_MAX = Quota(
    "s3.access_points_max",
    10_000,
    "Amazon S3 User Guide, access points restrictions and limitations: of an account in a region",
)
REQUEST_BYTES: Final = Quota("s3.request_bytes_max", 2 << 20, "ours: documents of configuration")
LONG_REQUEST_BYTES: Final = Quota(
    "s3.long_request_bytes_max", 8 << 20, "ours: 1,000 keys escaped; 10,000 parts with checksums"
)
KEY_BYTES_MAX: Final = 1_024
METADATA_BYTES_MAX: Final = 2_048
PUT_BYTES_MAX: Final = 5 << 30
"""The largest body of one PutObject, UploadPart or copy."""
OBJECT_BYTES_MAX: Final = 50 << 40
"""The largest object, put together from parts (5 TB until December 2025)."""
PART_BYTES_MIN: Final = 5 << 20
"""The smallest part but for the last."""
PARTS_MAX: Final = 10_000
LIST_KEYS_MAX: Final = 1_000
LIST_BUCKETS_MAX: Final = 10_000
DELETE_KEYS_MAX: Final = 1_000
NOTIFICATION_CONFIGURATIONS_MAX: Final = 100
METRICS_CONFIGURATIONS_MAX: Final = 1_000
"""AWS: PutBucketMetricsConfiguration, "You can have up to 1,000 metrics configurations per bucket"."""
METRICS_PAGE: Final = 100
"""AWS: ListBucketMetricsConfigurations lists them 100 at a time."""
LIFECYCLE_RULES_MAX: Final = 1_000
NONCURRENT_KEPT_MAX: Final = 100
LIFECYCLE_DAY_S = Quota(
    "s3.lifecycle_day_s",
    86_400,
    "Amazon S3 User Guide, lifecycle rules count in days; shorter ones show what rules do",
)
LOG_DELIVERY_S = Quota(
    "s3.log_delivery_s",
    300,
    "ours: how long records of requests are gathered; AWS says that most come within a few hours",
)
CORS_RULES_MAX: Final = 100
"""AWS: PutBucketCors, "up to 100 rules"."""
RULE_ID_CHARACTERS_MAX: Final = 255
