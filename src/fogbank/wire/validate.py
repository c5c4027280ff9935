"""The constraints of the models: a compiled check, and the words for what it refuses.

Rule: the compiled check answers only yes or no, and costs nothing for shapes without constraints;
the words are made by walking the model, only when the check said no. Both read the same
``Constraints`` of a shape, and a property test holds them equal.

Source of the wording: messages of AWS's own front, as recorded by dynalite's tests and in the
services' documentation ("1 validation error detected: Value 'x' at 'y' failed to satisfy
constraint: Member must ...").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, cast

from fogbank.wire.errors import WireError, error_class
from fogbank.wire.model import OperationModel, Ref, Shape
from fogbank.wire.patterns import LENGTH_MAX, compiled
from fogbank.wire.settings import Settings
from fogbank.wire.source import Functions, Source

VIOLATIONS_MAX = 10
"""AWS: at most ten violations are told (dynalite, validations/index.js)."""
_SHOWN_MAX = 4096

_SIZED = frozenset({"string", "blob", "list", "map"})
_NUMBERS = frozenset({"integer", "long", "float", "double"})


class Constraints(NamedTuple):
    """What a shape itself demands of a value."""

    least: float | None
    most: float | None
    pattern: str | None
    regex: re.Pattern[str] | None
    enum: tuple[str, ...]


_NONE = Constraints(None, None, None, None, ())


def constraints_of(shape: Shape, kinds: tuple[str, ...]) -> Constraints:
    """Return what a shape itself demands, of the kinds that the service's front checks."""
    least = most = None
    bounds = "length" if shape.type in _SIZED else "range" if shape.type in _NUMBERS else ""
    if bounds in kinds:
        least, most = shape.raw.get("min"), shape.raw.get("max")
        if bounds == "length" and not least:
            least = None
    pattern = shape.raw.get("pattern") if "pattern" in kinds and shape.type == "string" else None
    regex = compiled(pattern) if pattern else None
    enum = shape.enum if "enum" in kinds else ()
    return Constraints(least, most, pattern if regex else None, regex, enum)


def told(found: Constraints, value: Any) -> Iterator[str]:
    """Yield what a value breaks, in AWS's words."""
    size = len(value) if hasattr(value, "__len__") else value
    noun = "length" if hasattr(value, "__len__") else "value"
    if found.most is not None and size > found.most:
        yield f"Member must have {noun} less than or equal to {found.most}"
    if found.least is not None and size < found.least:
        yield f"Member must have {noun} greater than or equal to {found.least}"
    if found.regex and not _matches(found, found.regex, value):
        yield f"Member must satisfy regular expression pattern: {found.pattern}"
    if found.enum and value not in found.enum:
        yield f"Member must satisfy enum value set: [{', '.join(found.enum)}]"


def _matches(found: Constraints, regex: re.Pattern[str], value: str) -> bool:
    longest = max(found.most or 0, LENGTH_MAX)
    return len(value) <= longest and regex.fullmatch(value) is not None


def demanded(found: Constraints) -> str:
    """Return all that a shape demands, for the elements of lists and maps."""
    texts: list[str] = []
    if found.most is not None:
        texts.append(f"Member must have length less than or equal to {found.most}")
        least = found.least or 0
        texts.append(f"Member must have length greater than or equal to {least}")
    elif found.least is not None:
        texts.append(f"Member must have length greater than or equal to {found.least}")
    if found.pattern:
        texts.append(f"Member must satisfy regular expression pattern: {found.pattern}")
    if found.enum:
        texts.append(f"Member must satisfy enum value set: [{', '.join(found.enum)}]")
    return ", ".join(texts)


def _shown(shape: Shape, value: Any) -> str:
    """Return a value as Java prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, list):
        each = cast("list[Any]", value)
        return "[" + ", ".join(_shown(shape.member.shape, item) for item in each) + "]"
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        if shape.type == "map":
            inner = shape.value.shape
            return "{" + ", ".join(f"{k}={_shown(inner, v)}" for k, v in pairs.items()) + "}"
        shown = (f"{_lower(k)}={_shown(shape.members[k].shape, v)}" for k, v in pairs.items())
        return f"{shape.name}({', '.join(shown)})"
    return "null" if value is None else str(value)


def _lower(name: str) -> str:
    """Return a member's name as AWS's messages write it."""
    return name[:1].lower() + name[1:]


class _Full(Exception):
    """The most violations that are told have been found."""


class Validator:
    """The constraint checks of one service."""

    def __init__(self, settings: Settings, fallback_code: str) -> None:
        self._settings = settings
        self._kinds = settings.constraints
        self._code = settings.constraint_code or fallback_code
        self._functions = Functions("v", {"LENGTH_MAX": LENGTH_MAX}, self._write)
        self._known: dict[str, bool] = {}

    def check_of(self, shape: Shape) -> Callable[[Any], bool] | None:
        """Return a compiled check of a structure, or None if nothing can be wrong with it."""
        return self._functions.get(shape) if self._constrained(shape) else None

    def _own(self, shape: Shape) -> Constraints:
        """Return what a shape demands, its words in the order in which AWS lists them."""
        found = constraints_of(shape, self._kinds)
        order = self._settings.enum_orders.get(shape.name)
        return found._replace(enum=order) if order and found.enum else found

    def _demands(self, shape: Shape) -> bool:
        """Return whether the shape itself demands anything."""
        if shape.type == "structure":
            return "required" in self._kinds and bool(shape.required)
        return self._own(shape) != _NONE

    def _constrained(self, shape: Shape) -> bool:
        """Return whether the shape or anything beneath it demands anything."""
        found = self._known.get(shape.name)
        if found is None:
            service = shape.service
            beneath = (service.shape(name) for name in shape.reachable)
            found = self._demands(shape) or any(self._demands(each) for each in beneath)
            self._known[shape.name] = found
        return found

    def _write(self, source: Source, shape: Shape, name: str) -> None:
        """Write the check of a structure."""
        required = shape.required if "required" in self._kinds else ()
        needed = [member for member in shape.members if member in required]
        others = [
            member
            for member, ref in shape.members.items()
            if member not in required and self._is_checked(ref)
        ]
        with source.block(f"def {name}(v)"):
            for member in needed:
                ref = shape.members[member]
                source.lines(f"x = v.get({member!r})", "if x is None: return False")
                if self._is_checked(ref):
                    self._write_value(source, ref.shape, "x")
            if needed and len(others) > 1:
                # Most requests have few of many members.
                source.line(f"if len(v) == {len(needed)}: return True")
            for member in others:
                source.line(f"x = v.get({member!r})")
                with source.block("if x is not None"):
                    self._write_value(source, shape.members[member].shape, "x")
            source.line("return True")

    def _is_checked(self, ref: Ref) -> bool:
        """Return whether something can be wrong with the value of a member."""
        return self._constrained(ref.shape) and not _is_stream(ref)

    def _write_value(self, source: Source, shape: Shape, var: str) -> None:
        """Write the check of a value in a variable."""
        if shape.type == "structure":
            source.line(f"if not {self._functions.name(shape)}({var}): return False")
            return
        self._write_own(source, self._own(shape), shape, var)
        if shape.type == "list" and self._constrained(shape.member.shape):
            item = source.fresh("y")
            with source.block(f"for {item} in {var}"):
                self._write_value(source, shape.member.shape, item)
        elif shape.type == "map":
            self._write_map(source, shape, var)

    def _write_map(self, source: Source, shape: Shape, var: str) -> None:
        for part, view in ((shape.key.shape, ""), (shape.value.shape, ".values()")):
            if self._constrained(part):
                item = source.fresh("y")
                with source.block(f"for {item} in {var}{view}"):
                    self._write_value(source, part, item)

    @staticmethod
    def _write_own(source: Source, found: Constraints, shape: Shape, var: str) -> None:
        size = f"len({var})" if shape.type in _SIZED else var
        if found.least is not None and found.most is not None:
            source.line(f"if not {found.least!r} <= {size} <= {found.most!r}: return False")
        elif found.least is not None:
            source.line(f"if {size} < {found.least!r}: return False")
        elif found.most is not None:
            source.line(f"if {size} > {found.most!r}: return False")
        if found.regex:
            match = source.constant(found.regex.fullmatch)
            bound = "" if found.most is not None else f"len({var}) > LENGTH_MAX or "
            source.line(f"if {bound}{match}({var}) is None: return False")
        if found.enum:
            source.line(f"if {var} not in {source.constant(frozenset(found.enum))}: return False")

    def refusal(self, operation: OperationModel, value: Mapping[str, Any]) -> WireError | None:
        """Return the error for a decoded request, or None if it keeps every constraint."""
        shape = operation.input
        assert shape is not None, "an operation without input has no constraints"
        for member, text in self._settings.required_texts.items():
            owner, _, name = member.partition(".")
            if owner == operation.name and value.get(name) is None:
                return self._error(text)
        for member, text in self._settings.empty_texts.items():
            owner, _, name = member.partition(".")
            if owner == operation.name and value.get(name) in ([], {}):
                return self._error(text)
        found: list[str] = []
        special: list[str] = []
        bare = tuple(
            name
            for owner, _, name in (each.partition(".") for each in self._settings.bare_members)
            if owner == operation.name
        )
        with suppress(_Full):
            self._tell_structure(shape, value, "", _Report(found, special, bare))
        if special:
            return self._error(special[0])
        if not found:
            return None
        noun = "error" if len(found) == 1 else "errors"
        return self._error(f"{len(found)} validation {noun} detected: {'; '.join(found)}")

    def _error(self, text: str) -> WireError:
        return error_class(self._code)(text)

    def _tell_structure(
        self, shape: Shape, value: Mapping[str, Any], path: str, report: _Report
    ) -> None:
        required = shape.required if "required" in self._kinds else ()
        for member, ref in shape.members.items():
            found = value.get(member)
            if found is not None and not path and member in report.bare:
                self._tell(ref.shape, found, member, report._replace(is_bare=True))
                continue
            here = f"{path}{member if report.is_bare else _lower(member)}"
            if found is None:
                if member in required:
                    report.add(f"Value null at '{here}'", "Member must not be null")
            elif not _is_stream(ref):
                self._tell(ref.shape, found, here, report)

    def _tell(self, shape: Shape, value: Any, path: str, report: _Report) -> None:
        """Report what a value breaks, and what is beneath it."""
        if value is None:
            report.add(f"Value null at '{path}'", "Member must not be null")
            return
        if shape.type == "structure":
            if not shape.is_document:
                self._tell_structure(shape, value, f"{path}.", report)
            return
        own = self._own(shape)
        for text in told(own, value):
            special = self._settings.pattern_texts.get(own.pattern or "")
            if special and "regular expression" in text:
                report.special.append(special.format(member=path))
            report.add(_head(shape, value, path, report), text)
        if shape.type == "list":
            self._tell_list(shape, value, path, report)
        elif shape.type == "map":
            self._tell_map(shape, value, path, report)

    def _tell_list(self, shape: Shape, value: list[Any], path: str, report: _Report) -> None:
        inner = shape.member.shape
        for number, item in enumerate(value, 1):
            if item is None or inner.type in {"structure", "list", "map"}:
                self._tell(inner, item, f"{path}.{number}.member", report)
            elif any(told(self._own(inner), item)):
                text = f"Member must satisfy constraint: [{demanded(self._own(inner))}]"
                report.add(_head(shape, value, path, report), text)
                return

    def _tell_map(self, shape: Shape, value: dict[str, Any], path: str, report: _Report) -> None:
        keys, inner = self._own(shape.key.shape), shape.value.shape
        if any(any(told(keys, key)) for key in value):
            text = f"Map keys must satisfy constraint: [{demanded(keys)}]"
            report.add(_head(shape, value, path, report), text)
        for key, item in value.items():
            if item is not None and any(told(self._own(inner), item)):
                text = f"Map value must satisfy constraint: [{demanded(self._own(inner))}]"
                report.add(_head(shape, value, path, report), text)
                return
            if item is None or inner.type in {"structure", "list", "map"}:
                self._tell(inner, item, f"{path}.{key}.member", report)


class _Report(NamedTuple):
    """Where violations are gathered."""

    found: list[str]
    special: list[str]
    bare: tuple[str, ...]
    """The members of the request of which no values are told."""
    is_bare: bool = False
    """Whether one of these is looked at."""

    def add(self, head: str, text: str) -> None:
        """Add a violation.

        Raises:
            _Full: There are as many as are told.
        """
        self.found.append(f"{head} failed to satisfy constraint: {text}")
        if len(self.found) >= VIOLATIONS_MAX:
            raise _Full


def _head(shape: Shape, value: Any, path: str, report: _Report) -> str:
    """Return the first half of a violation; AWS leaves sensitive values out.

    A value that is too long to be told whole keeps its end, by which readers know its kind.
    """
    if shape.sensitive or report.is_bare:
        return f"Value at '{path}'"
    shown = _shown(shape, value)
    if len(shown) > _SHOWN_MAX:
        shown = f"{shown[:_SHOWN_MAX]}...{shown[-2:]}"
    return f"Value '{shown}' at '{path}'"


def _is_stream(ref: Ref) -> bool:
    """Return whether the value is a stream, of which nothing can be said beforehand."""
    return ref.streaming or ref.shape.is_event_stream
