"""The limits of S3 Control; those of what it makes are S3's."""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

REQUEST_BYTES: Final = Quota(
    "s3control.request_bytes_max",
    256 << 10,
    "ours: policies of 20 KB, escaped, and small documents",
)
