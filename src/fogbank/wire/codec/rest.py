"""What the two REST protocols share: members in the path, the query string and headers.

Rule: tables are made once for each operation; a request is read by looking at what it carries, not
at what it might carry, since S3's operations have forty header members and requests bring two.

Source: Smithy, "HTTP binding traits".
"""

from __future__ import annotations

import math
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import orjson

from fogbank.wire.codec.plan import Headers
from fogbank.wire.errors import InvalidURI, WireError
from fogbank.wire.http import HttpRequest
from fogbank.wire.model import OperationModel, Ref, Shape
from fogbank.wire.query_string import fields_of, query_of
from fogbank.wire.timestamps import epoch_seconds, http_date, iso_seconds, ms_of_text

Refuse = Callable[[Ref, str], WireError]
"""Makes the error for a member's text that cannot be read."""

_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_REAL = re.compile(r"[+-]?(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1
_SPECIAL = frozenset({"NaN", "Infinity", "-Infinity"})
_ASKED = frozenset({"uri", "querystring", "header", "headers"})
_ANSWERED = frozenset({"header", "headers", "statusCode"})
_LINE_BREAKS = re.compile(r"[\r\n\0]+")
_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')

BODY_LENGTH = "content-length"
BODY_RANGE = "content-range"


def asked_in_body(shape: Shape) -> dict[str, Ref]:
    """Return the members of an input that lie in the document of the body."""
    return {name: ref for name, ref in shape.members.items() if ref.location not in _ASKED}


def answered_in_body(shape: Shape) -> dict[str, Ref]:
    """Return the members of an output that lie in the document of the body."""
    return {name: ref for name, ref in shape.members.items() if ref.location not in _ANSWERED}


def prefix_of(ref: Ref) -> str:
    """Return what the names of headers in a map begin with; nothing where the model says nothing."""
    return ref.trait("locationName") or ""


def _whole(shape: Shape, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("not a whole number")
    found = int(text)
    if abs(found) > (_INT32_MAX if shape.type == "integer" else _INT64_MAX):
        raise ValueError("out of range")
    return found


def scalar_of(shape: Shape, text: str) -> Any:
    """Return the value that a text stands for in a path, query, header, form or XML element.

    Raises:
        ValueError: It stands for none.
    """
    kind = shape.type
    if kind == "string":
        return text
    if kind in {"integer", "long"}:
        return _whole(shape, text.strip())
    if kind == "boolean":
        return _truth(text)
    if kind == "timestamp":
        return ms_of_text(text)
    if kind == "blob":
        return a2b_base64("".join(text.split()), strict_mode=True)
    assert kind in {"float", "double"}, f"{shape} has no text form"
    text = text.strip()
    if text not in _SPECIAL and not _REAL.fullmatch(text):
        raise ValueError("not a number")
    return float(text)


def _truth(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"true", "1"}:
        return True
    if lowered in {"false", "0"}:
        return False
    raise ValueError("neither true nor false")


def _items(shape: Shape, text: str) -> Iterator[str]:
    """Yield the items of a list in a header: commas divide, quotes hold together."""
    if shape.type == "timestamp" and ", " in text and "T" not in text.split(",", 1)[0][4:]:
        # An HTTP date has one comma of its own.
        parts = text.split(",")
        for at in range(0, len(parts) - 1, 2):
            yield f"{parts[at]},{parts[at + 1]}".strip()
        return
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None:
            raise ValueError("unbalanced quotes")
        quoted, plain = match.groups()
        yield re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain.strip()
        at = match.end()


class _Entry(NamedTuple):
    """How one member is read from text."""

    member: str
    ref: Ref
    shape: Shape
    """What the text of one value is read by: of a list, that of its elements."""
    words: frozenset[str]
    """The enumeration that a value must be of; empty: any."""
    listed: bool
    lenient: bool
    plain: bool
    """Whether the text is the value."""
    any_case: bool
    """Whether the words of its enumeration are taken in letters of either case."""


class RequestBindings:
    """Reads the members of one operation that do not lie in the body."""

    def __init__(self, operation: OperationModel, refuse: Refuse, *, enums: bool) -> None:
        self._refuse = refuse
        self._enums = enums
        self._labels: list[tuple[str, _Entry]] = []
        self._query: dict[str, _Entry] = {}
        self._headers: dict[str, _Entry] = {}
        self._prefixes: list[tuple[str, str]] = []
        self._query_rest: list[tuple[str, Ref]] = []
        self._fixed = {name for name, _ in fields_of(operation.http_uri.partition("?")[2])}
        self._settings = operation.service.settings
        for name, ref in operation.input.members.items() if operation.input else ():
            self._add(name, ref)
        self._begins = tuple(prefix for prefix, _ in self._prefixes)

    def _add(self, name: str, ref: Ref) -> None:
        settings = self._settings
        listed = ref.shape.type == "list"
        shape = ref.shape.member.shape if listed else ref.shape
        words = frozenset(shape.enum) if self._enums and shape.enum else frozenset[str]()
        is_open = name in settings.open_members
        plain = ref.shape.type == "string" and (is_open or not words)
        plain = plain and not ref.raw.get("jsonvalue")
        entry = _Entry(
            name,
            ref,
            shape,
            words,
            listed=listed,
            lenient=name in settings.lenient_members,
            plain=plain,
            any_case=name in settings.any_case_members,
        )
        if ref.location == "uri":
            self._labels.append((ref.wire_name, entry))
        elif ref.location == "querystring" and ref.shape.type == "map":
            self._query_rest.append((name, ref))
        elif ref.location == "querystring":
            self._query[ref.wire_name] = entry
        elif ref.location == "header":
            self._headers[ref.wire_name.lower()] = entry
        elif ref.location == "headers":
            self._prefixes.append((prefix_of(ref).lower(), name))

    def read(self, request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
        """Return the members in path, query string and headers.

        Raises:
            WireError: One cannot be read.
        """
        out: dict[str, Any] = {}
        for wire_name, entry in self._labels:
            text = path_params.get(wire_name)
            if text is not None:
                out[entry.member] = text if entry.plain else self._value(entry, text)
        if request.query and (self._query or self._query_rest):
            self._read_query(request.query, out)
        table = self._headers
        for name, text in request.headers.items():
            entry = table.get(name)
            if entry is not None and entry.plain:
                out[entry.member] = text
            elif entry is not None:
                self._read_header(entry, text, out)
            elif self._begins and name.startswith(self._begins):
                self._read_prefixed(name, text, out)
        return out

    def _read_query(self, query: str, out: dict[str, Any]) -> None:
        try:
            fields = query_of(query)
        except ValueError:
            raise InvalidURI("Couldn't parse the specified URI.") from None
        rest: dict[str, Any] = {}
        for name, text in fields:
            entry = self._query.get(name)
            if self._query_rest and name not in self._fixed:
                rest.setdefault(name, []).append(text)
            if entry is None:
                continue
            if entry.listed:
                out.setdefault(entry.member, []).append(self._value(entry, text))
            elif text or entry.shape.type == "string":
                out[entry.member] = self._value(entry, text)
        if self._query_rest and rest:
            self._read_rest(rest, out)

    def _read_rest(self, rest: dict[str, list[str]], out: dict[str, Any]) -> None:
        """Read the member that holds every query field, as Smithy has it for servers."""
        name, ref = self._query_rest[0]
        listed = ref.shape.value.shape.type == "list"
        out[name] = {key: texts if listed else texts[-1] for key, texts in rest.items()}

    def _read_header(self, entry: _Entry, text: str, out: dict[str, Any]) -> None:
        if entry.listed:
            try:
                items = list(_items(entry.shape, text))
            except ValueError:
                raise self._refuse(entry.ref, text) from None
            out[entry.member] = [self._value(entry, item) for item in items]
        elif entry.ref.raw.get("jsonvalue"):
            out[entry.member] = self._json_value(entry, text)
        elif text or (entry.shape.type == "string" and not entry.words):
            # A header of an enumeration that is empty asks for nothing: s3fs sends such ones to AWS.
            found = self._value(entry, text.upper() if entry.any_case else text)
            if found is not None:
                out[entry.member] = found

    def _read_prefixed(self, name: str, text: str, out: dict[str, Any]) -> None:
        for prefix, member in self._prefixes:
            if name.startswith(prefix):
                out.setdefault(member, {})[name[len(prefix) :]] = text

    def _json_value(self, entry: _Entry, text: str) -> Any:
        try:
            return orjson.loads(a2b_base64(text))
        except ValueError:
            raise self._refuse(entry.ref, text) from None

    def _value(self, entry: _Entry, text: str) -> Any:
        try:
            found = scalar_of(entry.shape, text)
        except ValueError:
            if entry.lenient:
                return None
            raise self._refuse(entry.ref, text) from None
        if entry.words and found not in entry.words:
            raise self._refuse(entry.ref, text)
        return found


def _base64_text(value: Any) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


def _json_text(value: Any) -> str:
    return _base64_text(orjson.dumps(value))


def _truth_text(value: Any) -> str:
    return "true" if value else "false"


def _text_out(ref: Ref, timestamp: str) -> Callable[[Any], str]:
    """Return what writes a header's value."""
    if ref.raw.get("jsonvalue"):
        return _json_text
    if ref.shape.type == "timestamp":
        moment = {"iso8601": iso_seconds, "unixTimestamp": epoch_seconds}.get(
            ref.timestamp_format or timestamp, http_date
        )
        return lambda value: str(moment(value))
    if ref.shape.type == "list":
        inner = _text_out(ref.shape.member, timestamp)
        quotes = ref.shape.member.shape.type == "string"
        return lambda value: ", ".join(
            _quoted(inner(item)) if quotes else inner(item) for item in value
        )
    simple: dict[str, Callable[[Any], str]] = {
        "boolean": _truth_text,
        "float": real_text,
        "double": real_text,
        "blob": _base64_text,
    }
    return simple.get(ref.shape.type, str)


def real_text(value: float) -> str:
    """Return a float as XML and headers write it."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _quoted(text: str) -> str:
    """Return an item of a list in a header, quoted where it must be."""
    if "," in text or '"' in text:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return text


class ReplyBindings:
    """Writes the members of a reply or error that do not lie in the body."""

    def __init__(self, shape: Shape | None, timestamp: str = "rfc822") -> None:
        self._headers: dict[str, tuple[str, Callable[[Any], str]]] = {}
        self._prefixes: dict[str, str] = {}
        self.status_member = ""
        self.length_member = ""
        self.range_member = ""
        """The member that says which part of the whole the body is; empty if there is none."""
        for name, ref in shape.members.items() if shape else ():
            if ref.location == "header" and ref.wire_name.lower() == BODY_LENGTH:
                self.length_member = name
            elif ref.location == "header":
                self._headers[name] = (ref.wire_name, _text_out(ref, timestamp))
                if ref.wire_name.lower() == BODY_RANGE:
                    self.range_member = name
            elif ref.location == "headers":
                self._prefixes[name] = prefix_of(ref)
            elif ref.location == "statusCode":
                self.status_member = name

    def write(self, reply: Mapping[str, Any], headers: Headers) -> None:
        """Add the header members of a reply; line breaks cannot leave their header."""
        table = self._headers
        for name, value in reply.items():
            entry = table.get(name)
            if value is None:
                continue
            if entry is not None:
                text = entry[1](value)
                if not text.isprintable():
                    text = _LINE_BREAKS.sub(" ", text)
                headers.append((entry[0], text))
            elif name in self._prefixes:
                prefix = self._prefixes[name]
                for key, item in cast("Mapping[str, str]", value).items():
                    headers.append(
                        (_LINE_BREAKS.sub("", prefix + key), _LINE_BREAKS.sub(" ", item))
                    )
