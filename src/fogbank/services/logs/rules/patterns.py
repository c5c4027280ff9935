"""Filter patterns: which messages a FilterLogEvents asks for.

Built are patterns of terms: words and quoted phrases that must all occur, ``-`` before what must
not, ``?`` before alternatives of which one suffices. Terms are case-sensitive and may occur
anywhere in the message. JSON patterns (``{``), column patterns (``[``) and regular expressions
(``%``) are refused as not built. Source: CloudWatch Logs User Guide, "Filter pattern syntax".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from fogbank.base.errors import NotBuilt
from fogbank.services.logs.errors import InvalidParameterException

_TERM: Final = re.compile(r'(?P<sign>[-?]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]+))')
_ESCAPE: Final = re.compile(r"\\(.)")
_WORD: Final = re.compile(r"\w+")


class Pattern(NamedTuple):
    """A compiled pattern of terms."""

    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()

    def matches(self, message: str) -> bool:
        """Return whether a message is asked for."""
        return (
            all(term in message for term in self.required)
            and not any(term in message for term in self.excluded)
            and (not self.alternatives or any(term in message for term in self.alternatives))
        )


def pattern_of(text: str) -> Pattern:
    """Return the pattern in a text; the empty one matches everything.

    Raises:
        InvalidParameterException: The text is no pattern.
        NotBuilt: It is one of the kinds that we do not evaluate.
    """
    text = text.strip()
    if text[:1] in {"{", "["} or text.startswith("%"):
        raise NotBuilt.member("logs", "FilterLogEvents", "filterPattern (JSON, columns, regex)")
    terms: dict[str, list[str]] = {"": [], "-": [], "?": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise InvalidParameterException("Invalid filter pattern")
        terms[match["sign"]].append(_term_of(match))
        at = match.end()
        if at < len(text) and not text[at].isspace():
            raise InvalidParameterException(f"Invalid character(s) in term '{text[at:]}'")
        while at < len(text) and text[at].isspace():
            at += 1
    if terms[""] or terms["-"]:
        # AWS: a question mark beside terms that must or must not occur is ignored ("Filter
        # pattern syntax": you can't combine ? with other filter patterns).
        return Pattern((*terms[""], *terms["?"]), tuple(terms["-"]))
    return Pattern(alternatives=tuple(terms["?"]))


def _term_of(match: re.Match[str]) -> str:
    """Return the text of one term."""
    quoted: str | None = match["quoted"]
    if quoted is not None:
        return _ESCAPE.sub(r"\1", quoted)
    word: str = match["word"]
    if _WORD.fullmatch(word) is None:
        raise InvalidParameterException(f"Invalid character(s) in term '{word}'")
    return word
