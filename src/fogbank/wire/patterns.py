r"""The models' regular expressions, which are Java's, as Python's.

Rule: a pattern must match the whole value, as Java's ``matches``; ``\w``, ``\d`` and ``\s`` are
ASCII as in Java. A pattern that Python cannot express is no constraint (``None``); a test lists
those, so that none disappears unseen. Backtracking must not be a weapon: a value beyond both its
own greatest length and ``LENGTH_MAX`` is refused unmatched, and a pattern that takes more than
linear time in practice is mended in the service's patch.
"""

from __future__ import annotations

import re
from functools import cache

LENGTH_MAX = 16 << 10

_SEPARATORS = "\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Unicode's category Z."""

_PROPERTIES = {
    # Python's Unicode \w is exactly letters, numbers and the underscore; each pattern of the
    # models that names L or N names the other and the underscore too.
    "L": r"\w",
    "N": r"\w",
    "Z": _SEPARATORS,
    "Print": r"\x20-\x7e",
    "Graph": r"\x21-\x7e",
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "ASCII": r"\x00-\x7f",
    "Space": r"\t\n\x0b\f\r\x20",
    "XDigit": "0-9a-fA-F",
    "Cntrl": r"\x00-\x1f\x7f",
}
_TOKEN = re.compile(r"\\p\{(\w+)\}|\\p(\w)|\\.|.", re.DOTALL)


def _translated(pattern: str) -> str:
    """Return the pattern in Python's notation.

    Raises:
        KeyError: It names a Unicode property that we have no set for.
    """
    out: list[str] = []
    inside = False
    after_class = False
    for match in _TOKEN.finditer(pattern):
        part = match.group()
        name = match.group(1) or match.group(2)
        if name:
            part = _PROPERTIES[name] if inside else f"[{_PROPERTIES[name]}]"
        elif inside and part == "-" and after_class:
            part = r"\-"  # Java reads [\w-_] as three members
        elif inside and part in "[&~|":
            part = "\\" + part
        after_class = bool(name) or part in {r"\w", r"\d", r"\s", r"\W", r"\D", r"\S"}
        if part == "[" and not inside:
            inside = True
        elif part == "]" and inside:
            inside = False
        out.append(part)
    return "".join(out)


@cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a compiled pattern to be used with ``fullmatch``, or None if it cannot be had."""
    try:
        flags = 0 if r"\p" in pattern else re.ASCII
        return re.compile(_translated(pattern), flags)
    except (re.error, KeyError, OverflowError):
        return None
