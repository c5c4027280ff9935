"""Reading XML documents safely into elements.

Rule: a document with a DOCTYPE is refused before it is parsed, so there are no entities, no bombs
and no external files; bytes, elements, attributes and depth are bounded; every failure is a
MalformedXML. A document with a NUL is refused too: that is every one in UTF-16, in which a DOCTYPE
could hide, since a byte order mark wins over the encoding that a parser is told.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, XMLParser

from fogbank.wire.errors import MalformedXML

BYTES_MAX = 16 << 20
ELEMENTS_MAX = 100_000
"""AWS: the largest document is CompleteMultipartUpload's, of 10,000 parts of five elements."""
ATTRIBUTES_MAX = 100_000
"""Equals signs, in truth: those of Base64 in texts count as well."""
DEPTH_MAX = 100

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
    if body.count(b"=") > ATTRIBUTES_MAX:
        raise MalformedXML(MALFORMED)
    if b"<!DOCTYPE" in body or b"\0" in body:
        raise MalformedXML(MALFORMED)
    parser = XMLParser(encoding="utf-8")  # noqa: S314 (see the rule)
    try:
        parser.feed(body)
        root = parser.close()
    except (ParseError, ValueError):
        raise MalformedXML(MALFORMED) from None
    if body.count(b"</") > DEPTH_MAX:
        _check_depth(root)
    return root


def _check_depth(root: Element) -> None:
    """Refuse a document that is nested beyond any use."""
    level = [root]
    for _ in range(DEPTH_MAX):
        level = [child for each in level for child in each]
        if not level:
            return
    raise MalformedXML(MALFORMED)


def local(name: str) -> str:
    """Return a name without its namespace."""
    return name[name.rindex("}") + 1 :] if name.startswith("{") else name
