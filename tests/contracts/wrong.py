"""Values that a model forbids, at every depth of it, each with the request that carries it.

Rule: of everything else a request holds the least, so that what is refused is refused for the one
value. A shape beneath itself is entered once: the same code decodes it again further down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from botocore.model import ListShape, MapShape, Shape, StructureShape
from tests.contracts.made_up import NAME, placed, smallest, value_of
from tests.contracts.registry import Built, botocore_model

ELEMENT = "[]"
VALUE = "{}"
NUMBERS = {"integer", "long", "float", "double"}
INTEGERS = {"integer", "long"}
SIZED_MAX = 300_000
"""Texts and blobs that would be longer are left out: the bound of the body comes first."""
LISTED_MAX = 1_001
STRANGE = ("\t", "\x01", "\N{SNOWMAN}")
"""Characters that hardly any pattern allows."""


class Place(NamedTuple):
    """Where in a request a value is, and what the model says of it there."""

    path: tuple[str, ...]
    """Names of members, ``[]`` for an element of a list, ``{}`` for a value of a map."""
    shape: Shape
    location: str
    """Where HTTP carries the member that it is part of; empty for the body."""

    def __str__(self) -> str:
        return ".".join(self.path)


class Wrong(NamedTuple):
    """A value at a place which breaks one constraint of the model."""

    place: Place
    kind: str
    """The constraint: required, length, range, pattern or enum."""
    value: Any
    words: str
    """What the front says the member must."""
    required_by: str = ""
    """The structure that requires a member which is missing."""

    @property
    def sent_at(self) -> tuple[str, ...]:
        """Return the path of the value that is sent: what lacks a member, if that is wrong."""
        return self.place.path[:-1] if self.kind == "required" else self.place.path


def places_of(built: Built) -> Iterator[Place]:
    """Yield every place of an operation's input."""
    shape = botocore_model(built.service.model).operation_model(built.model.name).input_shape
    if shape is None:
        return
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        location = member.serialization.get("location", "")
        streaming = member.serialization.get("streaming") or name == payload == "Body"
        if not (member.type_name == "blob" and (streaming or name == payload)):
            yield from _places((name,), member, location, frozenset())


def _places(
    path: tuple[str, ...], shape: Shape, location: str, above: frozenset[str]
) -> Iterator[Place]:
    yield Place(path, shape, location)
    if shape.name in above:
        return
    above |= {shape.name}
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            yield from _places((*path, name), member, location, above)
    elif isinstance(shape, ListShape):
        yield from _places((*path, ELEMENT), shape.member, location, above)
    elif isinstance(shape, MapShape):
        yield from _places((*path, VALUE), shape.value, location, above)


def forbidden(place: Place) -> Iterator[Wrong]:
    """Yield the values that the constraints of one place forbid."""
    shape, low, high = place.shape, place.shape.metadata.get("min"), place.shape.metadata.get("max")
    if shape.type_name in INTEGERS:
        if low is not None:
            yield Wrong(place, "range", low - 1, f"greater than or equal to {low}")
        if high is not None and high < 1 << 31 - 1:
            yield Wrong(place, "range", high + 1, f"less than or equal to {high}")
    elif shape.type_name in {"string", "blob"}:
        make: Callable[[int], Any] = "x".__mul__ if shape.type_name == "string" else bytes
        if low and low > 1:
            yield Wrong(place, "length", make(low - 1), f"greater than or equal to {low}")
        if high is not None and high < SIZED_MAX:
            yield Wrong(place, "length", make(high + 1), f"less than or equal to {high}")
        if shape.metadata.get("enum"):
            yield Wrong(place, "enum", "no-such-word", "enum value set: [")
        strange = _unlike(shape)
        if strange is not None:
            yield Wrong(place, "pattern", strange, "regular expression pattern: ")
    elif isinstance(shape, ListShape) and high is not None and high < LISTED_MAX:
        item = value_of(shape.member, place.path[-1], 0) or with_one_member(shape.member)
        yield Wrong(place, "length", [item] * (high + 1), f"less than or equal to {high}")
    elif isinstance(shape, StructureShape):
        for name in shape.required_members:
            whole = value_of(shape, place.path[-1], 0)
            yield Wrong(
                Place((*place.path, name), shape.members[name], place.location),
                "required",
                {key: inner for key, inner in whole.items() if key != name},
                "not be null",
                shape.name,
            )


def with_one_member(shape: Shape) -> Any:
    """Return a structure that is not empty: forms cannot carry an empty one."""
    assert isinstance(shape, StructureShape)
    members = list(shape.members.items())[:1]
    return {name: value_of(member, name, 0) for name, member in members}


def _unlike(shape: Shape) -> str | None:
    """Return a text that does not match the pattern of a shape, of a length that it may have."""
    pattern = shape.metadata.get("pattern")
    if pattern is None:
        return None
    texts = [each * max(1, shape.metadata.get("min", 1)) for each in STRANGE]
    with suppress(re.error):
        return next((text for text in texts if not re.fullmatch(pattern, text)), None)
    # Java reads pairs of surrogates as one character, which Python does not.
    return None


def carrying(built: Built, path: tuple[str, ...], value: Any, account: str) -> dict[str, Any]:
    """Return the smallest request that has a value at a place."""
    shape = botocore_model(built.service.model).operation_model(built.model.name).input_shape
    assert shape is not None
    least = smallest(built.service.model, built.model.name, account)
    inner = _around(shape.members[path[0]], path, least.get(path[0]), value)
    return placed({**least, path[0]: inner}, account)


def _around(shape: Shape, path: tuple[str, ...], least: Any, value: Any) -> Any:
    """Return a value of a shape that has another at a path, whose first step is the shape's own."""
    if len(path) == 1:
        return value
    if isinstance(shape, StructureShape):
        whole = least if isinstance(least, dict) else value_of(shape, path[0], 0)
        name = path[1]
        return {**whole, name: _around(shape.members[name], path[1:], whole.get(name), value)}
    if isinstance(shape, ListShape):
        items = least if isinstance(least, list) and least else [None]
        return [_around(shape.member, path[1:], items[0], value), *items[1:]]
    assert isinstance(shape, MapShape)
    return {NAME: _around(shape.value, path[1:], None, value)}
