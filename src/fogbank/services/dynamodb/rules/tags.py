"""Tags of tables: which may be, and what a request that gives them needs to be allowed.

Indexes bear the tags of their table; streams bear none. The model's own bounds of keys and values
are not checked by the front: AWS tells them in the words below.

Source: Developer Guide, "Adding tags and labels to resources in DynamoDB" and "Attribute-based
access control with DynamoDB"; messages as in ``resources``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fogbank.base.types import Request
from fogbank.contract.action import Access, Scope
from fogbank.platform.tags import (
    KEY_CHARACTERS_MAX,
    VALUE_CHARACTERS_MAX,
    is_legal,
    named,
    requested,
)
from fogbank.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from fogbank.services.dynamodb.rules import access
from fogbank.services.dynamodb.rules.policies import PUT
from fogbank.services.dynamodb.rules.resources import require_resource

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_RESERVED: Final = "aws:"
_TOO_MANY: Final = "Number of Tags exceed the current limit for the provided ResourceArn"


def create_table(scope: Scope, request: Request) -> list[Access]:
    """Return what CreateTable needs; its tags and its policy need an access of their own."""
    arn = access.arn_of(scope, request["TableName"])
    context = requested(_texts_of(request))
    accesses = [Access("dynamodb:CreateTable", arn, context)]
    if context:
        accesses.append(Access("dynamodb:TagResource", arn, context))
    if "ResourcePolicy" in request:
        # AWS: it needs this permission too (API Reference, CreateTable, ``ResourcePolicy``).
        accesses.append(Access(PUT, arn, context))
    return accesses


def tag_resource(_scope: Scope, request: Request) -> list[Access]:
    """Return what TagResource needs: the keys and values that it gives."""
    context = requested(_texts_of(request))
    return [Access("dynamodb:TagResource", request["ResourceArn"], context)]


def untag_resource(_scope: Scope, request: Request) -> list[Access]:
    """Return what UntagResource needs: the keys that it takes away."""
    return [Access("dynamodb:UntagResource", request["ResourceArn"], named(request["TagKeys"]))]


def _texts_of(request: Request) -> dict[str, str]:
    """Return the tags of a request, checked or not."""
    given: Sequence[dict[str, str]] = request.get("Tags") or ()
    return {tag.get("Key", ""): tag.get("Value", "") for tag in given}


def table_of(scope: Scope, request: Request) -> str:
    """Return the name of the table whose tags a request is about; see ``require_resource``.

    Raises:
        ResourceNotFoundException: It is about a stream.
    """
    arn: str = request["ResourceArn"]
    resource = require_resource(
        scope, arn, "Invalid TableArn: Invalid ResourceArn provided as input "
    )
    if resource.stream_label:
        raise unfound(arn)
    return resource.table


def unfound(arn: str) -> ResourceNotFoundException:
    """Return the error for an ARN under which nothing stands."""
    return ResourceNotFoundException(f"Requested resource not found: ResourceArn: {arn} not found")


def given_tags(request: Request, tags_max: int) -> dict[str, str]:
    """Return the tags that a TagResource request gives.

    Raises:
        ValidationException: There are none, too many, or one cannot be.
    """
    if not request["Tags"]:
        raise ValidationException("Atleast one Tag needs to be provided as Input.")
    return first_tags(request, tags_max)


def first_tags(request: Request, tags_max: int) -> dict[str, str]:
    """Return the tags that a table is created with; an empty list is none."""
    found: dict[str, str] = {}
    given: Iterable[shapes.Tag] = request.get("Tags") or ()
    for tag in given:
        key, value = _required(tag.get("Key")), tag.get("Value")
        if key.lower().startswith(_RESERVED):
            raise ValidationException(f"Tag Key cannot be prefixed with aws:, Key: {key}")
        if value is None or not is_legal(value, VALUE_CHARACTERS_MAX):
            raise ValidationException(f"The Tag Value provided is invalid, Value: {_shown(value)}")
        if key in found:
            raise ValidationException(
                f"Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}"
            )
        found[key] = value
    check(found, tags_max)
    return found


def given_keys(request: Request, tags_max: int) -> frozenset[str]:
    """Return the keys that an UntagResource request takes away.

    Raises:
        ValidationException: There are none, more than a table can have, or one cannot be.
    """
    keys: list[str] = request["TagKeys"]
    if not keys:
        raise ValidationException("Atleast one Tag Key needs to be provided as Input.")
    gone = frozenset(map(_required, keys))
    if len(keys) > tags_max:
        raise ValidationException(_TOO_MANY)
    return gone


def _required(key: str | None) -> str:
    """Return the key of a tag; refuse what cannot be one."""
    if not key or not is_legal(key, KEY_CHARACTERS_MAX):
        raise ValidationException(f"The Tag Key provided is invalid, Key: {_shown(key)}")
    return key


def _shown(text: str | None) -> str:
    """Return a text as AWS's messages show it."""
    return "null" if text is None else text


def check(tags: Mapping[str, str], tags_max: int) -> None:
    """Refuse more tags than a table may have."""
    if len(tags) > tags_max:
        raise ValidationException(_TOO_MANY)
