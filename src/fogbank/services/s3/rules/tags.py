"""Tags of buckets and objects: which may be, and how they are given and answered.

Source: Amazon S3 User Guide, "Categorizing your objects using tags"; AWS Billing User Guide,
"User-Defined Tag Restrictions"; API Reference, PutBucketTagging and PutObjectTagging; messages from
answers recorded by LocalStack (tests/aws/services/s3/test_s3_api.snapshot.json, tagging).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

from fogbank.base.types import Request
from fogbank.contract.action import ContextValue
from fogbank.platform.tags import KEY_CHARACTERS_MAX, VALUE_CHARACTERS_MAX, is_legal
from fogbank.services.s3.errors import BadRequest, InvalidArgument, InvalidRequest, InvalidTag
from fogbank.services.s3.schema import BucketRecord, Tag

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

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
POINT: Final = BUCKET._replace(too_many="Access point tag count cannot be greater than 50")
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
        if not key or not is_legal(key, KEY_CHARACTERS_MAX):
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=key)
        if not is_legal(value, VALUE_CHARACTERS_MAX):
            raise InvalidTag(
                "The TagValue you have provided is invalid", TagKey=key, TagValue=value
            )
        tags[key] = Tag(key, value)
    return tuple(sorted(tags.values(), key=lambda tag: tag.key))


def check_replaceable(bucket: BucketRecord) -> None:
    """Refuse to replace tags that are condition keys.

    AWS: "You can no longer use the PutBucketTagging and DeleteBucketTagging actions" (API Reference,
    PutBucketAbac). Its words are not known.

    Raises:
        InvalidRequest: They are.
    """
    if bucket.abac:
        raise InvalidRequest(
            "Attribute-based access control is enabled for the bucket: its tags are changed by "
            "TagResource and UntagResource"
        )


def tag_set(tags: Sequence[Tag]) -> list[shapes.Tag]:
    """Return tags as they are answered."""
    return [{"Key": tag.key, "Value": tag.value} for tag in tags]


def header_tags(request: Request) -> tuple[Tag, ...]:
    """Return the tags that ``x-amz-tagging`` gives an object, checked; see ``tags_of``.

    Raises:
        InvalidArgument: It is not the query of a URL in which each key stands once.
    """
    header: str = request.get("Tagging") or ""
    if not header:
        return ()
    try:
        pairs = _pairs(header)
    except ValueError as error:
        raise _malformed(header) from error
    keys = {key for key, _ in pairs}
    legal = all(is_legal(text, len(text)) for pair in pairs for text in pair)
    if len(keys) < len(pairs) or not legal:
        raise _malformed(header)
    return tags_of([{"Key": key, "Value": value} for key, value in pairs], OBJECT)


def _pairs(header: str) -> list[tuple[str, str]]:
    """Return the keys and values of ``x-amz-tagging``; ValueError if they are not UTF-8."""
    return parse_qsl(header, keep_blank_values=True, errors="strict")


def _malformed(header: str) -> InvalidArgument:
    """Return the error for a header that gives no tags."""
    return InvalidArgument(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
        "without tag name duplicates.",
        ArgumentName="x-amz-tagging",
        ArgumentValue=header,
    )


def condition_keys(request: Request) -> dict[str, ContextValue]:
    """Return the condition keys of the tags that a request gives an object, checked or not.

    Args:
        request: It has them in a header (a text) or in a document.
    """
    given = request.get("Tagging")
    if not given:
        return {}
    if isinstance(given, str):
        try:
            pairs = _pairs(given)
        except ValueError:
            return {}  # who may write hears what is wrong with it
    else:
        pairs = [(tag.get("Key", ""), tag.get("Value", "")) for tag in given.get("TagSet") or ()]
    keys: dict[str, ContextValue] = {f"s3:RequestObjectTag/{key}": value for key, value in pairs}
    if pairs:
        keys["s3:RequestObjectTagKeys"] = tuple(dict.fromkeys(key for key, _ in pairs))
    return keys
