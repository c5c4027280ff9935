"""What a statement is parsed into: it depends on nothing but the text, so that it can be kept.

Values stand behind names, as placeholders of expressions do (``rules/expressions/syntax``), and
``values`` holds what each stands for: a constant, a parameter, or a document with parameters in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fogbank.services.dynamodb.rules.expressions.syntax import Condition, Path, Update


@dataclass(frozen=True, slots=True)
class Parameter:
    """A ``?``, by its number from 0."""

    number: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A text, number, truth value or null of the statement, by its type."""

    kind: str
    content: str | bool


@dataclass(frozen=True, slots=True)
class Document:
    """A list (``L``), a map (``M``) or a set (``SS``, the kind of whose members decides)."""

    kind: str
    members: tuple[tuple[str, Template], ...]
    """Of lists and sets the names are empty."""


Template = Parameter | Constant | Document


@dataclass(frozen=True, slots=True)
class Column:
    """One thing that a SELECT asks for, and the name under which it is answered."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class SetOperand:
    """The set that ``set_add`` or ``set_delete`` takes, for the check of its type."""

    function: str
    value: str
    """The name that it stands behind."""
    place: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement."""

    kind: str
    """``Select``, ``Insert``, ``Update``, ``Delete`` or ``Exists``."""
    table: str
    index: str = ""
    columns: tuple[Column, ...] = ()
    """None of these: all attributes."""
    where: Condition | None = None
    order: tuple[str, bool] | None = None
    """The attribute that the answers are in the order of, and whether it falls."""
    item: str = ""
    """The name that the item of an INSERT stands behind."""
    update: Update | None = None
    sets: tuple[SetOperand, ...] = ()
    returning: str = "NONE"
    """``ReturnValues`` of the operation that does the same."""
    values: dict[str, Template] = field(default_factory=dict)
    parameters: int = 0
    """How many it takes."""
