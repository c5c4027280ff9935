"""Statements of policies that tests of S3 share."""

from __future__ import annotations

from typing import Any


def allowing(action: str | list[str], **condition: Any) -> dict[str, Any]:
    """Return a statement that allows some actions on everything."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {**statement, "Condition": condition} if condition else statement
