"""The limits of STS, with AWS's values.

Source: IAM User Guide, "IAM and AWS STS quotas"; STS API Reference, "AssumeRole" and
"GetSessionToken".
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

REQUEST_BYTES: Final = Quota("sts.request_bytes_max", 1 << 20, "ours: policies and tags, escaped")

SESSION_S_DEFAULT: Final = 3_600
CHAINED_SESSION_S_MAX: Final = 3_600
TOKEN_SESSION_S_DEFAULT: Final = 43_200
ROOT_TOKEN_SESSION_S_MAX: Final = 3_600
SESSION_POLICY_CHARACTERS_MAX: Final = 2_048
"""The inline policy and the ARNs of managed ones together."""
PACKED_BYTES_MAX: Final = 4_096
"""Policies, ARNs and tags together, which ``PackedPolicySize`` is a share of."""
