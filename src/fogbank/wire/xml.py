"""Reading XML documents safely into elements.

Rule: a document with a DOCTYPE is refused before it is parsed, so there are no entities, no bombs
and no external files; bytes, elements, attributes and depth are bounded; every failure is a
MalformedXML. A document with a NUL is refused too: that is every one in UTF-16, in which a DOCTYPE
could hide, since a byte order mark wins over the encoding that a parser is told. Documents are
in UTF-8: one that says another encoding is refused where that would be another text.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError, XMLParser

from fogbank.wire.errors import MalformedXML

BYTES_MAX = 16 << 20
ELEMENTS_MAX = 100_000
"""AWS: the largest document is CompleteMultipartUpload's, of 10,000 parts of five elements."""
ATTRIBUTES_MAX = 100_000
"""Equals signs, in truth: those of Base64 in texts count as well."""
DEPTH_MAX = 100
_ENCODING = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml\s[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_SAME_ENCODINGS = frozenset((b"us-ascii", b"iso-8859-1"))
"""Those in which a text of ASCII alone is what it is in UTF-8."""

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
    if b"<!DOCTYPE" in body or b"\0" in body or not _is_utf_8(body):
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


def _is_utf_8(body: bytes) -> bool:
    """Return whether a document means, by its own declaration, what it means in UTF-8."""
    found = _ENCODING.match(body)
    if found is None:
        return True
    name = found[1].lower()
    return name == b"utf-8" or (name in _SAME_ENCODINGS and body.isascii())


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
