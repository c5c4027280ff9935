"""XML documents of a service's shapes, both ways, for rest-xml and for query's answers.

Rule: encoders are functions from a value to a string, one per structure, compiled from the model;
decoders walk the children that are there. Unknown elements are ignored, but for S3, which holds
documents against its schema; what is not of the member's type is ``Unreadable``, which the
protocol's codec turns into its own error.

Source: Smithy, "XML binding traits".
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple, cast
from xml.etree.ElementTree import Element

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.plan import Told
from fogbank.wire.codec.rest import real_text, scalar_of
from fogbank.wire.model import Raw, Ref, ServiceModel, Shape
from fogbank.wire.source import Functions, Source
from fogbank.wire.timestamps import epoch_seconds, http_date, iso_millis, iso_seconds
from fogbank.wire.xml import local

DEPTH_MAX = 64
_TOGETHER_MIN = 8
"""Entries of a list, from which on it pays to write those alike together."""
_FORMS_MAX = 64
"""Sets of members, of one list, that have a function of their own."""

Read = Callable[[Element, int], Any]
"""From an element and its depth to a value."""


class _Entry(NamedTuple):
    """How the elements of one name are read into a member."""

    name: str
    gathered: type | None
    """What gathers its elements if it is flattened."""
    read: Read
    twin: _Entry | None = None
    """Another member that is the same element, so that a reader finds it under both names.

    AWS: S3's deprecated ``Event`` beside the flattened list ``Events`` (TopicConfigurationDeprecated).
    """


_ANSWERED_OUTSIDE = frozenset({"header", "headers", "statusCode"})
_SAFE_NAME = re.compile(r"[A-Za-z_][\w.:-]*", re.ASCII)

_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_UNHELD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ODD = re.compile("[&<>\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")


class Unreadable(Exception):
    """An element is not of its member's type; ``shape`` says which was meant."""

    def __init__(self, shape: Shape, text: str) -> None:
        super().__init__(shape.name)
        self.shape = shape
        self.text = text


def _escape_one(match: re.Match[str]) -> str:
    letter = match.group()
    # AWS: characters that XML cannot hold leave as references all the same (S3 does so for keys
    # unless encoding-type=url was asked for: API reference of ListObjectsV2, EncodingType).
    return _ESCAPED.get(letter) or f"&#x{ord(letter):x};"


def escape(text: str) -> str:
    """Return text for the inside of an element."""
    return _ODD.sub(_escape_one, text)


def legible(text: str) -> str:
    """Return a part of an error for the inside of an element: what XML cannot hold is replaced.

    In answers such a character of a key or name is told all the same; an error that no parser takes
    is none.
    """
    return escape(_UNHELD.sub("\N{REPLACEMENT CHARACTER}", text))


def error_content(told: Told, error: ServiceError, documents: XmlDocuments, code: str) -> str:
    """Return what stands inside an error's element: its code, its message, modelled members."""
    content = f"<Code>{escape(code)}</Code><Message>{legible(error.message)}</Message>"
    if told.found is None:
        return content
    shape = told.found.shape
    members = {
        name: value
        for name, value in error.members.items()
        if name in shape.members and name.lower() != "message"
    }
    return content + documents.encoder(shape)(members)


def attribute(text: str) -> str:
    """Return text for the inside of an attribute."""
    return escape(text).replace('"', "&quot;")


def _base64_of(value: Any) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


def namespace_attribute(raw: Raw | None) -> str:
    """Return the attribute that declares a namespace, with a space before it, or nothing."""
    if not raw:
        return ""
    prefix = raw.get("prefix")
    return f' xmlns:{prefix}="{raw["uri"]}"' if prefix else f' xmlns="{raw["uri"]}"'


class _Entries:
    """Writes the elements of a list of structures.

    Theory: entries of a listing mostly have the same members. Those are taken together: all keys,
    all sizes, and so on; what is odd is looked for once in all texts of a member, and an entry is
    one text with its values put in.

    Args:
        documents: Writes what is not alike, and knows how members are written.
        shape: The structure of each entry.
        around: What stands before and behind the inside of an entry.
    """

    __slots__ = ("_around", "_documents", "_forms", "_shape")

    def __init__(self, documents: XmlEncoding, shape: Shape, around: tuple[str, str]) -> None:
        self._documents = documents
        self._shape = shape
        self._around = around
        self._forms: dict[tuple[str, ...], Callable[[Sequence[Any]], str | None]] = {}

    def __call__(self, values: Sequence[Any]) -> str:
        """Return the elements."""
        if len(values) < _TOGETHER_MIN:
            return self._each(values)
        runs = groupby(values, tuple)  # of a mapping: its names
        return "".join([self._alike(names, list(some)) for names, some in runs])

    def _alike(self, names: tuple[str, ...], values: list[Any]) -> str:
        """Return the elements of entries with the same members."""
        form = self._forms.get(names)
        if form is None:
            if len(self._forms) == _FORMS_MAX:
                return self._each(values)
            form = self._documents.form_of(self._shape, names, self._around)
            self._forms[names] = form
        text = form(values)
        return self._each(values) if text is None else text

    def _each(self, values: Sequence[Any]) -> str:
        """Return the elements, written one by one."""
        inside = self._documents.encoder(self._shape)
        begin, end = self._around
        return "".join([f"{begin}{inside(value)}{end}" for value in values])


class XmlEncoding:
    """Writes XML documents of one service's shapes."""

    def __init__(self, service: ServiceModel) -> None:
        settings = service.settings
        encoding: dict[str, Any] = {
            "escape": escape,
            "attribute": attribute,
            "base64_of": _base64_of,
            "real": real_text,
            "iso8601": iso_millis if settings.iso_millis else iso_seconds,
            "rfc822": http_date,
            "unixTimestamp": epoch_seconds,
        }
        self._encoders = Functions("e", encoding, self._write_encoder)
        self._by_element = settings.flat_by_element

    def encoder(self, shape: Shape) -> Callable[[Any], str]:
        """Return what writes the inside of a structure's element."""
        return self._encoders.get(shape)

    def attributes_of(self, shape: Shape) -> Callable[[Any], str] | None:
        """Return what writes the attributes of a structure's element, or None if it has none."""
        found = [(name, ref.wire_name) for name, ref in shape.members.items() if ref.xml_attribute]
        if not found:
            return None
        return lambda value: "".join(
            f' {wire_name}="{attribute(value[name])}"' for name, wire_name in found if name in value
        )

    def _write_encoder(self, source: Source, shape: Shape, name: str) -> None:
        with source.block(f"def {name}(v)"):
            source.line("s = ''")
            for member, ref in shape.members.items():
                if ref.xml_attribute or ref.location in _ANSWERED_OUTSIDE:
                    continue
                source.line(f"x = v.get({member!r})")
                with source.block("if x is not None"):
                    self._write_member(source, ref)
            source.line("return s")

    def _write_member(self, source: Source, ref: Ref) -> None:
        """Write the lines that add a member's element, or elements, to ``s``."""
        shape = ref.shape
        if shape.type == "list" and ref.flattened:
            inner = shape.member
            name = self._flat_name(ref)
            if self._is_listed(inner):
                source.line(f"s += {self._entries(source, inner, name)}(x)")
                return
            with self._each(source, "for y in x"):
                self._write_element(source, inner, name, "y")
        elif shape.type == "map" and ref.flattened:
            with self._each(source, "for k, y in x.items()"):
                self._write_entry(source, shape, ref.wire_name)
        else:
            self._write_element(source, ref, ref.wire_name, "x")

    @contextmanager
    def _each(self, source: Source, head: str) -> Generator[None]:
        """Write a loop whose body adds to ``s``: in pieces, for a text that grows is copied."""
        outer, pieces = source.fresh("o"), source.fresh("p")
        source.line(f"{outer}, s, {pieces} = s, '', []")
        with source.block(head):
            yield
            source.line(f"{pieces}.append(s)")
            source.line("s = ''")
        source.line(f"s = {outer} + ''.join({pieces})")

    def _is_listed(self, ref: Ref) -> bool:
        """Return whether the entries of a list are structures without attributes."""
        return ref.shape.type == "structure" and self.attributes_of(ref.shape) is None

    def _entries(self, source: Source, ref: Ref, name: str) -> str:
        """Return the name of what writes a list's elements, each with this name."""
        assert _SAFE_NAME.fullmatch(name), f"no element can be called {name!r}"
        around = f"<{name}{namespace_attribute(ref.xml_namespace)}>", f"</{name}>"
        return source.constant(_Entries(self, ref.shape, around))

    def form_of(
        self, shape: Shape, names: tuple[str, ...], around: tuple[str, str]
    ) -> Callable[[Sequence[Any]], str | None]:
        """Return what writes structures with just these members; None where one of them is None.

        Members that the model does not have are left out.
        """
        written = {
            f"c{at}": ref
            for at, (name, ref) in enumerate(shape.members.items())
            if name in names and ref.location not in _ANSWERED_OUTSIDE
        }
        source = self._encoders.source
        helpers = {
            column: self._helper(source, ref)
            for column, ref in written.items()
            if not self._is_inline(ref)
        }
        form = source.fresh("form")
        with source.block(f"def {form}(rows)"):
            parts = [
                self._column(source, ref, column, helpers.get(column, ""))
                for column, ref in written.items()
            ]
            begin, end = (each.replace("{", "{{") for each in around)
            taken = "".join(f"{column}, " for column in written)
            each = f"for {taken}in zip({taken}strict=True)" if written else "for _ in rows"
            source.line(f"return ''.join([f'''{begin}{''.join(parts)}{end}''' {each}])")
        source.run(form)
        self._encoders.get(shape)  # with whatever the form has asked for
        return source.namespace[form]

    def _is_inline(self, ref: Ref) -> bool:
        """Return whether a member is one element, without attributes of its own."""
        return ref.shape.type not in ("list", "map") and self.attributes_of(ref.shape) is None

    def _helper(self, source: Source, ref: Ref) -> str:
        """Write a function from a member's value to its elements; return its name."""
        name = source.fresh("member")
        with source.block(f"def {name}(x)"):
            source.line("s = ''")
            self._write_member(source, ref)
            source.line("return s")
        return name

    def _column(self, source: Source, ref: Ref, column: str, helper: str) -> str:
        """Write the lines that ready a member's values; return its part of an entry's text."""
        source.line(f"{column} = [row[{ref.name!r}] for row in rows]")
        source.line(f"if None in {column}: return None")
        if helper:
            source.line(f"{column} = list(map({helper}, {column}))")
            return f"{{{column}}}"
        name, shape = ref.wire_name, ref.shape
        assert _SAFE_NAME.fullmatch(name), f"no element can be called {name!r}"
        if shape.type == "string":
            source.line(f"t = ''.join({column})")
            odd = " or ".join(f"{letter!r} in t" for letter in "&<>")
            source.line(f"if not t.isprintable() or {odd}: {column} = list(map(escape, {column}))")
        elif shape.type not in ("integer", "long"):
            source.line(f"{column} = [{self._content(source, ref, 'y')} for y in {column}]")
        namespace = namespace_attribute(ref.xml_namespace).replace("{", "{{")
        return f"<{name}{namespace}>{{{column}}}</{name}>"

    def _flat_name(self, ref: Ref) -> str:
        """Return the name of each element of a flattened list."""
        own = ref.shape.member.raw.get("locationName") if self._by_element else None
        return own or ref.wire_name

    def _write_entry(self, source: Source, shape: Shape, name: str) -> None:
        source.line(f"s += {f'<{name}>'!r}")
        self._write_element(source, shape.key, shape.key.trait("locationName") or "key", "k")
        self._write_element(source, shape.value, shape.value.trait("locationName") or "value", "y")
        source.line(f"s += {f'</{name}>'!r}")

    def _write_element(self, source: Source, ref: Ref, name: str, var: str) -> None:
        """Write the lines that add one element to ``s``."""
        assert _SAFE_NAME.fullmatch(name), f"no element can be called {name!r}"
        head = name + namespace_attribute(ref.xml_namespace).replace("{", "{{")
        shape = ref.shape
        attributes = self.attributes_of(shape)
        if attributes:
            head += f"{{{source.constant(attributes)}({var})}}"
        inner = source.fresh("t")
        source.line(f"{inner} = {self._content(source, ref, var)}")
        if shape.type == "string":
            # Two thirds of a regular expression's cost; whatever is odd goes to the real test.
            odd = " or ".join(f"{letter!r} in {inner}" for letter in "&<>")
            source.line(f"if not {inner}.isprintable() or {odd}: {inner} = escape({inner})")
        source.line(f"s += f'''<{head}>{{{inner}}}</{name}>'''")

    def _content(self, source: Source, ref: Ref, var: str) -> str:
        """Return an expression for the inside of an element."""
        shape = ref.shape
        simple = {
            "string": var,
            "integer": var,
            "long": var,
            "boolean": f"'true' if {var} else 'false'",
            "blob": f"base64_of({var})",
            "float": f"real({var})",
            "double": f"real({var})",
        }.get(shape.type)
        if simple is not None:
            return simple
        if shape.type == "timestamp":
            return f"{ref.timestamp_format or 'iso8601'}({var})"
        if shape.type == "structure":
            return f"{self._encoders.name(shape)}({var})"
        return self._wrapped(source, shape, var)

    def _wrapped(self, source: Source, shape: Shape, var: str) -> str:
        """Write the lines for the inside of a list or map; return the variable that holds it."""
        name = "" if shape.type == "map" else shape.member.trait("locationName") or "member"
        if name and self._is_listed(shape.member):
            return f"{self._entries(source, shape.member, name)}({var})"
        outer = source.fresh("o")
        source.line(f"{outer}, s = s, ''")
        item, key = source.fresh("y"), source.fresh("k")
        if name:
            with self._each(source, f"for {item} in {var}"):
                self._write_element(source, shape.member, name, item)
        else:
            with self._each(source, f"for {key}, {item} in {var}.items()"):
                source.line("s += '<entry>'")
                key_name = shape.key.trait("locationName") or "key"
                value_name = shape.value.trait("locationName") or "value"
                self._write_element(source, shape.key, key_name, key)
                self._write_element(source, shape.value, value_name, item)
                source.line("s += '</entry>'")
        inside = source.fresh("i")
        source.line(f"{inside}, s = s, {outer}")
        return inside


class XmlDocuments(XmlEncoding):
    """XML documents of one service's shapes, both ways."""

    def __init__(self, service: ServiceModel) -> None:
        super().__init__(service)
        self._decoders: dict[str, dict[str, _Entry]] = {}
        self._strict = service.settings.s3_style

    def decode(self, shape: Shape, element: Element, depth: int = 0) -> dict[str, Any]:
        """Return a structure's members from its element.

        Raises:
            Unreadable: A text is not of its member's type.
        """
        if depth > DEPTH_MAX:
            raise Unreadable(shape, "")
        table = self._table(shape)
        out: dict[str, Any] = {}
        for child in element:
            entry = table.get(local(child.tag))
            # AWS: S3 answers MalformedXML to an element that is not in its schema, in tags, CORS
            # rules and ACLs alike (an answer of Amazon S3 in ceph pull request 23486, 2018).
            if entry is None and self._strict:
                raise Unreadable(shape, child.tag)
            while entry is not None:
                name, gathered, read, entry = entry
                value = read(child, depth)
                if not gathered:
                    out[name] = value
                elif gathered is list:
                    found = cast("list[Any]", out.setdefault(name, []))
                    found.append(value)
                else:
                    entries = cast("dict[str, Any]", out.setdefault(name, {}))
                    entries[value[0]] = value[1]
        if element.attrib:
            self._read_attributes(shape, element, out)
        return out

    @staticmethod
    def _read_attributes(shape: Shape, element: Element, out: dict[str, Any]) -> None:
        given = {local(name): text for name, text in element.attrib.items()}
        for name, ref in shape.members.items():
            text = given.get(ref.wire_name.rpartition(":")[2]) if ref.xml_attribute else None
            if text is not None:
                out[name] = text

    def _table(self, shape: Shape) -> dict[str, _Entry]:
        """Return how the children of a structure's element are read, by their names."""
        table = self._decoders.get(shape.name)
        if table is None:
            table = dict[str, _Entry]()
            for ref in shape.members.values():
                if ref.location or ref.xml_attribute:
                    continue
                there = table.get(ref.wire_name)
                is_twin = there and shape.members[there.name].wire_name == ref.wire_name
                entry = self._entry_of(ref)._replace(twin=there if is_twin else None)
                if entry.gathered is list:
                    # botocore sends the member's name and reads the element's: take either.
                    element: str = ref.shape.member.raw.get("locationName", ref.wire_name)
                    table.setdefault(element, entry)
                table[ref.wire_name] = entry
            self._decoders[shape.name] = table  # whole, for other threads decode too
        return table

    def _entry_of(self, ref: Ref) -> _Entry:
        """Return how the elements of one member are read."""
        kind = ref.shape.type
        if kind == "list" and ref.flattened:
            return _Entry(ref.name, list, self._reader(ref.shape.member))
        if kind == "map" and ref.flattened:
            return _Entry(ref.name, dict, self._entry_reader(ref.shape))
        return _Entry(ref.name, None, self._reader(ref))

    def _reader(self, ref: Ref) -> Read:
        """Return what reads a value from its element."""
        shape = ref.shape
        if shape.type == "string":
            return _text
        if shape.type == "structure":
            return lambda element, depth: self.decode(shape, element, depth + 1)
        if shape.type == "list":
            read = self._reader(shape.member)
            named = shape.member.trait("locationName") or "member"
            return lambda element, depth: [
                read(self._listed(shape, named, child), depth + 1) for child in element
            ]
        if shape.type == "map":
            read = self._entry_reader(shape)
            return lambda element, depth: dict(read(child, depth + 1) for child in element)

        def read_scalar(element: Element, _depth: int) -> Any:
            text = element.text or ""
            try:
                return scalar_of(shape, text)
            except ValueError:
                raise Unreadable(shape, text) from None

        return read_scalar

    def _listed(self, shape: Shape, named: str, element: Element) -> Element:
        """Return an element of a list, which has the name that the schema gives it.

        Raises:
            Unreadable: It has another, where that matters.
        """
        if self._strict and local(element.tag) != named:
            raise Unreadable(shape, element.tag)
        return element

    def _entry_reader(self, shape: Shape) -> Read:
        """Return what reads a key and a value from the element of a map's entry."""
        key_name = shape.key.trait("locationName") or "key"
        value_name = shape.value.trait("locationName") or "value"
        read_value = self._reader(shape.value)

        def read(element: Element, depth: int) -> tuple[str, Any]:
            key, value = "", None
            for child in element:
                name = local(child.tag)
                if name == key_name:
                    key = child.text or ""
                elif name == value_name:
                    value = read_value(child, depth)
            if value is None:
                raise Unreadable(shape, "")
            return key, value

        return read


def _text(element: Element, _depth: int) -> str:
    return element.text or ""
