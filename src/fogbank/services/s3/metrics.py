"""The metrics of buckets and accounts, as CloudWatch names them.

Source: Amazon S3 User Guide, "Metrics and dimensions" (daily storage metrics, request metrics),
"Amazon S3 Storage Lens metrics glossary" and "Amazon S3 Storage Lens metrics and dimensions" (what is
free, of an account).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from fogbank.contract.metric import Metric
from fogbank.platform.metering.metrics import Series
from fogbank.platform.store.engine import Domain

NAMESPACE: Final = "AWS/S3"
LENS: Final = "AWS/S3/Storage-Lens"
_REMEMBERED_MAX: Final = 4_096
_REQUESTS: Final = ("BucketName", "FilterId")
_STORAGE: Final = ("BucketName", "StorageType")
_ACCOUNT: Final = (
    *("aws_account_number", "aws_region", "configuration_id", "metrics_version"),
    *("record_type", "storage_class"),
)

BUCKET_SIZE: Final = "BucketSizeBytes"
OBJECTS: Final = "NumberOfObjects"
ALL: Final = "AllRequests"
GET: Final = "GetRequests"
PUT: Final = "PutRequests"
DELETE: Final = "DeleteRequests"
HEAD: Final = "HeadRequests"
POST: Final = "PostRequests"
LIST: Final = "ListRequests"
DOWNLOADED: Final = "BytesDownloaded"
UPLOADED: Final = "BytesUploaded"
ERRORS_4XX: Final = "4xxErrors"
ERRORS_5XX: Final = "5xxErrors"
FIRST_BYTE: Final = "FirstByteLatency"
TOTAL: Final = "TotalRequestLatency"

STORAGE_BYTES: Final = "StorageBytes"
OBJECT_COUNT: Final = "ObjectCount"
CURRENT_BYTES: Final = "CurrentVersionStorageBytes"
CURRENT_COUNT: Final = "CurrentVersionObjectCount"
NONCURRENT_BYTES: Final = "NonCurrentVersionStorageBytes"
NONCURRENT_COUNT: Final = "NonCurrentVersionObjectCount"
MARKER_COUNT: Final = "DeleteMarkerObjectCount"
UPLOAD_BYTES: Final = "IncompleteMultipartUploadStorageBytes"
UPLOAD_COUNT: Final = "IncompleteMultipartUploadObjectCount"

_UNITS: Final = {
    **dict.fromkeys((ALL, GET, PUT, DELETE, HEAD, POST, LIST, ERRORS_4XX, ERRORS_5XX), "Count"),
    **dict.fromkeys((DOWNLOADED, UPLOADED), "Bytes"),
    **dict.fromkeys((FIRST_BYTE, TOTAL), "Milliseconds"),
}
_ACCOUNT_UNITS: Final = {
    **dict.fromkeys((STORAGE_BYTES, CURRENT_BYTES, NONCURRENT_BYTES, UPLOAD_BYTES), "Bytes"),
    **dict.fromkeys(
        (OBJECT_COUNT, CURRENT_COUNT, NONCURRENT_COUNT, MARKER_COUNT, UPLOAD_COUNT), "Count"
    ),
}
METRICS: Final = (
    Metric(NAMESPACE, BUCKET_SIZE, "Bytes", _STORAGE),
    Metric(NAMESPACE, OBJECTS, "Count", _STORAGE),
    *(Metric(NAMESPACE, name, unit, _REQUESTS) for name, unit in _UNITS.items()),
    *(Metric(LENS, name, unit, _ACCOUNT) for name, unit in _ACCOUNT_UNITS.items()),
)


@lru_cache(_REMEMBERED_MAX)
def domain_of(account: str, region: str) -> Domain:
    """Return where the metrics of an account's buckets in a region are kept.

    Not where each bucket is: they outlive it, and are read by account and region.
    """
    return Domain("s3", account, region)


@lru_cache(_REMEMBERED_MAX)
def request_series(bucket: str, filter_id: str) -> Series:
    """Return the series of the requests that a metrics configuration of a bucket is about."""
    return Series(NAMESPACE, (("BucketName", bucket), ("FilterId", filter_id)))


def storage_series(bucket: str, storage_type: str) -> Series:
    """Return a series of what a bucket holds."""
    return Series(NAMESPACE, (("BucketName", bucket), ("StorageType", storage_type)))


def account_series(account: str, region: str) -> Series:
    """Return the series of what an account holds in a region, as its default dashboard has it."""
    of = (account, region, "default-account-dashboard", "1.0", "ACCOUNT", "STANDARD")
    return Series(LENS, tuple(zip(_ACCOUNT, of, strict=True)))
