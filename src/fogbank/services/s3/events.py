"""The facts that S3 tells: event notifications, word for word as their receivers see them.

Source: Amazon S3 User Guide, "Event message structure" (version 2.1).
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote_plus

import msgspec

from fogbank.contract.event import Event

EVENT_VERSION = "2.1"
LATER_VERSION = "2.3"
_UNORDERED = ("s3:ObjectTagging:", "s3:ObjectAcl:", "s3:ObjectRetention:")
"""The order of changes that are no writes is not told."""
_LATER = (*_UNORDERED, "s3:LifecycleExpiration:")
SCHEMA_VERSION = "1.0"


class Occasion(NamedTuple):
    """What the events of one request have in common."""

    region: str
    time: str
    """ISO 8601 with milliseconds."""
    principal_id: str
    source_ip: str
    request_id: str
    host_id: str
    bucket: str
    bucket_arn: str
    owner_id: str


class Happening(NamedTuple):
    """What happened to one object."""

    event: str
    """Such as ``s3:ObjectCreated:Put``."""
    key: str
    sequencer: int
    size: int | None = None
    """None where it is not told: of removals and of other tags."""
    etag: str = ""
    version_id: str = ""


class ObjectNotification(Event, frozen=True, kw_only=True):
    """What one configured function hears of one object."""

    NAME: ClassVar[str] = f"s3.notification/{EVENT_VERSION}"

    occasion: Occasion
    happening: Happening
    configuration_id: str

    def payload(self) -> bytes:
        """Return the notification as the target sees it (JSON)."""
        occasion, happening = self.occasion, self.happening
        subject: dict[str, Any] = {"key": quote_plus(happening.key, safe="/")}
        if happening.size is not None:
            subject["size"] = happening.size
        if happening.etag:
            subject["eTag"] = happening.etag
        if happening.version_id:
            subject["versionId"] = happening.version_id
        later = happening.event.startswith(_LATER)
        if not happening.event.startswith(_UNORDERED):
            subject["sequencer"] = f"{happening.sequencer:018X}"
        record = {
            "eventVersion": LATER_VERSION if later else EVENT_VERSION,
            "eventSource": "aws:s3",
            "awsRegion": occasion.region,
            "eventTime": occasion.time,
            "eventName": happening.event.removeprefix("s3:"),
            "userIdentity": {"principalId": occasion.principal_id},
            "requestParameters": {"sourceIPAddress": occasion.source_ip},
            "responseElements": {
                "x-amz-request-id": occasion.request_id,
                "x-amz-id-2": occasion.host_id,
            },
            "s3": {
                "s3SchemaVersion": SCHEMA_VERSION,
                "configurationId": self.configuration_id,
                "bucket": {
                    "name": occasion.bucket,
                    "ownerIdentity": {"principalId": occasion.owner_id},
                    "arn": occasion.bucket_arn,
                },
                "object": subject,
            },
        }
        return msgspec.json.encode({"Records": [record]})


EVENTS = (ObjectNotification,)
