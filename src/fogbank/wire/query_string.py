"""Query strings and forms: bytes of requests to names and values.

Rule: bounded in number, strict in encoding; what does not decode raises ValueError and the caller
says it in the words of its protocol.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote_to_bytes

FIELDS_MAX = 20_000


def decoded(text: str) -> str:
    """Return percent-decoded text; a plus stays a plus.

    Raises:
        ValueError: It is not UTF-8.
    """
    if "%" not in text and text.isascii():
        return text
    # The listener reads heads as Latin-1: bytes sent bare are those of UTF-8 all the same.
    return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")


@lru_cache(maxsize=256)
def query_of(text: str) -> tuple[tuple[str, str], ...]:
    """Return the fields of a query string, which the router and the decoder read in turn.

    Raises:
        ValueError: There are too many fields, or one is not UTF-8.
    """
    return tuple(fields_of(text))


def fields_of(text: str) -> list[tuple[str, str]]:
    """Return the fields of a query string or form in order; a bare key has an empty value.

    Raises:
        ValueError: There are too many fields, or one is not UTF-8.
    """
    if not text:
        return []
    parts = text.split("&")
    if len(parts) > FIELDS_MAX:
        raise ValueError("too many fields")
    found: list[tuple[str, str]] = []
    for part in parts:
        if not part:
            continue
        name, _, value = part.partition("=")
        if "+" in part:
            name, value = name.replace("+", " "), value.replace("+", " ")
        found.append((decoded(name), decoded(value)))
    return found
