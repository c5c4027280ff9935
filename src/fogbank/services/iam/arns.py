"""The ARNs of IAM: global, in the account, with the path of the entity."""

from __future__ import annotations

from typing import Literal

Kind = Literal["user", "role", "group"]


def entity_arn(account: str, kind: str, path: str, name: str) -> str:
    """Return the ARN of a user, role or group."""
    return f"arn:aws:iam::{account}:{kind}{path}{name}"


def policy_arn(account: str, path: str, name: str) -> str:
    """Return the ARN of a customer managed policy."""
    return f"arn:aws:iam::{account}:policy{path}{name}"
