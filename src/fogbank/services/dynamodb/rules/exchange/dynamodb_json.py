"""DynamoDB JSON: an item a line, each value under its type, binary values in base64.

Source: Amazon DynamoDB Developer Guide, "Amazon S3 import formats for DynamoDB: DynamoDB Json" and
"DynamoDB table export output format: DynamoDB JSON".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
import orjson

from fogbank.services.dynamodb.rules.exchange.faults import Unreadable
from fogbank.services.dynamodb.rules.values import Item, Value


class _Value(msgspec.Struct, forbid_unknown_fields=True):
    """An attribute value as DynamoDB JSON has it."""

    S: str | msgspec.UnsetType = msgspec.UNSET
    N: str | msgspec.UnsetType = msgspec.UNSET
    B: bytes | msgspec.UnsetType = msgspec.UNSET
    SS: list[str] | msgspec.UnsetType = msgspec.UNSET
    NS: list[str] | msgspec.UnsetType = msgspec.UNSET
    BS: list[bytes] | msgspec.UnsetType = msgspec.UNSET
    M: dict[str, _Value] | msgspec.UnsetType = msgspec.UNSET
    L: list[_Value] | msgspec.UnsetType = msgspec.UNSET
    NULL: bool | msgspec.UnsetType = msgspec.UNSET
    BOOL: bool | msgspec.UnsetType = msgspec.UNSET


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line: an item."""

    Item: dict[str, _Value]


class _Put(_Line, forbid_unknown_fields=True):
    """A line of a bulk put: an item, and on what condition it is written."""

    ConditionExpression: str | msgspec.UnsetType = msgspec.UNSET
    ExpressionAttributeNames: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    ExpressionAttributeValues: dict[str, _Value] | msgspec.UnsetType = msgspec.UNSET


_TYPES: Final = msgspec.structs.fields(_Value)
_decode_line: Final = msgspec.json.Decoder(_Line).decode
_decode_put: Final = msgspec.json.Decoder(_Put).decode
R = TypeVar("R")


def item_of(line: bytes) -> Item:
    """Return the item of a line, its values not yet checked.

    Raises:
        Unreadable: It is no item in this format.
    """
    return _read(lambda: _map(_decode_line(line).Item))


def put_of(line: bytes) -> tuple[Item, dict[str, object]]:
    """Return the item of a line, its values not yet checked, and the members of its condition.

    These are PutItem's own: ``ConditionExpression``, ``ExpressionAttributeNames`` and
    ``ExpressionAttributeValues``.

    Raises:
        Unreadable: It is no item in this format.
    """
    return _read(lambda: _parts_of(_decode_put(line)))


def _parts_of(found: _Put) -> tuple[Item, dict[str, object]]:
    """Return the item of a line and the members of its condition."""
    members: dict[str, object] = {}
    if found.ConditionExpression is not msgspec.UNSET:
        members["ConditionExpression"] = found.ConditionExpression
    if found.ExpressionAttributeNames is not msgspec.UNSET:
        members["ExpressionAttributeNames"] = found.ExpressionAttributeNames
    if found.ExpressionAttributeValues is not msgspec.UNSET:
        members["ExpressionAttributeValues"] = _map(found.ExpressionAttributeValues)
    return _map(found.Item), members


def _read(read: Callable[[], R]) -> R:
    """Return what is read of a line.

    Raises:
        Unreadable: It has something else.
    """
    try:
        return read()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"The line is no item in DynamoDB JSON: {error}") from None
    except RecursionError:
        raise Unreadable("The line is no item in DynamoDB JSON: it is nested too deeply") from None


def _map(found: dict[str, _Value]) -> Item:
    """Return the values of a map as they go over the wire."""
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: _Value) -> Value:
    """Return a value as it goes over the wire."""
    found: Value = {}
    for field in _TYPES:
        content = getattr(value, field.name)
        if content is msgspec.UNSET:
            continue
        if field.name == "M":
            content = _map(content)
        elif field.name == "L":
            content = [_plain(each) for each in content]
        found[field.name] = content
    return found


def line_of(record: Mapping[str, Item]) -> bytes:
    """Return the line of an item, or of a change, by the names of its parts."""
    return orjson.dumps(record, default=_shown, option=orjson.OPT_APPEND_NEWLINE)


def _shown(content: Any) -> str:
    """Return binary content in base64."""
    assert isinstance(content, bytes), "values are made of what JSON has, and of bytes"
    return b64encode(content).decode()
