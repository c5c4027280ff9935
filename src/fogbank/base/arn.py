"""Amazon Resource Names: parse and format.

Source: AWS General Reference, "Amazon Resource Names (ARNs)".
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

_ARN_PARTS = 6


class Arn(NamedTuple):
    """The six parts of an ARN; ``resource`` keeps its own separators."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def find_arn(text: str) -> Arn | None:
    """Return the parsed ARN, or None if the text is not one."""
    parts = text.split(":", 5)
    if len(parts) != _ARN_PARTS or parts[0] != "arn" or not parts[1] or not parts[2]:
        return None
    return Arn(*parts[1:])


def arn_of(service: str, region: str, account: str, resource: str) -> str:
    """Return an ARN in the ``aws`` partition."""
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def canonical_user_id(account: str) -> str:
    """Return the canonical user id of an account: 64 hexadecimal digits, always the same.

    Source: AWS General Reference, "AWS account identifiers".
    """
    return hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()
