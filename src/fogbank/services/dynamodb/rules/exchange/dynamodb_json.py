"""DynamoDB JSON: an item a line, each value under its type, binary values in base64.

Source: Amazon DynamoDB Developer Guide, "Amazon S3 import formats for DynamoDB: DynamoDB Json" and
"DynamoDB table export output format: DynamoDB JSON".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

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


_TYPES: Final = msgspec.structs.fields(_Value)
_decode: Final = msgspec.json.Decoder(_Line).decode


def item_of(line: bytes) -> Item:
    """Return the item of a line, its values not yet checked.

    Raises:
        Unreadable: It is no item in this format.
    """
    try:
        return {name: _plain(value) for name, value in _decode(line).Item.items()}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"The line is no item in DynamoDB JSON: {error}") from None
    except RecursionError:
        raise Unreadable("The line is no item in DynamoDB JSON: it is nested too deeply") from None


def _plain(value: _Value) -> Value:
    """Return a value as it goes over the wire."""
    found: Value = {}
    for field in _TYPES:
        content = getattr(value, field.name)
        if content is msgspec.UNSET:
            continue
        if field.name == "M":
            content = {name: _plain(each) for name, each in content.items()}
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
