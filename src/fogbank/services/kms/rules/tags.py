"""Tags of keys.

Source: API Reference, TagResource and the data type Tag; Developer Guide, "Tags in AWS KMS".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fogbank.base.types import Request
from fogbank.services.kms import quotas
from fogbank.services.kms.errors import LimitExceededException, TagException

_RESERVED = "aws:"


def given(tags: Sequence[Request]) -> dict[str, str]:
    """Return the tags of a request by key.

    Raises:
        TagException: A key comes twice, or is one that only AWS gives.
    """
    found: dict[str, str] = {}
    for tag in tags:
        key = tag["TagKey"]
        if key in found:
            raise TagException("Duplicate tag keys")
        if key.lower().startswith(_RESERVED):
            raise TagException(f"Tag key {key} begins with the reserved prefix {_RESERVED}")
        found[key] = tag["TagValue"]
    return found


def check(tags: Mapping[str, str]) -> None:
    """Refuse more tags than a key may have."""
    if len(tags) > quotas.TAGS_MAX:
        raise LimitExceededException(f"A key may have {quotas.TAGS_MAX} tags.")
