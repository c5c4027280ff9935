"""What statements are made of: paths, calls and values.

Source: Amazon DynamoDB Developer Guide, "PartiQL data types" and "PartiQL functions".
"""

from __future__ import annotations

from typing import Final

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import numbers
from fogbank.services.dynamodb.rules.expressions.syntax import (
    Call,
    Element,
    Operand,
    Path,
    ValueRef,
)
from fogbank.services.dynamodb.rules.partiql.reader import KEYWORDS, Reader, Token, malformed
from fogbank.services.dynamodb.rules.partiql.syntax import (
    Constant,
    Document,
    Parameter,
    Template,
)

ITEM: Final = ""
ROOT: Final = "root"
"""Where a value stands, as AWS's messages say it: an attribute of the item is a root of its own."""
_EXPONENT_MAX: Final = 2**31 - 1
_DIGITS_MAX: Final = 12
"""A number of more digits fits no integer of 32 bits, whatever they are."""


class Terms:
    """Reads paths, calls and values; gives each value a name."""

    def __init__(self, text: str) -> None:
        self.reader = Reader(text)
        self.values: dict[str, Template] = {}
        self.parameters = 0
        """The ``?`` that were read."""

    def called(self) -> str:
        """Return the function that is called next, in small letters; empty if none is."""
        reader = self.reader
        plain = reader.word not in KEYWORDS or reader.word == "EXISTS"
        called = reader.token.kind == "name" and reader.following.text == "("
        return reader.token.text.lower() if called and plain else ""

    def unrecognized(self) -> ValidationException:
        """Return the error for the function that is called next."""
        token = self.reader.token
        return ValidationException(
            f"Unrecognized function: {token.text.lower()} at {self.reader.place(token)}"
        )

    def function_call(self) -> Call:
        """Read a call; what it may be called with is looked at when values are known."""
        name = self.reader.take()
        _, operands = self.operands_of(name)
        return Call(name.text.lower(), tuple(operands))

    def operands_of(self, _name: Token) -> tuple[Token | None, list[Operand]]:
        """Read operands in parentheses; return the first one's first token too."""
        reader = self.reader
        reader.expect("(")
        first = None if reader.at(")") else reader.token
        operands: list[Operand] = []
        while not reader.at(")"):
            operands.append(self.function_call() if self.called() == "size" else self.operand())
            if not reader.accept(","):
                break
        reader.expect(")")
        return first, operands

    def operand(self) -> Operand:
        """Read a path or a value."""
        reader = self.reader
        value = reader.token.kind in ("text", "number") or reader.at("?", "[", "{", "<<", "-", "+")
        if value or reader.word in ("TRUE", "FALSE", "NULL"):
            return ValueRef(self.named(self.template(ROOT)))
        return self.path()

    def path(self) -> Path:
        """Read a document path."""
        reader = self.reader
        if not reader.names:
            reader.refuse()
        elements: list[Element] = [reader.take().text]
        while reader.at(".", "["):
            if reader.accept("."):
                if not reader.names:
                    raise malformed("Invalid path dot component")
                elements.append(reader.take().text)
            else:
                elements.append(self._step())
        return Path(tuple(elements))

    def _step(self) -> Element:
        """Read a step in brackets: an index, or a name as a text."""
        reader = self.reader
        reader.expect("[")
        token = reader.take()
        if token.kind == "text":
            step: Element = token.text
        elif token.kind == "number" and token.text.isdigit() and len(token.text) < _DIGITS_MAX:
            step = int(token.text)
        else:
            raise malformed("Invalid path component")
        reader.expect("]")
        return step

    def named(self, template: Template) -> str:
        """Return the name that a value stands behind."""
        name = f":{len(self.values)}"
        self.values[name] = template
        return name

    def template(self, place: str) -> Template:
        """Read a value; ``place`` is where it stands in a document, for the messages."""
        reader = self.reader
        if reader.accept("?"):
            self.parameters += 1
            return Parameter(self.parameters - 1)
        if reader.at("[", "<<", "{"):
            return self._container(place)
        if reader.token.kind == "text":
            return Constant("S", reader.take().text)
        if word := reader.accept_word("TRUE", "FALSE", "NULL"):
            return Constant("NULL" if word == "NULL" else "BOOL", content=word != "FALSE")
        if self.called():
            token = reader.token
            raise ValidationException(
                f"Unsupported data type: {token.text.lower()} under key {place}"
                f" at {reader.place(token)}"
            )
        return Constant("N", self._number(place))

    def _container(self, place: str) -> Document:
        """Read a list, a set or a map."""
        opening = self.reader.take().text
        if opening == "{":
            return self.members_of_map(place)
        return (
            self._document("L", "]", place) if opening == "[" else self._document("SS", ">>", place)
        )

    def _document(self, kind: str, end: str, place: str) -> Document:
        """Read the members of a list or a set."""
        reader = self.reader
        reader.enter()
        members: list[tuple[str, Template]] = []
        while not reader.at(end):
            members.append(("", self.template(f"{place}[{len(members)}]")))
            if not reader.accept(","):
                break
        reader.expect(end)
        reader.leave()
        if kind == "SS" and not members:
            raise ValidationException("Empty bags are not supported")
        return Document(kind, tuple(members))

    def members_of_map(self, place: str) -> Document:
        """Read the members of a map: names as texts, each with its value."""
        reader = self.reader
        reader.enter()
        members: list[tuple[str, Template]] = []
        while not reader.at("}"):
            name = reader.take()
            if name.kind not in ("text", "quoted"):
                raise malformed("Expected the name of an attribute")
            reader.expect(":")
            inner = ROOT if place == ITEM else f"{place}.{name.text}"
            members.append((name.text, self.template(inner)))
            if not reader.accept(","):
                break
        reader.expect("}")
        reader.leave()
        return Document("M", tuple(members))

    def _number(self, place: str) -> str:
        """Read a number with its sign; return its one spelling."""
        reader = self.reader
        sign = reader.take().text if reader.at("-", "+") else ""
        if reader.token.kind != "number":
            reader.refuse()
        text = reader.take().text
        _require_scale(text)
        try:
            return numbers.canonical(sign + text)
        except ValidationException as error:
            raise ValidationException(f"{error.message} under {place}") from None


def _require_scale(text: str) -> None:
    """Refuse a number whose exponent, or the scale that it leaves, fits no integer of 32 bits."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = exponent.lstrip("+-").lstrip("0")
    if len(digits) > _DIGITS_MAX:
        raise malformed()
    value = int(exponent or "0")
    scale = len(mantissa.partition(".")[2]) - value
    if abs(value) > _EXPONENT_MAX or abs(scale) > _EXPONENT_MAX:
        raise malformed()
