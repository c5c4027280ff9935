"""The names and values that a request gives its expressions, and which of them were used.

Rule: every placeholder in an expression is defined, and every defined one is used; the second is
required after the last expression has been bound.

Source: Amazon DynamoDB Developer Guide, "Expression attribute names (aliases)" and "Using
expression attribute values".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import ATTRIBUTE_NAME_BYTES_MAX, PLACEHOLDER_BYTES_MAX
from fogbank.services.dynamodb.rules import paths, values
from fogbank.services.dynamodb.rules.expressions.reader import invalid
from fogbank.services.dynamodb.rules.expressions.syntax import NameRef, Path, ValueRef
from fogbank.services.dynamodb.rules.values import Value

_NAMES: Final = "ExpressionAttributeNames"
_VALUES: Final = "ExpressionAttributeValues"
_KEYS: Final = {
    _NAMES: re.compile("#[A-Za-z0-9_]+"),
    _VALUES: re.compile(":[A-Za-z0-9_]+"),
}


class Placeholders:
    """What the placeholders of one request stand for."""

    __slots__ = ("_names", "_unused_names", "_unused_values", "_values")

    def __init__(self, names: dict[str, str], wire_values: dict[str, Value]) -> None:
        self._names = names
        self._values = wire_values
        # Dicts, because AWS lists what is left in the order of the request.
        self._unused_names = dict.fromkeys(names)
        self._unused_values = dict.fromkeys(wire_values)

    @property
    def given(self) -> Iterable[Value]:
        """Return the values that the request gives."""
        return self._values.values()

    def path(self, path: Path, kind: str) -> paths.Path:
        """Return a path with its names; ``kind`` is the parameter it stands in."""
        return tuple(
            self._name(step.text, kind) if isinstance(step, NameRef) else step
            for step in path.elements
        )

    def _name(self, ref: str, kind: str) -> str:
        """Return the attribute name that a placeholder stands for."""
        name = self._names.get(ref)
        if name is None:
            raise invalid(
                kind,
                "An expression attribute name used in the document path is not defined;"
                f" attribute name: {ref}",
            )
        self._unused_names.pop(ref, None)
        return name

    def value(self, ref: ValueRef, kind: str) -> Value:
        """Return the value that a placeholder stands for."""
        value = self._values.get(ref.text)
        if value is None:
            raise invalid(
                kind,
                "An expression attribute value used in expression is not defined;"
                f" attribute value: {ref.text}",
            )
        self._unused_values.pop(ref.text, None)
        return value

    def require_used(self) -> None:
        """Refuse the request if it defines what no expression uses."""
        for parameter, unused in (
            (_NAMES, self._unused_names),
            (_VALUES, self._unused_values),
        ):
            if unused:
                raise ValidationException(
                    f"Value provided in {parameter} unused in expressions:"
                    f" keys: {{{', '.join(unused)}}}"
                )


def placeholders_of(request: Request) -> Placeholders:
    """Return the placeholders that a request defines; their values are admitted."""
    return Placeholders(_names_of(request), _values_of(request))


def _names_of(request: Request) -> dict[str, str]:
    """Return the names that a request defines."""
    names: dict[str, str] | None = request.get(_NAMES)
    if names is None:
        return {}
    _require_keys(_NAMES, names)
    for key, name in names.items():
        fault = ""
        if not name:
            fault = "Empty attribute name"
        elif len(name.encode()) > ATTRIBUTE_NAME_BYTES_MAX:
            fault = "Attribute name is too large, must be less than 65536 bytes"
        if fault:
            raise ValidationException(f"{_NAMES} contains invalid value: {fault} for key {key}")
    return names


def _values_of(request: Request) -> dict[str, Value]:
    """Return the values that a request defines, as they would be stored."""
    given: dict[str, Value] | None = request.get(_VALUES)
    if given is None:
        return {}
    _require_keys(_VALUES, given)
    admitted: dict[str, Value] = {}
    for key, value in given.items():
        try:
            admitted[key] = values.admit(value)
        except ValidationException as error:
            raise ValidationException(
                f"{_VALUES} contains invalid value: {error.message} for key {key}"
            ) from None
    return admitted


def _require_keys(parameter: str, given: dict[str, str] | dict[str, Value]) -> None:
    """Refuse a map of placeholders that is empty or has a key that is no placeholder."""
    if not given:
        raise ValidationException(f"{parameter} must not be empty")
    for key in given:
        if _KEYS[parameter].fullmatch(key) is None:
            raise ValidationException(
                f'{parameter} contains invalid key: Syntax error; key: "{key}"'
            )
        if len(key) > PLACEHOLDER_BYTES_MAX:
            raise ValidationException(
                f"{parameter} contains invalid key:"
                " The expression attribute map contains a key that is too long;"
                f" key size: {len(key)}"
            )
