"""Attribute values: what DynamoDB stores, checked and brought to one spelling.

A value is a dict of one entry, type to content, exactly as it goes over the wire:
``{"S": "x"}``, ``{"N": "1"}``, ``{"M": {"a": {"BOOL": True}}}``; binary content is bytes. An item
is a dict from attribute names to values.

Rule: whatever enters through ``admit`` is stored, compared and answered as it came out. Its
numbers are canonical, so that equal numbers are equal texts; its sets are not empty and have no
member twice. Values are never changed in place.

Source: Amazon DynamoDB API Reference, "AttributeValue".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import ATTRIBUTE_NAME_BYTES_MAX, LEVELS_MAX
from fogbank.services.dynamodb.rules import numbers

Value = dict[str, Any]
Item = dict[str, Value]

SCALAR_TYPES: Final = frozenset({"S", "N", "B"})
SET_TYPES: Final = frozenset({"SS", "NS", "BS"})
_SPELT: Final = frozenset({"S", "B", "BOOL"})
"""The types whose values have one spelling."""
_SHORT_NAME: Final = ATTRIBUTE_NAME_BYTES_MAX // 4
"""So many characters are never too long."""
_INVALID: Final = "One or more parameter values were invalid: "


def type_of(value: Value) -> str:
    """Return the type of a value: ``S``, ``N``, ``M`` and so on."""
    return next(iter(value))


def admit_item(item: Mapping[str, Any]) -> Item:
    """Return a client's item in the house's spelling, or refuse it."""
    admitted = {**item}
    for name, value in item.items():
        if not 0 < len(name) <= _SHORT_NAME:
            require_name(name)
        # As ``admit`` does with most values; a call less for each.
        if len(value) != 1 or not _SPELT.issuperset(value):
            admitted[name] = admit(value)
    return admitted


def admit(value: Value, level: int = 1) -> Value:
    """Return a client's value in the house's spelling, or refuse it.

    Args:
        value: As decoded from the wire.
        level: Where it stands in its document; a top-level attribute stands at 1.

    Raises:
        ValidationException: DynamoDB cannot store this value.
    """
    if len(value) != 1:
        _refuse_types(value)
    [(kind, content)] = value.items()
    if kind in _SPELT:
        return value
    return {kind: _ADMIT[kind](content, level)}


def _refuse_types(value: Value) -> NoReturn:
    """Raise the error for a value of no type or of several."""
    if not value:
        raise ValidationException(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    raise ValidationException(
        "Supplied AttributeValue has more than one datatypes set,"
        " must contain exactly one of the supported datatypes"
    )


def require_name(name: str) -> str:
    """Return the name of an attribute, or refuse it."""
    if not name:
        raise ValidationException(f"{_INVALID}Empty attribute name")
    if len(name) * 4 > ATTRIBUTE_NAME_BYTES_MAX and len(name.encode()) > ATTRIBUTE_NAME_BYTES_MAX:
        raise ValidationException(
            f"{_INVALID}Attribute name is too large, must be less than 65536 bytes"
        )
    return name


def _admit_null(content: bool, _level: int) -> bool:  # noqa: FBT001 (the content of a NULL)
    if not content:
        raise ValidationException(
            f"{_INVALID}Null attribute value types must have the value of true"
        )
    return True


def _admit_number(content: str, _level: int) -> str:
    return numbers.canonical(content)


def _admit_string_set(content: list[str], _level: int) -> list[str]:
    if not content:
        raise ValidationException(f"{_INVALID}An string set  may not be empty")
    if len(set(content)) != len(content):
        raise ValidationException(
            f"{_INVALID}Input collection [{', '.join(content)}] contains duplicates."
        )
    return content


def _admit_number_set(content: list[str], _level: int) -> list[str]:
    if not content:
        raise ValidationException(f"{_INVALID}An number set  may not be empty")
    members = [numbers.canonical(member) for member in content]
    if len(set(members)) != len(members):
        raise ValidationException("Input collection contains duplicates")
    return members


def _admit_binary_set(content: list[bytes], _level: int) -> list[bytes]:
    if not content:
        raise ValidationException(f"{_INVALID}Binary sets should not be empty")
    if len(set(content)) != len(content):
        shown = ", ".join(b64encode(member).decode() for member in content)
        raise ValidationException(
            f"{_INVALID}Input collection [{shown}]of type BS contains duplicates."
        )
    return content


def _admit_list(content: list[Value], level: int) -> list[Value]:
    require_level(level + 1 if content else level)
    return [admit(member, level + 1) for member in content]


def _admit_map(content: Item, level: int) -> Item:
    require_level(level + 1 if content else level)
    return {require_name(name): admit(member, level + 1) for name, member in content.items()}


_ADMIT: Final[dict[str, Callable[[Any, int], Any]]] = {
    "N": _admit_number,
    "NULL": _admit_null,
    "SS": _admit_string_set,
    "NS": _admit_number_set,
    "BS": _admit_binary_set,
    "L": _admit_list,
    "M": _admit_map,
}


def require_level(level: int) -> None:
    """Refuse a document that is nested too deeply."""
    if level > LEVELS_MAX:
        raise ValidationException(
            "Nesting Levels have exceeded supported limits:"
            " Attributes in the item have nested levels beyond supported limit"
        )


def levels_of(value: Value) -> int:
    """Return how many levels a value has: a scalar one, a list of scalars two."""
    [(kind, content)] = value.items()
    if kind == "L":
        return 1 + max(map(levels_of, content), default=0)
    if kind == "M":
        return 1 + max(map(levels_of, content.values()), default=0)
    return 1


def copy_of(value: Value) -> Value:
    """Return a copy whose lists and maps can be changed without touching the original."""
    [(kind, content)] = value.items()
    if kind == "L":
        return {kind: [copy_of(member) for member in content]}
    if kind == "M":
        return {kind: {name: copy_of(member) for name, member in content.items()}}
    return value


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are the same; sets have no order."""
    [(kind, content)] = left.items()
    if kind not in right:
        return False
    other = right[kind]
    if kind in SET_TYPES:
        return len(content) == len(other) and set(content) == set(other)
    if kind == "L":
        return len(content) == len(other) and all(map(equal, content, other))
    if kind == "M":
        return content.keys() == other.keys() and all(
            equal(member, other[name]) for name, member in content.items()
        )
    return bool(content == other)
