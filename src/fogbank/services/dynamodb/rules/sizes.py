"""How large an item is, and what reading or writing it costs.

Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats" and "Capacity unit
consumption".
"""

from __future__ import annotations

from typing import Final

from fogbank.services.dynamodb.quotas import READ_UNIT_BYTES, WRITE_UNIT_BYTES
from fogbank.services.dynamodb.rules import numbers
from fogbank.services.dynamodb.rules.values import Item, Value

_COLLECTION_BYTES: Final = 3
"""What a list or map costs whatever it holds; each member costs one byte more."""


def item_size(item: Item) -> int:
    """Return the size of an item in bytes: names and values."""
    texts, size = [*item], 0
    for value in item.values():
        text = value.get("S")
        if text is None:
            size += value_size(value)
        else:
            texts.append(text)
    # Of all texts together: most values are texts, and a call for each costs more than they do.
    return size + _text_size("".join(texts))


def _text_size(text: str) -> int:
    """Return how many bytes a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def value_size(value: Value) -> int:  # noqa: PLR0911 (one case per family of types)
    """Return the size of a value in bytes."""
    [(kind, content)] = value.items()
    if kind == "S":
        return _text_size(content)
    if kind == "N":
        return numbers.size(content)
    if kind == "M":
        return _COLLECTION_BYTES + len(content) + item_size(content)
    if kind == "L":
        return _COLLECTION_BYTES + len(content) + sum(map(value_size, content))
    if kind == "NS":
        return sum(map(numbers.size, content))
    if kind == "SS":
        return sum(map(_text_size, content))
    if kind == "BS":
        return sum(map(len, content))
    return len(content) if kind == "B" else 1


def read_units(size: int, *, consistent: bool) -> float:
    """Return the units that reading so many bytes consumes; reading nothing costs as much as one.

    Eventually consistent reads cost half. Ours see the newest write all the same.
    """
    units = max(1, -(-size // READ_UNIT_BYTES))
    return float(units) if consistent else units / 2


def write_units(*sizes: int) -> float:
    """Return the units that a write consumes, given the item's size before and after it."""
    return float(max(1, -(-max(sizes) // WRITE_UNIT_BYTES)))
