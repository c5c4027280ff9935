"""Tags of buckets and objects: which may be, and how they are given and answered.

Source: Amazon S3 User Guide, "Categorizing your objects using tags"; AWS Billing User Guide,
"User-Defined Tag Restrictions"; API Reference, PutBucketTagging and PutObjectTagging; messages from
answers recorded by LocalStack (tests/aws/services/s3/test_s3_api.snapshot.json, tagging).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fogbank.services.s3.errors import BadRequest, InvalidTag
from fogbank.services.s3.schema import Tag

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

KEY_CHARACTERS_MAX: Final = 128
VALUE_CHARACTERS_MAX: Final = 256
_SIGNS: Final = frozenset("_.:/=+-@")
_SYSTEM: Final = "aws:"


class Kind(NamedTuple):
    """What bears tags, and what is said when it may not bear these."""

    tags_max: int
    too_many: str
    system: str


BUCKET: Final = Kind(
    50,
    "Bucket tag count cannot be greater than 50",
    "System tags cannot be added/updated by requester",
)
OBJECT: Final = Kind(
    10, "Object tags cannot be greater than 10", "Your TagKey cannot be prefixed with aws:"
)


def tags_of(given: Sequence[shapes.Tag], kind: Kind) -> tuple[Tag, ...]:
    """Return the tags of a set, checked, in order of their keys.

    Raises:
        BadRequest: They are too many.
        InvalidTag: One cannot be, or a key is given twice.
    """
    if len(given) > kind.tags_max:
        raise BadRequest(kind.too_many)
    tags: dict[str, Tag] = {}
    for each in given:
        key, value = each["Key"], each["Value"]
        if key in tags:
            raise InvalidTag("Cannot provide multiple Tags with the same key", TagKey=key)
        if key.startswith(_SYSTEM):
            raise InvalidTag(kind.system, TagKey=key)
        if not key or not _legal(key, KEY_CHARACTERS_MAX):
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=key)
        if not _legal(value, VALUE_CHARACTERS_MAX):
            raise InvalidTag(
                "The TagValue you have provided is invalid", TagKey=key, TagValue=value
            )
        tags[key] = Tag(key, value)
    return tuple(sorted(tags.values(), key=lambda tag: tag.key))


def _legal(text: str, characters_max: int) -> bool:
    """Return whether a text may be in a tag: letters, digits, spaces and some signs."""
    return len(text) <= characters_max and all(
        character in _SIGNS or unicodedata.category(character)[0] in "LNZ" for character in text
    )


def tag_set(tags: Sequence[Tag]) -> list[shapes.Tag]:
    """Return tags as they are answered."""
    return [{"Key": tag.key, "Value": tag.value} for tag in tags]
