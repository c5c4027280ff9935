"""The limits of KMS, with AWS's values.

Those that a setting may raise or lower are a ``Quota``; the others are part of the language.
Source: AWS KMS Developer Guide, "Resource quotas"; API Reference, the operations named.
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

REQUEST_BYTES: Final = Quota("kms.request_bytes_max", 1 << 20, "ours: a policy, escaped in JSON")
KEYS: Final = Quota("kms.keys_max", 100_000, "Resource quotas: KMS keys in an account and region")
ALIASES: Final = Quota("kms.aliases_per_key_max", 50, "Resource quotas: aliases per KMS key")
GRANTS: Final = Quota("kms.grants_per_key_max", 50_000, "Resource quotas: grants per KMS key")
POLICY_BYTES: Final = Quota(
    "kms.policy_bytes_max", 32_768, "Resource quotas: key policy document size"
)
ON_DEMAND_ROTATIONS: Final = Quota(
    "kms.on_demand_rotations_max", 25, "Resource quotas: on-demand rotations per KMS key"
)
GRANTEE_GRANTS_MAX: Final = 500
"""Ours: grants of one key to one grantee principal; each of its requests may look at them all."""
CONTEXT_BYTES_MAX: Final = 8_192
"""Developer Guide, "Encryption context": all keys and values of one."""
TAGS_MAX: Final = 50
"""Developer Guide, "Tags in AWS KMS"."""
DAY_MS: Final = 24 * 3_600_000
WINDOW_DAYS: Final = 30
WINDOW_DAYS_MIN: Final = 7
WINDOW_DAYS_MAX: Final = 30
ROTATION_DAYS: Final = 365
"""EnableKeyRotation: the default of ``RotationPeriodInDays``."""
KEYS_PAGE: Final = 100
PAGE: Final = 50
PAGE_MAX: Final = 1_000
LISTED_MAX: Final = 100
TAGS_PAGE_MAX: Final = 50
