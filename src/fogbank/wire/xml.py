"""Reading XML documents safely into elements.

Rule: a document with a DOCTYPE is refused before it is parsed, so there are no entities, no bombs
and no external files; bytes and elements are bounded; every failure is a MalformedXML. A document
with a NUL is refused too: that is every one in UTF-16, in which a DOCTYPE could hide, since a byte
order mark wins over the encoding that a parser is told. Depth is bounded by those who walk: they
go only where the model has shapes.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, XMLParser

from fogbank.wire.errors import MalformedXML

BYTES_MAX = 16 << 20
ELEMENTS_MAX = 500_000

MALFORMED = (
    "The XML you provided was not well-formed or did not validate against our published schema"
)


def parse(body: bytes) -> Element:
    """Return the root element of a document.

    Raises:
        MalformedXML: It is not well-formed, has a DOCTYPE, or passes a bound.
    """
    if len(body) > BYTES_MAX or body.count(b"<") > 2 * ELEMENTS_MAX:
        raise MalformedXML(MALFORMED)
    if b"<!DOCTYPE" in body or b"\0" in body:
        raise MalformedXML(MALFORMED)
    parser = XMLParser(encoding="utf-8")  # noqa: S314 (see the rule)
    try:
        parser.feed(body)
        return parser.close()
    except (ParseError, ValueError):
        raise MalformedXML(MALFORMED) from None


def local(name: str) -> str:
    """Return a name without its namespace."""
    return name[name.rindex("}") + 1 :] if name.startswith("{") else name
