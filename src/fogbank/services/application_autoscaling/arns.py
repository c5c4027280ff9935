"""How Application Auto Scaling writes its ARNs: targets under its own name, the rest under another.

Source: Service Authorization Reference, "Resource types defined by Application Auto Scaling"; API
Reference, ``PolicyARN`` and ``ScheduledActionARN`` in the examples of the Describe operations.
"""

from __future__ import annotations

from hashlib import blake2b

from fogbank.base.arn import arn_of

SERVICE: str = "application-autoscaling"
_OTHER: str = "autoscaling"


def target_id(region: str, account: str, place: tuple[str, str, str]) -> str:
    """Return what the ARN of a target ends in; AWS: 36 digits and letters (TagResource).

    It follows from what is scaled, so that policies may speak of a target before it is registered.
    """
    of = repr((region, account, place)).encode()
    return f"0d26{blake2b(of, digest_size=16).hexdigest()}"


def target_arn(region: str, account: str, target_id: str) -> str:
    """Return the ARN of a scalable target."""
    return arn_of(SERVICE, region, account, f"scalable-target/{target_id}")


def arn_of_target(region: str, account: str, place: tuple[str, str, str]) -> str:
    """Return the ARN of the target of a place, whether or not it is registered."""
    return target_arn(region, account, target_id(region, account, place))


def policy_arn(region: str, account: str, policy_id: str, of: str, name: str) -> str:
    """Return the ARN of a scaling policy of a resource, named with its namespace."""
    return arn_of(
        _OTHER, region, account, f"scalingPolicy:{policy_id}:resource/{of}:policyName/{name}"
    )


def action_arn(region: str, account: str, action_id: str, of: str, name: str) -> str:
    """Return the ARN of a scheduled action of a resource, named with its namespace."""
    what = f"scheduledAction:{action_id}:resource/{of}:scheduledActionName/{name}"
    return arn_of(_OTHER, region, account, what)
