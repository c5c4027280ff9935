"""Tokens of a statement, read one after the other, each with its place for the messages.

Source: Amazon DynamoDB Developer Guide, "PartiQL for DynamoDB"; PartiQL Specification, "Lexical
structure". The words of the errors were recorded from DynamoDB by the parity project's conformance
suite (October 2026).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, NoReturn

from fogbank.services.dynamodb.errors import ValidationException

_NOT_WELL_FORMED: Final = "Statement wasn't well formed, can't be processed: "
_LEFTOVER: Final = "Unexpected token after expression"
_TOKEN: Final = re.compile(
    r"""(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:
        (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
      | "(?P<quoted>(?:[^"]|"")*)"
      | '(?P<text>(?:[^']|'')*)'
      | (?P<symbol><<|>>|<=|>=|<>|!=|[][(){}.,:?*=<>+-])
      | (?P<end>\Z)
      | (?P<stray>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_DEPTH_MAX: Final = 100
"""Parentheses, lists, maps and sets within each other: bounded for the stack."""
KEYWORDS: Final = frozenset(
    (
        *("ALL", "AND", "AS", "ASC", "AT", "BETWEEN", "BY", "CROSS", "DELETE"),
        *("DESC", "DISTINCT", "EXCEPT", "EXISTS", "FALSE", "FROM", "FULL", "GROUP", "HAVING"),
        *("IN", "INNER", "INSERT", "INTERSECT", "INTO", "IS", "JOIN", "LEFT", "LIKE"),
        *("LIMIT", "MISSING", "NATURAL", "NOT", "NULL", "ON", "OR", "ORDER", "OUTER"),
        *("REMOVE", "RETURNING", "RIGHT", "SELECT", "SET", "TRUE", "UNION", "UNPIVOT", "UPDATE"),
        *("VALUE", "WHERE"),
    )
)
"""Words that are no attribute's name unless they stand in double quotes."""


def malformed(detail: str = "") -> ValidationException:
    """Return the error for a statement that cannot be read."""
    return ValidationException(_NOT_WELL_FORMED + detail)


class Token(NamedTuple):
    """A piece of the statement; ``kind`` is the name of its group above."""

    kind: str
    text: str
    """Without quotes; what was doubled in them is single."""
    begin: int
    length: int


class Reader:
    """Reads the tokens of one statement.

    Raises:
        ValidationException: It holds a character that begins no token.
    """

    def __init__(self, statement: str) -> None:
        self._statement = statement
        self._tokens: list[Token] = []
        at = 0
        while not self._tokens or self._tokens[-1].kind != "end":
            match = _TOKEN.match(statement, at)
            assert match is not None, "the last alternatives match whatever comes"
            self._tokens.append(_token_of(match))
            at = match.end()
        self._next = 0
        self._depth = 0

    @property
    def token(self) -> Token:
        """Return the token that comes next."""
        return self._tokens[self._next]

    @property
    def following(self) -> Token:
        """Return the token behind the next."""
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    def place(self, token: Token) -> str:
        """Return where a token stands, as messages say it: line, column and length."""
        before = self._statement[: token.begin]
        column = token.begin - (before.rfind("\n") + 1) + 1
        return f"{before.count(chr(10)) + 1}:{column}:{token.length}"

    @property
    def word(self) -> str:
        """Return the plain word that comes next, in capitals; empty if none does."""
        return self.token.text.upper() if self.token.kind == "name" else ""

    @property
    def names(self) -> bool:
        """Return whether the next token can be a name: a word that is no keyword, or a quoted one."""
        return self.token.kind == "quoted" or (bool(self.word) and self.word not in KEYWORDS)

    def take(self) -> Token:
        """Return the next token and go on."""
        token = self.token
        if token.kind != "end":
            self._next += 1
        return token

    def at(self, *symbols: str) -> bool:
        """Return whether one of some symbols comes next."""
        return self.token.kind == "symbol" and self.token.text in symbols

    def accept(self, symbol: str) -> bool:
        """Take a symbol if it comes next."""
        found = self.at(symbol)
        if found:
            self.take()
        return found

    def expect(self, symbol: str) -> None:
        """Take a symbol, or refuse the statement."""
        if not self.accept(symbol):
            raise malformed(f"Expected '{symbol}'")

    def accept_word(self, *words: str) -> str:
        """Take a keyword if one of these comes next; return it, or nothing."""
        found = self.word
        if found not in words:
            return ""
        self.take()
        return found

    def expect_word(self, *words: str) -> str:
        """Take a keyword, or refuse the statement."""
        found = self.accept_word(*words)
        if not found:
            self.refuse()
        return found

    def enter(self) -> None:
        """Count a level of nesting, or refuse the statement."""
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise malformed("Statement is nested too deeply")

    def leave(self) -> None:
        """Leave a level of nesting."""
        self._depth -= 1

    def refuse(self) -> NoReturn:
        """Refuse the statement for the token that comes next."""
        if self.word in KEYWORDS:
            raise malformed("Unexpected keyword")
        at_end = self.token.kind == "end"
        raise malformed("Unexpected end of statement" if at_end else "Unexpected token")

    def finish(self) -> None:
        """Refuse whatever stands behind a whole statement."""
        if self.token.kind != "end":
            raise malformed(_LEFTOVER)


def _token_of(match: re.Match[str]) -> Token:
    """Return the token that one of the groups has matched."""
    kind = match.lastgroup
    assert kind is not None, "every alternative is a group"
    begin, end = match.span(kind)
    text = match[kind]
    if kind == "stray":
        raise malformed()
    if kind in ("quoted", "text"):
        quote = '"' if kind == "quoted" else "'"
        return Token(kind, text.replace(quote * 2, quote), begin - 1, end - begin + 2)
    return Token(kind, text, begin, end - begin)
