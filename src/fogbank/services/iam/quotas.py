"""The limits of IAM, with AWS's values.

Source: IAM User Guide, "IAM and AWS STS quotas". Sizes of policies do not count white space.
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

ACCESS_KEYS_PER_USER: Final = Quota("iam.access_keys_per_user_max", 2, "IAM quotas")
ATTACHED_POLICIES: Final = Quota("iam.attached_policies_max", 10, "IAM quotas: per entity")
GROUPS_PER_USER: Final = Quota("iam.groups_per_user_max", 10, "IAM quotas")
MFA_DEVICES_PER_USER: Final = Quota("iam.mfa_devices_per_user_max", 8, "IAM quotas")
TRUST_CHARACTERS: Final = Quota("iam.trust_policy_characters_max", 2_048, "IAM quotas")
MANAGED_CHARACTERS: Final = Quota("iam.managed_policy_characters_max", 6_144, "IAM quotas")
REQUEST_BYTES: Final = Quota(
    "iam.request_bytes_max", 1 << 20, "ours: a policy may hold any amount of white space"
)

INLINE_CHARACTERS_MAX: Final = {"user": 2_048, "role": 10_240, "group": 5_120}
"""All inline policies of an entity together."""
POLICY_VERSIONS_MAX: Final = 5
TAGS_MAX: Final = 50
PAGE_ITEMS: Final = 100
SCAN_ROWS_MAX: Final = 200
"""Rows that one page looks at: a page whose path prefix is rare may be short, as on AWS."""
ATTACHMENTS_COUNTED_MAX: Final = 10_000
SESSION_S_DEFAULT: Final = 3_600
UNIQUE_ID_CHARACTERS: Final = 17
"""Behind the four letters that say the kind."""
