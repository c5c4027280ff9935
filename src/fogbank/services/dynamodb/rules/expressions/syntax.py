"""The trees that expressions are parsed into, and how they are written out again.

A tree holds placeholders (``#name``, ``:value``) as they stand in the text: it depends on nothing
but the text, so that it can be kept for the next request that sends the same.

Source: Amazon DynamoDB Developer Guide, "Using expressions in DynamoDB".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class NameRef:
    """A placeholder for an attribute's name, with its ``#``."""

    text: str


Element = str | NameRef | int
"""A step of a path: into a map by name, or into a list by index."""


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: ``a.#b[3]``."""

    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class ValueRef:
    """A placeholder for a value, with its ``:``."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its operands: ``size(a)``."""

    function: str
    operands: tuple[Operand, ...]


Operand = Path | ValueRef | Call


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands and ``=``, ``<>``, ``<``, ``<=``, ``>`` or ``>=``."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """``operand BETWEEN low AND high``: both ends count."""

    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    """``operand IN (choice, choice)``."""

    operand: Operand
    choices: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """``NOT condition``."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions, two at least, joined by ``AND`` or by ``OR``."""

    operator: str
    conditions: tuple[Condition, ...]


Condition = Comparison | Between | In | Not | Junction | Call


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left + right`` or ``left - right``."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Action:
    """One change of an update.

    ``SET`` has a source; ``ADD`` and ``DELETE`` have a placeholder; ``REMOVE`` has none.
    """

    clause: str
    path: Path
    source: Operand | Arithmetic | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The actions of an update expression, in the order in which they were written."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Projection:
    """The paths that a projection expression asks for."""

    paths: tuple[Path, ...]


Tree = Condition | Operand | Arithmetic | None
Leaf = TypeVar("Leaf", Path, ValueRef)


def leaves_in(tree: Tree, leaf: type[Leaf]) -> Iterator[Leaf]:
    """Yield the paths, or the placeholders, of a tree from left to right."""
    if isinstance(tree, leaf):
        yield tree
        return
    for part in parts_of(tree):
        yield from leaves_in(part, leaf)


def parts_of(tree: Tree) -> tuple[Tree, ...]:
    """Return the trees that a tree is made of, from left to right."""
    parts: tuple[Tree, ...] = ()
    match tree:
        case Comparison(_, left, right) | Arithmetic(_, left, right):
            parts = (left, right)
        case Between(operand, low, high):
            parts = (operand, low, high)
        case In(operand, choices):
            parts = (operand, *choices)
        case Not(inner):
            parts = (inner,)
        case Junction(_, inner) | Call(_, inner):
            parts = inner
        case Path() | ValueRef() | None:
            pass
    return parts


def operand_text(operand: Operand) -> str:
    """Return an operand as an expression writes it."""
    if isinstance(operand, ValueRef):
        return operand.text
    if isinstance(operand, Call):
        return f"{operand.function}({', '.join(map(operand_text, operand.operands))})"
    text = ""
    for element in operand.elements:
        if isinstance(element, int):
            text += f"[{element}]"
        else:
            text += "." * bool(text) + (element if isinstance(element, str) else element.text)
    return text


def condition_text(condition: Condition) -> str:
    """Return a condition as an expression writes it, with parentheses only where they matter."""
    match condition:
        case Comparison(operator, left, right):
            return f"{operand_text(left)} {operator} {operand_text(right)}"
        case Between(operand, low, high):
            bounds = f"{operand_text(low)} AND {operand_text(high)}"
            return f"{operand_text(operand)} BETWEEN {bounds}"
        case In(operand, choices):
            return f"{operand_text(operand)} IN ({', '.join(map(operand_text, choices))})"
        case Not(inner):
            return f"NOT {_grouped(inner)}"
        case Junction(operator, conditions):
            return f" {operator} ".join(map(_grouped, conditions))
        case Call():
            return operand_text(condition)


def _grouped(condition: Condition) -> str:
    """Return a part of a condition, in parentheses if it joins conditions itself."""
    text = condition_text(condition)
    return f"({text})" if isinstance(condition, Junction) else text


def update_text(update: Update) -> str:
    """Return an update as an expression writes it."""
    clauses: dict[str, list[str]] = {}
    for action in update.actions:
        clauses.setdefault(action.clause, []).append(_action_text(action))
    return " ".join(f"{clause} {', '.join(parts)}" for clause, parts in clauses.items())


def _action_text(action: Action) -> str:
    """Return one action without its clause's keyword."""
    target = operand_text(action.path)
    if action.source is None:
        return target
    if isinstance(action.source, Arithmetic):
        left, right = operand_text(action.source.left), operand_text(action.source.right)
        return f"{target} = {left} {action.source.operator} {right}"
    source = operand_text(action.source)
    return f"{target} = {source}" if action.clause == "SET" else f"{target} {source}"


def projection_text(projection: Projection) -> str:
    """Return a projection as an expression writes it."""
    return ", ".join(map(operand_text, projection.paths))
