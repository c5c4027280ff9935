"""JSON values of another type than the model's: what AWS accepts all the same, and its words.

Rule: this walk is the law; compiled decoders accept only what is plainly right and hand the rest
to it. So leniency and wording are written once, and off the fast path.

Source of the wording: dynalite's tests (``assertType``), recorded against DynamoDB; other JSON
services run on the same front (Coral) and send the same texts.
"""

from __future__ import annotations

import math
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Any, cast

from fogbank.wire.errors import SerializationException
from fogbank.wire.model import Ref, Shape
from fogbank.wire.timestamps import ms_of_seconds, ms_of_text

DEPTH_MAX = 100
"""Shapes within shapes; DynamoDB's own limit, told in its own words, is 32."""

_JAVA = {
    "string": "String",
    "integer": "Integer",
    "long": "Long",
    "float": "Float",
    "double": "Double",
    "boolean": "Boolean",
    "timestamp": "Date",
}
_NOT_EXPECTED = "Start of structure or map found where not expected"
_TOO_DEEP = "The request is nested too deeply"
_TRUE = frozenset({"TRUE", "1", "YES"})
_FALSE = frozenset({"FALSE", "0", "NO"})
_INT64_MAX = 2**63 - 1
_SPECIAL = frozenset({"NaN", "Infinity", "-Infinity"})


class Malformed(Exception):
    """A compiled decoder found something that is not plainly right."""


def _decoded(value: str) -> bytes:
    """Return the bytes of a base64 text.

    Raises:
        ValueError: It has other letters, wrong padding, or bits behind its last byte.
    """
    out = a2b_base64(value, strict_mode=True)
    if value[-1:] == "=" and b2a_base64(out[-(len(out) % 3) :], newline=False) != value[-4:].encode(
        "ascii"
    ):
        raise ValueError("bits behind the last byte")
    return out


def blob(value: Any) -> bytes:
    """Return the bytes of a base64 string.

    Raises:
        Malformed: It is not plainly one.
    """
    try:
        return _decoded(value)
    except (ValueError, TypeError):
        raise Malformed from None


def moment(value: Any) -> int:
    """Return milliseconds for a timestamp in JSON.

    Raises:
        Malformed: It is not plainly one.
    """
    try:
        if type(value) is int or type(value) is float:
            return ms_of_seconds(value)
        if type(value) is str:
            return ms_of_text(value)
    except ValueError:
        pass
    raise Malformed


def number(value: Any) -> float:
    """Return the float that a number or one of the three special texts stands for.

    Raises:
        Malformed: It is neither.
    """
    if type(value) is float or type(value) is int:
        return float(value)
    if type(value) is str and value in _SPECIAL:
        return float(value)
    raise Malformed


def document(value: Any) -> Any:
    """Return free-form JSON unless it is nested too deeply.

    Raises:
        Malformed: It is.
    """
    level: list[Any] = [value]
    for _ in range(DEPTH_MAX):
        beneath: list[Any] = []
        for each in level:
            if type(each) is dict:
                beneath.extend(cast("dict[str, Any]", each).values())
            elif type(each) is list:
                beneath.extend(cast("list[Any]", each))
        if not beneath:
            return value
        level = beneath
    raise Malformed


RUNTIME = {
    "Malformed": Malformed,
    "blob": blob,
    "document": document,
    "moment": moment,
    "number": number,
}
"""What compiled decoders of JSON call."""


class Law:
    """The walk over one service's model."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        """What stands before a shape's name in AWS's texts."""

    def value(self, ref: Ref, value: Any, depth: int = 0, *, element: bool = True) -> Any:
        """Return a decoded value; nulls in lists and maps stay, for the validator to refuse.

        Raises:
            SerializationException: It has another type than the model's.
        """
        shape = ref.shape
        if depth > DEPTH_MAX:
            raise SerializationException(_TOO_DEEP)
        if shape.is_document:
            return self._document(value)
        if shape.type == "structure":
            return self._structure(shape, value, depth, element=element)
        if shape.type == "list":
            return self._list(shape, value, depth)
        if shape.type == "map":
            return self._map(shape, value, depth)
        return self._scalar(shape, value)

    def body(self, shape: Shape, value: Any) -> dict[str, Any]:
        """Return the members of an input that lie in the body.

        Raises:
            SerializationException: One has another type than the model's.
        """
        found = {name: ref for name, ref in shape.members.items() if not ref.location}
        return self._members(shape, found, value, 0, element=True)

    def _structure(self, shape: Shape, value: Any, depth: int, *, element: bool) -> dict[str, Any]:
        return self._members(shape, shape.members, value, depth, element=element)

    def _members(
        self, shape: Shape, members: Mapping[str, Ref], value: Any, depth: int, *, element: bool
    ) -> dict[str, Any]:
        if isinstance(value, list):
            raise SerializationException(
                f"Unrecognized collection type class {self._namespace}.{shape.name}"
            )
        if not isinstance(value, dict):
            raise SerializationException(
                "Unexpected value type in payload" if element else "Unexpected field type"
            )
        given = cast("dict[str, Any]", value)
        out: dict[str, Any] = {}
        for name, ref in members.items():
            found = given.get(ref.wire_name)
            if found is not None:
                out[name] = self.value(ref, found, depth + 1, element=False)
        return out

    def _list(self, shape: Shape, value: Any, depth: int) -> list[Any]:
        if isinstance(value, dict):
            raise SerializationException(_NOT_EXPECTED)
        if not isinstance(value, list):
            raise SerializationException("Unexpected field type")
        items = cast("list[Any]", value)
        inner = shape.member
        return [None if item is None else self.value(inner, item, depth + 1) for item in items]

    def _map(self, shape: Shape, value: Any, depth: int) -> dict[str, Any]:
        inner = shape.value
        if isinstance(value, list):
            java = _JAVA.get(inner.shape.type)
            name = f"java.lang.{java}" if java else f"{self._namespace}.{inner.shape.name}"
            raise SerializationException(
                f"Unrecognized collection type java.util.Map<java.lang.String, {name}>"
            )
        if not isinstance(value, dict):
            raise SerializationException("Unexpected field type")
        given = cast("dict[str, Any]", value)
        return {
            key: None if item is None else self.value(inner, item, depth + 1)
            for key, item in given.items()
        }

    @staticmethod
    def _document(value: Any) -> Any:
        try:
            return document(value)
        except Malformed:
            raise SerializationException(_TOO_DEEP) from None

    def _scalar(self, shape: Shape, value: Any) -> Any:
        if isinstance(value, dict):
            raise SerializationException(_NOT_EXPECTED)
        if isinstance(value, list):
            java = (
                f"java.lang.{_JAVA[shape.type]}" if shape.type in _JAVA else "java.nio.ByteBuffer"
            )
            raise SerializationException(f"Unrecognized collection type class {java}")
        if shape.type == "blob":
            return _blob(value)
        java = _JAVA[shape.type]
        if shape.type == "timestamp":
            return _timestamp(value)
        if shape.type == "boolean":
            return _boolean(value)
        if shape.type == "string":
            return value if isinstance(value, str) else _refuse(value, java)
        return _number(shape, value, java)


def _refuse(value: Any, java: str) -> Any:
    """Raise the text for a value of the wrong type."""
    if isinstance(value, bool):
        kind = "TRUE_VALUE" if value else "FALSE_VALUE"
    elif isinstance(value, str):
        kind = "STRING_VALUE"
    else:
        kind = "NUMBER_VALUE" if isinstance(value, int) else "DECIMAL_VALUE"
    raise SerializationException(f"{kind} cannot be converted to {java}")


def _number(shape: Shape, value: Any, java: str) -> float:
    whole = shape.type in {"integer", "long"}
    if isinstance(value, str) and value in _SPECIAL and not whole:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _refuse(value, java)
    if not whole:
        return float(value)
    # AWS: numbers are truncated to whole ones (TruncatingBigNumber in older texts).
    # Beyond 64 bits there are none: what Java's types cannot hold, no field of ours can either.
    if not -_INT64_MAX - 1 <= value <= _INT64_MAX:
        return _refuse(value, java)
    return math.floor(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        # AWS: texts for true and false are accepted (dynalite, validations/index.js).
        if value.upper() in _TRUE:
            return True
        if value.upper() in _FALSE:
            return False
        raise SerializationException("Unexpected token received from parser")
    return _refuse(value, "Boolean")


def _timestamp(value: Any) -> int:
    try:
        return moment(value)
    except Malformed:
        return _refuse(value, "Date")


def _blob(value: Any) -> bytes:
    if not isinstance(value, str):
        raise SerializationException("only base-64-encoded strings are convertible to bytes")
    if len(value) % 4:
        raise SerializationException(
            f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(value)}"
        )
    try:
        return _decoded(value)
    except ValueError:
        # AWS: the misspelling is AWS's (dynalite, test/helpers.js).
        raise SerializationException("Invalid last non-pad Base64 character dectected") from None
