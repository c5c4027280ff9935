"""How KMS writes its ARNs.

Source: Service Authorization Reference, "Resource types defined by AWS Key Management Service".
"""

from __future__ import annotations

from fogbank.base.arn import arn_of

ALIAS: str = "alias/"


def key_arn(region: str, account: str, key_id: str) -> str:
    """Return the ARN of a key."""
    return arn_of("kms", region, account, f"key/{key_id}")


def alias_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of an alias; its name begins with ``alias/``."""
    return arn_of("kms", region, account, name)
