"""What a deployment chooses of S3."""

from __future__ import annotations

from typing import Final

from fogbank.contract.option import Option

DEFAULTS_BEFORE_2023: Final = Option("s3.defaults_before_2023")
"""Defaults of before April 2023: ACLs count, no access block, no default encryption reported,
owners with display names. Source: Amazon S3 User Guide, "Default settings for new S3 buckets FAQ"."""
