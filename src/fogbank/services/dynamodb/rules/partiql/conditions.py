"""The conditions of statements.

Source: Amazon DynamoDB Developer Guide, "PartiQL operators" and "PartiQL functions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fogbank.services.dynamodb.rules.expressions.syntax import (
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Junction,
    Not,
    Operand,
    Path,
    ValueRef,
)
from fogbank.services.dynamodb.rules.partiql.reader import malformed
from fogbank.services.dynamodb.rules.partiql.syntax import Constant
from fogbank.services.dynamodb.rules.partiql.terms import Terms

_COMPARATORS: Final = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TESTS: Final = frozenset(
    {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"}
)
_TYPE_NAMES: Final = {
    "STRING": "S",
    "NUMBER": "N",
    "BINARY": "B",
    "BOOL": "BOOL",
    "BOOLEAN": "BOOL",
    "NULL": "NULL",
    "LIST": "L",
    "MAP": "M",
    "STRUCT": "M",
}


class Conditions(Terms):
    """Reads conditions."""

    def condition(self) -> Condition:
        """Read a condition: terms of AND, joined by OR."""
        return self._tested(self._joined("OR", self._conjunction))

    def _conjunction(self) -> Condition | Operand:
        """Read terms joined by AND."""
        return self._joined("AND", self._negation)

    def _joined(self, word: str, part: Callable[[], Condition | Operand]) -> Condition | Operand:
        """Read parts that one word joins; a single one stands for itself."""
        first = part()
        if self.reader.word != word:
            return first
        parts = [self._tested(first)]
        while self.reader.accept_word(word):
            parts.append(self._tested(part()))
        return Junction(word, tuple(parts))

    def _negation(self) -> Condition | Operand:
        """Read a condition under any number of NOTs."""
        if not self.reader.accept_word("NOT"):
            return self._predicate()
        self.reader.enter()
        inner = self._tested(self._negation())
        self.reader.leave()
        return Not(inner)

    def _tested(self, tree: Condition | Operand) -> Condition:
        """Return a tree that answers a truth value, or refuse the statement."""
        if isinstance(tree, Path | ValueRef) or (
            isinstance(tree, Call) and tree.function == "size"
        ):
            raise malformed("Expected a condition")
        return tree

    def _predicate(self) -> Condition | Operand:
        """Read one comparison or test, or a group in parentheses."""
        reader = self.reader
        if reader.at("("):
            reader.take()
            reader.enter()
            left = self._joined("OR", self._conjunction)
            reader.leave()
            reader.expect(")")
            if not isinstance(left, Path | ValueRef | Call):
                return left
        else:
            left = self._tested_operand()
        return self._compared(left)

    def _tested_operand(self) -> Operand:
        """Read the operand that a predicate begins with: a test may stand alone."""
        function = self.called()
        if not function:
            return self.operand()
        if function not in _TESTS and function != "size":
            raise self.unrecognized()
        return self.function_call()

    def _compared(self, left: Operand) -> Condition | Operand:
        """Read what an operand is compared with, if it is."""
        reader = self.reader
        if reader.token.kind == "symbol" and reader.token.text in _COMPARATORS:
            operator = _COMPARATORS[reader.take().text]
            right = self._tested_operand()
            return self._comparison(operator, left, right)
        if reader.accept_word("IS"):
            return self._is(left)
        negated = bool(
            reader.following.text.upper() in ("BETWEEN", "IN") and reader.accept_word("NOT")
        )
        found: Condition | None = None
        if reader.accept_word("BETWEEN"):
            low = self.operand()
            reader.expect_word("AND")
            found = Between(left, low, self.operand())
        elif reader.accept_word("IN"):
            found = In(left, self._choices())
        if found is None:
            return left
        return Not(found) if negated else found

    def _comparison(self, operator: str, left: Operand, right: Operand) -> Condition:
        """Return a comparison; a test compared with a truth value is the test or its opposite."""
        for test, truth in ((left, right), (right, left)):
            if isinstance(test, Call) and test.function in _TESTS:
                wanted = self.values.get(truth.text) if isinstance(truth, ValueRef) else None
                if operator not in ("=", "<>") or not isinstance(wanted, Constant):
                    raise malformed("A test can be compared with true and false only")
                holds = (wanted.content is True) is (operator == "=")
                return test if holds else Not(test)
        return Comparison(operator, left, right)

    def _is(self, left: Operand) -> Condition:
        """Read what an attribute is said to be: missing, null or of a type."""
        reader = self.reader
        negated = bool(reader.accept_word("NOT"))
        name = reader.take().text.upper()
        found: Condition
        if name == "MISSING":
            found = Call("attribute_not_exists", (left,))
        elif name in _TYPE_NAMES:
            kind = self.named(Constant("S", _TYPE_NAMES[name]))
            found = Call("attribute_type", (left, ValueRef(kind)))
        else:
            raise malformed("Expected a type behind IS")
        return Not(found) if negated else found

    def _choices(self) -> tuple[Operand, ...]:
        """Read the choices of an IN, in brackets or parentheses."""
        reader = self.reader
        if not reader.at("[", "("):
            reader.refuse()
        end = "]" if reader.take().text == "[" else ")"
        choices = [self.operand()]
        while reader.accept(","):
            choices.append(self.operand())
        reader.expect(end)
        return tuple(choices)
