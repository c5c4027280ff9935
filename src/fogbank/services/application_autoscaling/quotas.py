"""The limits of Application Auto Scaling, with AWS's values.

Source: Application Auto Scaling User Guide, "Quotas for Application Auto Scaling"; API Reference.
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

REQUEST_BYTES: Final = Quota(
    "application-autoscaling.request_bytes_max", 1 << 18, "ours: 50 resource ids, escaped in JSON"
)
TARGETS: Final = Quota(
    "application-autoscaling.targets_max",
    5_000,
    "Quotas: scalable targets per resource type, Amazon DynamoDB",
)
ACTIVITIES: Final = Quota(
    "application-autoscaling.activities_per_target_max",
    1_000,
    "ours: AWS says only for how long they are kept",
)
POLICIES_MAX: Final = 50
"""Quotas: scaling policies per scalable target."""
ACTIONS_MAX: Final = 200
"""Quotas: scheduled actions per scalable target."""
TAGS_MAX: Final = 50
"""AWS Billing User Guide, "User-Defined Tag Restrictions"."""
ACTIVITIES_MS: Final = 42 * 24 * 3_600_000
"""DescribeScalingActivities: those of the previous six weeks."""
PAGE: Final = 50
POLICIES_PAGE: Final = 10
"""DescribeScalingPolicies: between 1 and 10."""
