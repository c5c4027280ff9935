"""The canonical form of a request: what of it is signed, letter by letter; computation only.

Rule: S3 signs the path as it is sent; every other service signs it normalised and encoded once
more.

Source: AWS, "Create a signed AWS API request", "Step 1: Create a canonical request".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from fogbank.wire.http import HttpRequest

_NAMES_REMEMBERED_MAX = 1_024
"""Lists of signed headers that are remembered; a client has one for each kind of request."""
_SAFE = "-_.~"
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
_SPACES = re.compile(r"[ \t]+")
_BLANKS = " \t"


def canonical_path(path: str, service: str) -> str:
    """Return the path as it is signed.

    Args:
        path: As sent, percent-encoded.
        service: The service of the credential scope.
    """
    if service == "s3":
        return path or "/"
    if "//" in path or "/." in path:
        path = _normalised(path)
    return quote(_bytes(path), "/" + _SAFE) or "/"


def recoded_path(path: str, service: str) -> str | None:
    """Return another canonical path for S3, or None if there is no other.

    AWS: S3 decodes a key and encodes it by its own rule; a client that sends ``(`` or ``%2f`` where
    the rule has ``%28`` or ``/`` may have signed either form.
    """
    recoded = quote(unquote_to_bytes(_bytes(path)), "/" + _SAFE) if service == "s3" else path
    return recoded if recoded != path else None


def _normalised(path: str) -> str:
    """Return a path without empty, ``.`` and ``..`` segments (RFC 3986, 5.2.4)."""
    out: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if out:
                out.pop()
        elif segment and segment != ".":
            out.append(segment)
    tail = "/" if path.endswith("/") and out else ""
    return "/" + "/".join(out) + tail


def canonical_query(query: str, *, without: str | None = None) -> str:
    """Return the query string as it is signed: decoded, encoded by AWS's rule, and sorted.

    Args:
        query: As sent.
        without: A key that is left out: the signature itself when presigned.
    """
    if not query:
        return ""
    pairs: list[tuple[str, str]] = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == without or not part:
            continue
        pairs.append((_encoded(name), _encoded(value)))
    pairs.sort()
    return "&".join(f"{name}={value}" for name, value in pairs)


def _encoded(text: str) -> str:
    """Return a part of a query string in AWS's own encoding; a bare plus is a blank."""
    if _PLAIN.fullmatch(text):
        return text
    if "+" in text:
        text = text.replace("+", "%20")
    return quote(unquote_to_bytes(_bytes(text)), _SAFE)


class Lines(NamedTuple):
    """What is the same for all requests that sign the same headers."""

    take: Callable[[Mapping[str, str]], Any]
    """Takes their values, all at once; raises KeyError if one is not there."""
    form: str
    """Their lines, with ``%s`` for each value."""
    names: str
    """As they are signed themselves."""

    def plain(self, headers: Mapping[str, str]) -> str | None:
        """Return the lines of some headers; None if one is not there, or has blanks not signed."""
        try:
            text = self.form % self.take(headers)
        except KeyError:
            return None
        # Blanks at either end of a value, and more than one in it, are not signed.
        if "  " in text or ": " in text or " \n" in text or "\t" in text:
            return None
        return text


@lru_cache(maxsize=_NAMES_REMEMBERED_MAX)
def lines_of(names: tuple[str, ...]) -> Lines:
    """Return how the lines of some headers are written."""
    form = "".join([f"{name.replace('%', '%%')}:%s\n" for name in names])
    return Lines(itemgetter(*names), form, ";".join(names))


def canonical_headers(headers: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """Return the signed headers as they are signed, each on a line, and so their names."""
    lines = lines_of(names)
    text = lines.plain(headers)
    return _trimmed_headers(headers, names) if text is None else text, lines.names


def _trimmed_headers(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Return the same of any headers: one that is absent is empty, and blanks are taken out."""
    values = [_SPACES.sub(" ", headers.get(name, "").strip(_BLANKS)) for name in names]
    pairs = zip(names, values, strict=True)
    return "".join([f"{name}:{value}\n" for name, value in pairs])


def canonical_requests(begin: str, headers: str, end: str) -> list[bytes]:
    """Return the canonical requests that a client may have signed: one, unless headers have accents.

    Args:
        begin: Method, path and query string, each on a line.
        headers: The signed headers as they are signed, in characters.
        end: The names of the signed headers, and the hash of the body.
    """
    if headers.isascii():
        return [_bytes(f"{begin}{headers}\n{end}")]
    # AWS: signatures are over UTF-8, but HTTP libraries send such a header as Latin-1 where they
    # can (Python's http.client): which of the two the bytes were does not say what was signed.
    first, last = _bytes(begin), f"\n{end}".encode()
    forms = dict.fromkeys((headers.encode(), _bytes(headers)))
    return [first + form + last for form in forms]


def canonical_form(
    request: HttpRequest, names: tuple[str, ...], path: str, query: str, payload_hash: str
) -> list[bytes]:
    """Return the canonical requests of a request with these signed headers."""
    headers, signed_names = canonical_headers(request.headers, names)
    return canonical_requests(
        f"{request.method}\n{path}\n{query}\n", headers, f"{signed_names}\n{payload_hash}"
    )


def _bytes(text: str) -> bytes:
    """Return the bytes that a text of the head came from: the listener reads targets as Latin-1."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()
