"""Event patterns: which events a subscription wants, said in JSON and compiled to closures.

A pattern has the shape of the events it matches: objects name fields, lists hold the values or
comparisons of which one must hold, and all fields must match. A field of an event that is a list
matches if one of its elements does; an object pattern must find all of its fields in *one* element
of a list of objects. Fields below ``$or`` need match in one of its alternatives only.

Rule: pure, and linear in the event for everything but wildcards, whose search never backtracks
over more than the last ``*``.

Source: Amazon EventBridge User Guide, "Creating Amazon EventBridge event patterns" and "Comparison
operators for use in event patterns"; array consistency as in its open matcher, "Ruler".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

PATTERN_BYTES_MAX: Final = 4_096
DEPTH_MAX: Final = 32
RULES_MAX: Final = 1_000
"""Combinations that the alternatives of a pattern may multiply to (EventBridge, "$or")."""
_NUMBER_MAX: Final = 5_000_000_000
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    "=": lambda value, bound: value == bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}
_ABSENT: Final = object()

Test = Callable[[Any], bool]
"""Whether one value of a field (or its absence) is wanted."""


class InvalidPattern(ValueError):
    """A pattern cannot be; the message is the reason that EventBridge gives."""


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_matches", "source")

    def __init__(self, source: bytes) -> None:
        """Compile a pattern.

        Args:
            source: JSON, at most ``PATTERN_BYTES_MAX`` bytes.

        Raises:
            InvalidPattern: It is no pattern.
        """
        if len(source) > PATTERN_BYTES_MAX:
            raise InvalidPattern("Event pattern is too long")
        try:
            tree = msgspec.json.decode(source)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidPattern("Event pattern is not a valid JSON") from error
        if not isinstance(tree, dict):
            raise InvalidPattern("Filter is not an object")
        self.source = source
        self._matches, rules = _object(cast("dict[str, Any]", tree), 0)
        if rules > RULES_MAX:
            raise InvalidPattern("Event pattern has too many combinations of alternatives")

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Return whether an event is wanted."""
        return self._matches(event)


def _object(tree: Mapping[str, Any], depth: int) -> tuple[Test, int]:
    """Compile an object; return its test, and how many combinations it stands for."""
    if depth > DEPTH_MAX:
        raise InvalidPattern(f"Event pattern is nested deeper than {DEPTH_MAX}")
    if not tree:
        raise InvalidPattern("Empty objects are not allowed")
    tests: list[Callable[[Mapping[str, Any]], bool]] = []
    rules = 1
    for name, below in tree.items():
        if name == "$or" and isinstance(below, list):
            test, count = _alternatives(cast("list[Any]", below), depth)
        elif isinstance(below, dict):
            inner, count = _object(cast("dict[str, Any]", below), depth + 1)
            test = _within(name, inner)
        elif isinstance(below, list):
            test, count = _field(name, _values(name, cast("list[Any]", below))), 1
        else:
            raise InvalidPattern(f'"{name}" must be an object or an array')
        tests.append(test)
        rules *= count

    def matches(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            test(cast("Mapping[str, Any]", value)) for test in tests
        )

    return matches, rules


def _alternatives(below: Sequence[Any], depth: int) -> tuple[Test, int]:
    """Compile ``$or``: at least two objects, one of which must match beside the other fields."""
    if len(below) < 2:  # noqa: PLR2004 (one is no alternative)
        raise InvalidPattern("There must have at least 2 Objects in $or relationship")
    tests: list[Test] = []
    rules = 0
    for each in below:
        if not isinstance(each, dict):
            raise InvalidPattern("Only Object is allowed in array of $or relationship")
        test, count = _object(cast("dict[str, Any]", each), depth + 1)
        tests.append(test)
        rules += count
    return (lambda event: any(test(event) for test in tests)), rules


def _within(name: str, inner: Test) -> Test:
    """Return the test of a field that is an object, or a list with such an object.

    A pattern below that only asks for absence matches where the field itself is absent.
    """

    def test(event: Any) -> bool:
        value = event.get(name, _ABSENT)
        if isinstance(value, list):
            return any(inner(each) for each in cast("list[Any]", value)) if value else inner({})
        return inner(value if isinstance(value, Mapping) else {})

    return test


def _field(name: str, tests: Sequence[Test]) -> Test:
    """Return the test of a field with values: one of them must match one of the tests."""

    def test(event: Any) -> bool:
        value = event.get(name, _ABSENT)
        values: Sequence[Any] = (value,)
        if isinstance(value, list):
            # An empty list has no value, so the field is absent.
            values = cast("list[Any]", value) or (_ABSENT,)
        return any(
            test(each) for each in values if not isinstance(each, Mapping) for test in tests
        )  # an object is no value

    return test


def _values(name: str, wanted: Sequence[Any]) -> list[Test]:
    """Compile the values and comparisons of one field."""
    if not wanted:
        raise InvalidPattern("Empty arrays are not allowed")
    return [_value(name, each) for each in wanted]


def _value(name: str, wanted: Any) -> Test:
    """Compile one value or comparison."""
    if isinstance(wanted, list):
        raise InvalidPattern(f'"{name}": arrays are not allowed inside arrays')
    if not isinstance(wanted, dict):
        return _exactly(wanted)
    comparison = cast("dict[str, Any]", wanted)
    if len(comparison) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((kind, operand),) = comparison.items()
    compiler = _KINDS.get(kind)
    if compiler is None:
        raise InvalidPattern(f"Unrecognized match type {kind}")
    return compiler(operand)


def _exactly(wanted: Any) -> Test:
    """Return the test for one JSON scalar; 1, 1.0 and true are three different ones."""
    return lambda value: type(value) is type(wanted) and value == wanted


def _text(kind: str, operand: Any) -> str:
    """Return a text operand."""
    if not isinstance(operand, str):
        raise InvalidPattern(f"{kind} match pattern must be a string")
    return operand


def _string(accepts: Callable[[str], bool]) -> Test:
    """Return a test that only texts can pass."""
    return lambda value: isinstance(value, str) and accepts(value)


def _edge(kind: str, operand: Any) -> Test:
    """Compile ``prefix`` or ``suffix``, perhaps without regard to case."""
    if isinstance(operand, dict):
        inner = cast("dict[str, Any]", operand)
        if set(inner) != {"equals-ignore-case"}:
            raise InvalidPattern(f"Unsupported {kind} pattern: {', '.join(inner)}")
        folded = _text("equals-ignore-case", inner["equals-ignore-case"]).casefold()
        if kind == "prefix":
            return _string(lambda value: value.casefold().startswith(folded))
        return _string(lambda value: value.casefold().endswith(folded))
    edge = _text(kind, operand)
    if kind == "prefix":
        return _string(lambda value: value.startswith(edge))
    return _string(lambda value: value.endswith(edge))


def _ignoring_case(operand: Any) -> Test:
    """Compile ``equals-ignore-case``."""
    folded = _text("equals-ignore-case", operand).casefold()
    return _string(lambda value: value.casefold() == folded)


def _wildcard(operand: Any) -> Test:
    r"""Compile ``wildcard``: ``*`` is any text, ``\*`` and ``\\`` are themselves."""
    text = _text("wildcard", operand)
    pieces, current, at = list[str](), "", 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            if text[at + 1 : at + 2] not in ("*", "\\"):
                raise InvalidPattern("Invalid escape character at pos " + str(at))
            current += text[at + 1]
            at += 1
        elif character == "*":
            if text[at + 1 : at + 2] == "*":
                raise InvalidPattern(f"Consecutive wildcard characters at pos {at}")
            pieces.append(current)
            current = ""
        else:
            current += character
        at += 1
    pieces.append(current)
    return _string(lambda value: _fits(value, pieces))


def _fits(value: str, pieces: Sequence[str]) -> bool:
    """Return whether a text is the pieces in order with any text between them."""
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return value == first
    if len(value) < len(first) + len(last):
        return False
    if not (value.startswith(first) and value.endswith(last)):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in pieces[1:-1]:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _numeric(operand: Any) -> Test:
    """Compile ``numeric``: one comparison, or a lower bound and then an upper one."""
    parts = cast("list[Any]", operand) if isinstance(operand, list) else []
    if len(parts) not in (2, 4):
        raise InvalidPattern("Value of numeric must be an array of one or two comparisons")
    bounds: list[tuple[Callable[[float, float], bool], float]] = []
    for sign, bound in zip(parts[::2], parts[1::2], strict=True):
        if not isinstance(sign, str) or sign not in _COMPARISONS:
            raise InvalidPattern(f"Unrecognized numeric range operator: {sign}")
        if not _is_number(bound) or abs(bound) > _NUMBER_MAX:
            raise InvalidPattern("Value of numeric must be a number of at most 5 billion")
        bounds.append((_COMPARISONS[sign], bound))
    if len(parts) == 4:  # noqa: PLR2004 (two signs, two bounds)
        if parts[0] not in (">", ">=") or parts[2] not in ("<", "<="):
            raise InvalidPattern("A numeric range is a lower bound and then an upper bound")
        if parts[1] >= parts[3]:
            raise InvalidPattern("Bottom must be less than top")
    return lambda value: _is_number(value) and all(is_so(value, bound) for is_so, bound in bounds)


def _is_number(value: Any) -> bool:
    """Return whether a value is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _exists(operand: Any) -> Test:
    """Compile ``exists``: whether the field has a value at all, null among them."""
    if not isinstance(operand, bool):
        raise InvalidPattern("exists match pattern must be either true or false.")
    return lambda value: (value is not _ABSENT) is operand


def _cidr(operand: Any) -> Test:
    """Compile ``cidr``: addresses of an IPv4 or IPv6 network."""
    try:
        network = ipaddress.ip_network(_text("cidr", operand), strict=False)
    except ValueError as error:
        raise InvalidPattern(f"Malformed CIDR: {operand}") from error

    def inside(value: str) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return _string(inside)


def _anything_but(operand: Any) -> Test:
    """Compile ``anything-but``: a value that is there and that none of these tests takes."""
    if isinstance(operand, dict):
        inner = cast("dict[str, Any]", operand)
        if len(inner) != 1:
            raise InvalidPattern("Only one key allowed in match expression")
        ((kind, below),) = inner.items()
        if kind not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise InvalidPattern(f"Unsupported anything-but pattern: {kind}")
        listed = cast("list[Any]", below) if isinstance(below, list) else [below]
        tests = [_KINDS[kind](each) for each in listed]
    else:
        listed = cast("list[Any]", operand) if isinstance(operand, list) else [operand]
        if any(not (isinstance(each, str) or _is_number(each)) for each in listed):
            raise InvalidPattern("Inside anything-but list, only strings and numbers are allowed")
        tests = [_exactly(each) for each in listed]
    if not tests:
        raise InvalidPattern("Empty arrays are not allowed")
    return lambda value: value is not _ABSENT and not any(test(value) for test in tests)


_KINDS: Final[Mapping[str, Callable[[Any], Test]]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "equals-ignore-case": _ignoring_case,
    "exists": _exists,
    "numeric": _numeric,
    "prefix": lambda operand: _edge("prefix", operand),
    "suffix": lambda operand: _edge("suffix", operand),
    "wildcard": _wildcard,
}
