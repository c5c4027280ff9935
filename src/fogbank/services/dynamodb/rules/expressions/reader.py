"""Tokens of an expression, read one after the other, and the faults found on the way.

Rule: a syntax error ends the reading where it stands. Any other fault is noted and the reading
goes on, because AWS reports the gravest fault of an expression and not the first
(architect/dynalite, db/conditionParser.pegjs, measured against AWS).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, NoReturn

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import EXPRESSION_BYTES_MAX, OPERATORS_MAX

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<name>[A-Za-z][A-Za-z0-9_]*)
      | (?P<name_ref>\#[A-Za-z0-9_]+)
      | (?P<value_ref>:[A-Za-z0-9_]+)
      | (?P<index>[0-9]+)
      | (?P<symbol><=|>=|<>|[][(),.=<>+-])
      | (?P<stray>[^ \t\r\n])
    )""",
    re.VERBOSE,
)
_END: Final = "<EOF>"
_DEPTH_MAX: Final = 150
"""Parentheses within parentheses: enough for 300 operators, and bounded for the stack."""

FAULTS: Final = ("parentheses", "function", "misuse", "reserved", "section", "path", "operators")
"""Faults of an expression's text, gravest first."""


def invalid(kind: str, message: str) -> ValidationException:
    """Return the error for an expression of a kind, such as ``UpdateExpression``.

    A statement of PartiQL is of no kind, and AWS says of it what is wrong and no more.
    """
    return ValidationException(f"Invalid {kind}: {message}" if kind else message)


class Token(NamedTuple):
    """A piece of the text; ``type`` is the name of its group above, or ``end``."""

    type: str
    text: str
    begin: int
    end: int


def _token_of(match: re.Match[str]) -> Token:
    """Return the token that one of the groups has matched."""
    group = match.lastgroup
    assert group is not None, "every alternative is a group"
    return Token(group, match[group], *match.span(group))


class Reader:
    """Reads the tokens of one expression."""

    def __init__(self, text: str, kind: str) -> None:
        size = len(text.encode())
        if not text.strip(" \t\r\n"):
            raise invalid(kind, "The expression can not be empty;")
        if size > EXPRESSION_BYTES_MAX:
            raise invalid(
                kind,
                f"Expression size has exceeded the maximum allowed size; expression size: {size}",
            )
        self._text = text
        self._kind = kind
        self._tokens = [_token_of(match) for match in _TOKEN.finditer(text)]
        self._tokens.append(Token("end", _END, len(text), len(text)))
        self._at = 0
        self._depth = 0
        self._operators = 0
        self._group: tuple[int, int] = (-1, -1)
        self._faults: dict[str, str] = {}

    @property
    def token(self) -> Token:
        """Return the token that is to be read next."""
        return self._tokens[self._at]

    @property
    def in_parentheses(self) -> bool:
        """Return whether a parenthesis is open."""
        return self._depth > 0

    def take(self) -> Token:
        """Read one token of any type but the end."""
        token = self.token
        if token.type == "end":
            self.refuse()
        self._at += 1
        return token

    def at(self, *texts: str) -> bool:
        """Return whether the next token is one of these symbols."""
        return self.token.type == "symbol" and self.token.text in texts

    def accept(self, text: str) -> bool:
        """Read a symbol if it is the next token."""
        if not self.at(text):
            return False
        self._at += 1
        return True

    def expect(self, text: str) -> None:
        """Read a symbol, or refuse the expression."""
        if not self.accept(text):
            self.refuse()

    def word(self) -> str:
        """Return the next token in upper case if it is a bare word, or nothing."""
        return self.token.text.upper() if self.token.type == "name" else ""

    def accept_word(self, word: str) -> bool:
        """Read a keyword, in any case, if it is the next token."""
        if self.word() != word:
            return False
        self._at += 1
        return True

    def called(self) -> bool:
        """Return whether the next tokens call a function."""
        following = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        return self.token.type == "name" and following.text == "("

    def open(self) -> int:
        """Read the opening parenthesis of a group or a list; return its place."""
        self.expect("(")
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise invalid(self._kind, "The expression is nested too deeply")
        return self._at - 1

    def close(self) -> int:
        """Read the closing parenthesis of a group or a list; return its place."""
        self.expect(")")
        self._depth -= 1
        return self._at - 1

    def close_group(self, begin: int) -> None:
        """Read the closing parenthesis of a group, and note a group that holds only a group."""
        end = self.close()
        if self._group == (begin + 1, end - 1):
            self.note("parentheses", "The expression has redundant parentheses;")
        self._group = (begin, end)

    def count_operator(self) -> None:
        """Count an operator against the limit; functions and parentheses do not count."""
        self._operators += 1
        if self._operators > OPERATORS_MAX:
            self.note(
                "operators",
                f"The expression contains too many operators; operator count: {self._operators}",
            )

    def note(self, fault: str, message: str) -> None:
        """Note a fault other than of syntax; the first of each sort is kept."""
        assert fault in FAULTS
        self._faults.setdefault(fault, message)

    def refuse(self) -> NoReturn:
        """Raise the syntax error at the next token.

        AWS: ``near`` is the text from the token before the unexpected one to the token after it
        (``ADD hits : incr`` answers token ``:``, near ``hits : incr``; aws/aws-cdk issue 7591).
        """
        token = self.token
        begin = self._tokens[self._at - 1].begin if self._at else token.begin
        end = token.end
        if self._at + 1 < len(self._tokens) - 1:
            end = self._tokens[self._at + 1].end
        near = self._text[begin:end].rstrip(" \t\r\n")
        raise invalid(self._kind, f'Syntax error; token: "{token.text}", near: "{near}"')

    def finish(self) -> None:
        """Require that everything has been read, and raise the gravest fault that was noted."""
        if self.token.type != "end":
            self.refuse()
        for fault in FAULTS:
            if fault in self._faults:
                raise invalid(self._kind, self._faults[fault])
