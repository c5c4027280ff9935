"""Why public access is refused, in AWS's words.

Source: Amazon S3 User Guide, "Troubleshoot access denied (403 Forbidden) errors in Amazon S3".
"""

from __future__ import annotations

from typing import Final

from fogbank.base.errors import AccessDenied
from fogbank.contract.call import Call
from fogbank.services.s3.schema import BucketRecord

ACL_BLOCKED: Final = "public ACLs are prevented by the BlockPublicAcls setting"
POLICY_BLOCKED: Final = "public policies are prevented by the BlockPublicPolicy setting"


def blocked(call: Call, bucket: BucketRecord, action: str, arn: str, why: str) -> AccessDenied:
    """Return the error for what would let the public in; other accounts do not hear why.

    Args:
        call: The call.
        bucket: Whose access block refuses it.
        action: What was asked.
        arn: Of what.
        why: ``ACL_BLOCKED`` or ``POLICY_BLOCKED``.
    """
    if call.account != bucket.account:
        return AccessDenied("Access Denied")
    return _denied(call, action, arn, why)


def policy_blocked(call: Call, action: str, arn: str) -> AccessDenied:
    """Return the error for a policy of the caller's own that would let the public in; see ``blocked``."""
    return _denied(call, action, arn, POLICY_BLOCKED)


def _denied(call: Call, action: str, arn: str, why: str) -> AccessDenied:
    """Return the error with its reason."""
    return AccessDenied(
        f"User: {call.principal.arn} is not authorized to perform: {action} on resource: "
        f'"{arn}" because {why} in S3 Block Public Access.'
    )
