"""The limits of DynamoDB Streams; those of what it reads are DynamoDB's."""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

REQUEST_BYTES: Final = Quota(
    "dynamodbstreams.request_bytes_max", 64 << 10, "ours: its requests are names and iterators"
)
