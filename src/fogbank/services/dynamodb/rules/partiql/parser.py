"""The parser: from the text of a statement to ``syntax``, by recursive descent.

Source: Amazon DynamoDB Developer Guide, "PartiQL statements for DynamoDB".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.expressions.syntax import (
    Action,
    Arithmetic,
    Condition,
    Operand,
    Path,
    Update,
    ValueRef,
)
from fogbank.services.dynamodb.rules.partiql.conditions import Conditions
from fogbank.services.dynamodb.rules.partiql.reader import malformed
from fogbank.services.dynamodb.rules.partiql.syntax import Column, SetOperand, Statement
from fogbank.services.dynamodb.rules.partiql.terms import ITEM, ROOT

_STATEMENTS_KEPT: Final = 1_024
_SET_FUNCTIONS: Final = {"set_add": "ADD", "set_delete": "DELETE"}
_BEHIND_TABLE: Final = frozenset({"WHERE", "ORDER", "SET", "REMOVE", "RETURNING", "VALUE"})


@lru_cache(_STATEMENTS_KEPT)
def parse(text: str) -> Statement:
    """Return a statement.

    Raises:
        ValidationException: The text is none that DynamoDB reads.
    """
    return _Parser(text).statement()


class _Parser(Conditions):
    """Parses one statement."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sets: list[SetOperand] = []

    def statement(self) -> Statement:
        """Read the whole text."""
        reader = self.reader
        forms: dict[str, Callable[[], Statement]] = {
            "SELECT": self._select,
            "INSERT": self._insert,
            "UPDATE": self._update,
            "DELETE": self._delete,
            "FROM": self._from_first,
            "EXISTS": self._exists,
        }
        word = reader.word
        if word not in forms:
            raise malformed("Expected data manipulation")
        reader.take()
        found = forms[word]()
        reader.finish()
        return found

    def _made(self, kind: str, target: tuple[str, str], **parts: object) -> Statement:
        """Return a statement of some parts, with the values that it has named."""
        given: dict[str, object] = {**parts, "sets": tuple(self._sets)}
        return Statement(
            kind,
            *target,
            **given,  # pyright: ignore[reportArgumentType] (the callers name what a Statement has)
            values=self.values,
            parameters=self.parameters,
        )

    def _select(self, kind: str = "Select") -> Statement:
        """Read what stands behind SELECT."""
        reader = self.reader
        columns: list[Column] = []
        if not reader.accept("*"):
            columns.append(self._column())
            while reader.accept(","):
                columns.append(self._column())
        reader.expect_word("FROM")
        target = self._target()
        where = self._where()
        order = self._order()
        return self._made(kind, target, columns=tuple(columns), where=where, order=order)

    def _column(self) -> Column:
        """Read one thing that a SELECT asks for; it is named from its last name on."""
        reader = self.reader
        if reader.token.kind in ("name", "quoted") and reader.following.text == "(":
            raise ValidationException(f"Unexpected path component at {reader.place(reader.token)}")
        path = self.path()
        last = max(at for at, step in enumerate(path.elements) if isinstance(step, str))
        name = "".join(
            step if isinstance(step, str) else f"[{step}]" for step in path.elements[last:]
        )
        return Column(name, path)

    def _target(self, *, aliased: bool = True) -> tuple[str, str]:
        """Read a table, and an index if one is named."""
        table = self._table_name()
        index = self._table_name() if self.reader.accept(".") else ""
        if aliased:
            self._refuse_alias()
        return table, index

    def _table_name(self) -> str:
        """Read the name of a table or an index; one with a ``-`` stands in double quotes."""
        if not self.reader.names:
            self.reader.refuse()
        return self.reader.take().text

    def _refuse_alias(self) -> None:
        """Refuse another name for a table."""
        reader = self.reader
        if reader.word not in _BEHIND_TABLE and (reader.names or reader.word in ("AS", "AT")):
            raise ValidationException("Aliasing is not supported")

    def _where(self) -> Condition | None:
        """Read WHERE and its condition, if they come next."""
        return self.condition() if self.reader.accept_word("WHERE") else None

    def _order(self) -> tuple[str, bool] | None:
        """Read ORDER BY and its attribute, if they come next."""
        reader = self.reader
        if not reader.accept_word("ORDER"):
            return None
        reader.expect_word("BY")
        path, *deeper = self.path().elements
        falls = reader.accept_word("ASC", "DESC") == "DESC"
        if deeper or reader.at(","):
            raise ValidationException("ORDER BY takes one attribute of the key")
        return str(path), falls

    def _insert(self) -> Statement:
        """Read what stands behind INSERT."""
        reader = self.reader
        reader.expect_word("INTO")
        target = self._target(aliased=False)
        if not reader.accept_word("VALUE"):
            # AWS: whatever word stands between the table and VALUE is left over.
            if reader.names:
                reader.finish()
            reader.refuse()
        if not reader.at("{", "?"):
            raise malformed("Expected a map behind VALUE")
        given = self.members_of_map(ITEM) if reader.accept("{") else self.template(ROOT)
        item = self.named(given)
        return self._made("Insert", target, item=item)

    def _update(self) -> Statement:
        """Read what stands behind UPDATE."""
        target = self._target()
        actions = self._actions()
        where = self._where()
        return self._made(
            "Update", target, update=actions, where=where, returning=self._returning()
        )

    def _from_first(self) -> Statement:
        """Read an update whose condition stands before its changes."""
        target = self._target()
        where = self._where()
        actions = self._actions()
        return self._made(
            "Update", target, update=actions, where=where, returning=self._returning()
        )

    def _delete(self) -> Statement:
        """Read what stands behind DELETE."""
        self.reader.expect_word("FROM")
        target = self._target()
        where = self._where()
        returning = self._returning()
        if returning not in ("NONE", "ALL_OLD"):
            raise ValidationException("DELETE can return ALL OLD * only")
        return self._made("Delete", target, where=where, returning=returning)

    def _exists(self) -> Statement:
        """Read the check of a transaction: EXISTS and a SELECT in parentheses."""
        reader = self.reader
        reader.expect("(")
        reader.expect_word("SELECT")
        found = self._select("Exists")
        reader.expect(")")
        return found

    def _returning(self) -> str:
        """Read RETURNING and what is asked for, if they come next; return ``ReturnValues``."""
        reader = self.reader
        if not reader.accept_word("RETURNING"):
            return "NONE"
        what = reader.expect_word("ALL", "MODIFIED")
        when = reader.expect_word("OLD", "NEW")
        reader.expect("*")
        return f"{'ALL' if what == 'ALL' else 'UPDATED'}_{when}"

    def _actions(self) -> Update:
        """Read the clauses of an update."""
        reader = self.reader
        actions: list[Action] = []
        while word := reader.accept_word("SET", "REMOVE"):
            read = self._assignment if word == "SET" else self._removal
            actions.append(read())
            while reader.accept(","):
                actions.append(read())
        if not actions:
            reader.refuse()
        return Update(tuple(actions))

    def _removal(self) -> Action:
        """Read what a REMOVE takes away."""
        return Action("REMOVE", self.path())

    def _assignment(self) -> Action:
        """Read one assignment of a SET."""
        reader = self.reader
        path = self.path()
        reader.expect("=")
        if self.called() in _SET_FUNCTIONS:
            return self._set_action(path)
        left = self._source()
        if not reader.at("+", "-"):
            return Action("SET", path, left)
        return Action("SET", path, Arithmetic(reader.take().text, left, self._source()))

    def _set_action(self, path: Path) -> Action:
        """Read ``set_add`` or ``set_delete``: what it names must be what is assigned to."""
        reader = self.reader
        name = reader.take()
        function = name.text.upper()
        first, operands = self.operands_of(name)
        if len(operands) != 2:  # noqa: PLR2004 (the set, and what is added or taken)
            raise ValidationException(
                f"{function} must have exactly two arguments at {reader.place(name)}"
            )
        target, given = operands
        if target != path:
            raise ValidationException(
                f"The first argument to {function} must equal the assignment value"
                f" at {reader.place(name)}"
            )
        assert first is not None, "there are two arguments"
        place = reader.place(first)
        if not isinstance(given, ValueRef):
            raise no_set(function, place)
        self._sets.append(SetOperand(function, given.text, place))
        return Action(_SET_FUNCTIONS[name.text.lower()], path, given)

    def _source(self) -> Operand:
        """Read an operand of an assignment."""
        function = self.called()
        if function and function != "list_append":
            raise self.unrecognized()
        return self.function_call() if function else self.operand()


def no_set(function: str, place: str) -> ValidationException:
    """Return the error for what is added to a set, or taken from it, and is no set."""
    return ValidationException(
        f"The second argument to {function} must be a value with type SET at {place}"
    )
