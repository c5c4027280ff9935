"""Values of DuckDB as DynamoDB's attributes have them.

Rule: a number is an N where N holds it exactly (38 digits, up to 1E+125); what N does not hold, and what
DynamoDB has no kind for (times, intervals), is an S with the text that SQL shows.

Source: Amazon DynamoDB Developer Guide, "Supported data types"; DuckDB, "Conversion between DuckDB and
Python".
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, cast

_DIGITS_MAX: Final = 38
_TENS_MAX: Final = 126
_TENS_MIN: Final = -130


def attribute_of(value: object) -> dict[str, Any]:
    """Return a value as an attribute."""
    if isinstance(value, list | tuple):
        return {"L": [attribute_of(each) for each in cast("list[object]", value)]}
    if isinstance(value, dict):
        parts = cast("Mapping[object, object]", value)
        return {"M": {str(name): attribute_of(each) for name, each in parts.items()}}
    return _scalar_of(value)


def _scalar_of(value: object) -> dict[str, Any]:
    """Return a value that holds no other."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float | Decimal):
        return _number_of(Decimal(repr(value) if isinstance(value, float) else value))
    return {"B": value} if isinstance(value, bytes) else {"S": str(value)}


def _number_of(number: Decimal) -> dict[str, Any]:
    """Return a number in plain digits, or as a text."""
    if not number.is_finite():
        return {"S": str(number)}
    if not number:
        return {"N": "0"}
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > _DIGITS_MAX or not _TENS_MIN <= number.adjusted() < _TENS_MAX:
        return {"S": str(number)}
    text = format(number, "f")
    return {"N": text.rstrip("0").rstrip(".") if "." in text else text}
