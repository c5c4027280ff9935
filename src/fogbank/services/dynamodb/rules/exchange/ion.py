"""Amazon Ion, its text: how items are written in it, and the part of it that items are read from.

Strings, numbers, booleans, blobs, lists, structs and null stand for the types of DynamoDB; lists
with an annotation are sets. Nothing else stands for anything, and is refused: symbols, timestamps,
floats, clobs and S-expressions. What is read is as deep as an item may be and no deeper.

Source: Amazon DynamoDB Developer Guide, "Amazon S3 import formats for DynamoDB: Amazon Ion" and
"DynamoDB table export output format: Amazon Ion"; the Amazon Ion specification, "Text encoding".
"""

from __future__ import annotations

import binascii
import re
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NoReturn

import orjson

from fogbank.services.dynamodb.quotas import LEVELS_MAX
from fogbank.services.dynamodb.rules.exchange.faults import Unreadable
from fogbank.services.dynamodb.rules.values import Item, Value

_MARKER: Final = "$ion_1_0"
_SETS: Final = {"$dynamodb_SS": "SS", "$dynamodb_NS": "NS", "$dynamodb_BS": "BS"}
_MEMBERS: Final = {"SS": "S", "NS": "N", "BS": "B"}
_NAMES: Final = "ExpressionAttributeNames"
_CONDITION: Final = {
    "ConditionExpression": "S",
    _NAMES: "M",
    "ExpressionAttributeValues": "M",
}
"""The fields of a line that say on what condition its item is written, and the type of each."""
_ZEROS_MAX: Final = 6
"""More zeros behind the point are told by an exponent, as Java's ``BigDecimal`` does."""
_PLAIN_NAME: Final = re.compile(
    r"(?!(?:null|true|false|nan)\Z)(?!\$[0-9]+\Z)[A-Za-z_$][A-Za-z0-9_$]*"
)


# Writing.


def line_of(record: Mapping[str, Item]) -> bytes:
    """Return the line of an item by the name of its one part."""
    return f"{_MARKER} {_parts(record)}\n".encode()


def record_line_of(record: Mapping[str, Item]) -> bytes:
    """Return the line of a change by the names of its parts, which stand in a ``Record``."""
    return f"{_MARKER} {{Record:{_parts(record)}}}\n".encode()


def _parts(record: Mapping[str, Item]) -> str:
    """Return the struct of some parts."""
    return f"{{{','.join(f'{name}:{_struct(item)}' for name, item in record.items())}}}"


def _struct(item: Item) -> str:
    """Return the struct that a map is written as."""
    return f"{{{','.join(f'{_name(name)}:{_written(value)}' for name, value in item.items())}}}"


def _name(name: str) -> str:
    """Return the name of a field: as it is, or in quotes."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    inner = orjson.dumps(name).decode()[1:-1]
    return "'" + inner.replace("'", "\\'") + "'"


def _written(value: Value) -> str:  # noqa: PLR0911 (one case per family of types)
    """Return a value as it is written."""
    [(kind, content)] = value.items()
    if kind == "S":
        return orjson.dumps(content).decode()
    if kind == "N":
        return _decimal(content)
    if kind == "B":
        return f"{{{{{b64encode(content).decode()}}}}}"
    if kind == "BOOL":
        return "true" if content else "false"
    if kind == "L":
        return f"[{','.join(map(_written, content))}]"
    if kind == "M":
        return _struct(content)
    if kind in _MEMBERS:
        members = ",".join(_written({_MEMBERS[kind]: each}) for each in content)
        return f"$dynamodb_{kind}::[{members}]"
    return "null"


def _decimal(number: str) -> str:
    """Return a canonical number as a decimal: ``103.``, ``6d2``, ``1.5``, ``2d-40``."""
    sign, digits, exponent = Decimal(number).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    assert isinstance(exponent, int), "a number is finite"
    exponent += len(digits) - len(text) if text != "0" else -exponent
    if exponent == 0:
        shown = f"{text}."
    elif exponent > 0 or -exponent - len(text) > _ZEROS_MAX:
        shown = f"{text}d{exponent}"
    else:
        padded = text.rjust(1 - exponent, "0")
        shown = f"{padded[:exponent]}.{padded[exponent:]}"
    return f"-{shown}" if sign else shown


# Reading.

# Loops are unrolled and not possessive: those of Python 3.11.2 fail on groups with alternatives.
_SPACE: Final = re.compile(r"\s*(?:(?://[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)\s*)*")
_TOKEN: Final = re.compile(
    r"""(?P<long>'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*''')
    |(?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*")
    |(?P<quoted>'[^'\\\n]*(?:\\.[^'\\\n]*)*')
    |(?P<number>-?(?:0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|0[bB][01](?:_?[01])*
        |(?:0|[1-9](?:_?[0-9])*)(?:\.(?:[0-9](?:_?[0-9])*)?)?(?:[dD][+-]?[0-9]+)?)
        (?=[\s{}\[\](),"'/]|\Z))
    |(?P<symbol>[A-Za-z_$][A-Za-z0-9_$]*)
    |(?P<blob>\{\{[A-Za-z0-9+/=\s]*\}\})
    |(?P<mark>::|[{}\[\],:.])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r\n|.))", re.DOTALL
)
_ESCAPED: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "v": "\v",
    '"': '"', "'": "'", "?": "?", "\\": "\\", "/": "/", "\n": "", "\r": "", "\r\n": "",
}  # fmt: skip
_SURROGATES: Final = "".join(map(chr, range(0xD800, 0xE000)))
_NUMBER_CHARACTERS_MAX: Final = 1_024
"""No number that DynamoDB stores needs more, and no longer one is looked at."""
_TYPED_NULLS: Final = frozenset(
    ("null", "bool", "int", "float", "decimal", "timestamp", "symbol", "string", "clob", "blob",
     "struct", "list", "sexp")
)  # fmt: skip


def item_of(line: bytes) -> Item:
    """Return the item of a line, its values not yet checked.

    Raises:
        Unreadable: It is no item in this format.
    """
    found = _reader_of(line).struct()
    if found.keys() != {"Item"}:
        _refuse("it is no struct whose one field is the struct Item")
    return _item_in(found)


def put_of(line: bytes) -> tuple[Item, dict[str, object]]:
    """Return the item of a line, its values not yet checked, and the members of its condition.

    Raises:
        Unreadable: It is no item in this format.
    """
    found = _reader_of(line).struct()
    if not found.keys() <= {"Item", *_CONDITION}:
        _refuse("it has a field beside Item and those of a condition")
    members: dict[str, object] = {}
    for name, kind in _CONDITION.items():
        if name in found:
            if kind not in found[name]:
                _refuse(f"{name} is of another type")
            members[name] = found[name][kind]
    if _NAMES in found:
        names: Item = found[_NAMES]["M"]
        if any("S" not in each for each in names.values()):
            _refuse(f"{_NAMES} has a value that is no string")
        members[_NAMES] = {key: each["S"] for key, each in names.items()}
    return _item_in(found), members


def _item_in(found: Item) -> Item:
    """Return the item in the struct of a line."""
    if "M" not in found.get("Item", {}):
        _refuse("it is no struct whose one field is the struct Item")
    return found["Item"]["M"]


def _reader_of(line: bytes) -> _Reader:
    """Return what reads a line."""
    try:
        return _Reader(line.decode())
    except UnicodeDecodeError:
        raise Unreadable("The line is no item in Amazon Ion: it is not in UTF-8") from None


def _refuse(why: str) -> NoReturn:
    raise Unreadable(f"The line is no item in Amazon Ion: {why}")


class _Reader:
    """Reads one line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._kind = ""
        self._token = ""
        self._next()

    def struct(self) -> Item:
        """Return the one struct that the line has."""
        while self._kind == "symbol" and self._token == _MARKER:
            self._next()
        found = self._value(0)
        if self._kind:
            _refuse("there is more than one value")
        if found.keys() != {"M"}:
            _refuse("it is no struct whose one field is the struct Item")
        fields: Item = found["M"]
        return fields

    def _next(self) -> None:
        """Read the next token; of no kind at the end."""
        space = _SPACE.match(self._text, self._at)
        assert space is not None, "no space is space as well"
        self._at = space.end()
        token = _TOKEN.match(self._text, self._at)
        if token is None:
            if self._at < len(self._text):
                _refuse(f"nothing begins like this at character {self._at + 1}")
            self._kind, self._token = "", ""
            return
        self._at = token.end()
        self._kind, self._token = token.lastgroup or "", token[0]

    def _take(self, mark: str) -> bool:
        """Return whether a mark stands here; if so go behind it."""
        if self._kind != "mark" or self._token != mark:
            return False
        self._next()
        return True

    def _value(self, level: int) -> Value:
        """Return the value that begins here, annotations before it."""
        if level > LEVELS_MAX + 2:
            _refuse("it is nested too deeply")
        annotations: list[str] = []
        while self._kind in {"symbol", "quoted"}:
            kind, token = self._kind, self._token
            self._next()
            if not self._take("::"):
                if annotations:
                    _refuse("only lists may have an annotation")
                return self._word(kind, token)
            annotations.append(token)
        if annotations:
            return self._set(annotations, level)
        if self._take("["):
            return {"L": self._list(level)}
        if self._take("{"):
            return {"M": self._fields(level)}
        return self._scalar()

    def _word(self, kind: str, word: str) -> Value:
        """Return the value of a keyword that was read."""
        if kind == "symbol" and word in {"true", "false"}:
            return {"BOOL": word == "true"}
        if kind == "symbol" and word == "null":
            if self._take("."):
                if self._token not in _TYPED_NULLS:
                    _refuse("there is no null of this type")
                self._next()
            return {"NULL": True}
        return _refuse("symbols stand for no type of DynamoDB")

    def _scalar(self) -> Value:
        """Return the value of the token that stands here."""
        kind, token = self._kind, self._token
        if kind == "long":
            return {"S": self._long()}
        self._next()
        if kind == "string":
            return {"S": _unescaped(token[1:-1])}
        if kind == "number":
            return {"N": _number(token)}
        if kind == "blob":
            return {"B": _blob(token)}
        return _refuse("a value is missing or of a type that DynamoDB does not have")

    def _long(self) -> str:
        """Return the text of long strings that follow each other."""
        parts: list[str] = []
        while self._kind == "long":
            parts.append(_unescaped(self._token[3:-3]))
            self._next()
        return "".join(parts)

    def _list(self, level: int) -> list[Value]:
        """Return the values of a list whose begin was read."""
        found: list[Value] = []
        while not self._take("]"):
            found.append(self._value(level + 1))
            if not self._take(",") and (self._kind, self._token) != ("mark", "]"):
                _refuse("a list does not end")
        return found

    def _fields(self, level: int) -> Item:
        """Return the fields of a struct whose begin was read."""
        found: Item = {}
        while not self._take("}"):
            name = self._field_name()
            if not self._take(":"):
                _refuse("a field has no value")
            if name in found:
                _refuse("two fields of a struct have one name")
            found[name] = self._value(level + 1)
            if not self._take(",") and (self._kind, self._token) != ("mark", "}"):
                _refuse("a struct does not end")
        return found

    def _field_name(self) -> str:
        """Return the name of the field that begins here."""
        kind, token = self._kind, self._token
        if kind == "long":
            return self._long()
        if kind not in {"symbol", "quoted", "string"}:
            _refuse("a field has no name")
        self._next()
        return token if kind == "symbol" else _unescaped(token[1:-1])

    def _set(self, annotations: list[str], level: int) -> Value:
        """Return the set whose annotation was read."""
        kind = _SETS.get(annotations[0].strip("'"))
        if kind is None or len(annotations) > 1 or not self._take("["):
            _refuse("only lists may have an annotation, and only that of a set")
        members = self._list(level)
        wanted = _MEMBERS[kind]
        if any(wanted not in each for each in members):
            _refuse(f"a set {annotations[0]} has a member of another type")
        return {kind: [each[wanted] for each in members]}


def _unescaped(text: str) -> str:
    """Return a text without its escapes."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    """Return the character of an escape."""
    code = match[1] or match[2] or match[3]
    if code is None:
        found = _ESCAPED.get(match[4])
        return _refuse("a string has an escape that is none") if found is None else found
    point = int(code, 16)
    if point > sys.maxunicode or chr(point) in _SURROGATES:
        _refuse("a string has an escape of no character")
    return chr(point)


def _number(token: str) -> str:
    """Return the text of a number as DynamoDB reads it."""
    if len(token) > _NUMBER_CHARACTERS_MAX:
        _refuse("a number is too long")
    plain = token.replace("_", "").lower()
    if "x" in plain or plain.lstrip("-").startswith("0b"):
        return str(int(plain, 0))
    return plain.replace("d", "e")


def _blob(token: str) -> bytes:
    """Return the bytes of a blob."""
    try:
        return b64decode("".join(token[2:-2].split()), validate=True)
    except binascii.Error:
        return _refuse("a blob is not in base64")
