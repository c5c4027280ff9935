"""Which operations only read, and which touch data: by their names, as CloudTrail tells them apart.

Source: CloudTrail User Guide, "Logging management events" and "Logging data events".
"""

from __future__ import annotations

from functools import cache
from typing import Final

_READS: Final = (
    "Assume",
    "BatchGet",
    "Check",
    "Describe",
    "Filter",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Query",
    "Receive",
    "Scan",
    "Search",
    "Select",
    "Simulate",
    "TransactGet",
    "Validate",
)
_READS_OF: Final = {
    "kms": ("Decrypt", "Encrypt", "Generate", "ReEncrypt", "Verify"),
}
"""Beginnings of further operations that change nothing, by service.

AWS: the records in "Logging AWS KMS API calls with AWS CloudTrail" say ``readOnly`` of them.
"""
_DATA_EVENTS: Final = {
    "s3": (
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateMultipartUpload",
        "DeleteObject",
        "GetObject",
        "HeadBucket",
        "HeadObject",
        "ListMultipartUploads",
        "ListObject",
        "ListParts",
        "PutObject",
        "RenameObject",
        "RestoreObject",
        "SelectObjectContent",
        "UploadPart",
    ),
    "dynamodb": (
        "Batch",
        "DeleteItem",
        "Execute",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "Transact",
        "UpdateItem",
    ),
    "dynamodbstreams": ("GetRecords", "GetShardIterator"),
    "lambda": ("Invoke",),
    "logs": ("FilterLogEvents", "GetLogEvents", "PutLogEvents"),
    "sqs": ("ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage", "SendMessage"),
    "sns": ("Publish",),
    "kinesis": ("GetRecords", "GetShardIterator", "PutRecord", "SubscribeToShard"),
    "events": ("PutEvents",),
}
"""Beginnings of the operations that CloudTrail counts as data events and not as management."""


@cache
def is_read(service: str, operation: str) -> bool:
    """Return whether an operation changes nothing."""
    return operation.startswith((*_READS, *_READS_OF.get(service, ())))


@cache
def is_data(service: str, operation: str) -> bool:
    """Return whether an operation touches data, and not what holds it."""
    return operation.startswith(_DATA_EVENTS.get(service, ()))
