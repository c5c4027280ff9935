"""Tags of resources: which texts may be in one, and what policies hear of them.

Which errors are told, how many a resource may bear and how they are kept is each service's own.

Source: AWS Billing User Guide, "User-Defined Tag Restrictions"; IAM User Guide, "Controlling access
to AWS resources using tags".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from fogbank.platform.iam.request import ContextValue

KEY_CHARACTERS_MAX: Final = 128
VALUE_CHARACTERS_MAX: Final = 256
_SIGNS: Final = frozenset("_.:/=+-@")


def is_legal(text: str, characters_max: int) -> bool:
    """Return whether a text may be in a tag: letters, digits, spaces and some signs."""
    return len(text) <= characters_max and all(
        character in _SIGNS or unicodedata.category(character)[0] in "LNZ" for character in text
    )


def requested(tags: Mapping[str, str]) -> dict[str, ContextValue]:
    """Return the condition keys of the tags that a request gives; none without tags."""
    keys: dict[str, ContextValue] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return keys | named(tags)


def named(tag_keys: Iterable[str]) -> dict[str, ContextValue]:
    """Return the condition key of the keys that a request names; none without keys."""
    found = tuple(tag_keys)
    return {"aws:TagKeys": found} if found else {}


def borne(tags: Mapping[str, str]) -> dict[str, ContextValue]:
    """Return the condition keys of the tags that a resource bears."""
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
