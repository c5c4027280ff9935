"""The ARNs of IAM: global, in the account, with the path of the entity."""

from __future__ import annotations

from typing import Literal

from fogbank.base.arn import global_arn
from fogbank.contract.action import Scope

Kind = Literal["user", "role", "group"]


def entity_arn(scope: Scope, kind: str, path: str, name: str) -> str:
    """Return the ARN of a user, role or group of the account."""
    return global_arn(scope.partition, "iam", scope.account, f"{kind}{path}{name}")


def policy_arn(scope: Scope, path: str, name: str) -> str:
    """Return the ARN of a customer managed policy of the account."""
    return global_arn(scope.partition, "iam", scope.account, f"policy{path}{name}")


def mfa_arn(scope: Scope, path: str, name: str) -> str:
    """Return the ARN of a virtual MFA device of the account: its serial number."""
    return global_arn(scope.partition, "iam", scope.account, f"mfa{path}{name}")
