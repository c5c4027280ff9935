"""Updates: bound to the placeholders of a request, and then applied to an item.

Theory: every source is read from the item as it was before the update, so that the order of the
actions does not matter and ``REMOVE a SET b = a`` moves a value. The changes are made on a draft
that shares with the old item what no action touches. Indexes count in the old list too: a removed
member only leaves a mark, members set behind the end wait, and both are settled when all actions
are done.

Source: Amazon DynamoDB Developer Guide, "Using update expressions in DynamoDB".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import numbers, paths, values
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders
from fogbank.services.dynamodb.rules.expressions.projections import tree_of
from fogbank.services.dynamodb.rules.expressions.reader import invalid
from fogbank.services.dynamodb.rules.expressions.syntax import (
    Action,
    Arithmetic,
    Call,
    Operand,
    Path,
    Update,
    ValueRef,
    leaves_in,
)
from fogbank.services.dynamodb.rules.values import SET_TYPES, Item, Value, type_of

KIND: Final = "UpdateExpression"
Source = Callable[[Item], Value]

_LONG_NAMES: Final = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "NULL": "NULL",
    "BOOL": "BOOLEAN",
    "L": "LIST",
    "M": "MAP",
}
_WRONG_TYPE: Final = "An operand in the update expression has an incorrect data type"
_WRONG_TYPE_LEGACY: Final = "Type mismatch for attribute to update"
_REMOVED: Final[Value] = {}
"""Stands where a list's member was until the draft is settled; no value is empty."""


class BoundAction(NamedTuple):
    """One change that can be made to a draft; REMOVE has no source."""

    clause: str
    path: paths.Path
    source: Source | None = None


class BoundUpdate(NamedTuple):
    """An update that can be applied to an item."""

    actions: tuple[BoundAction, ...]
    tree: paths.PathTree
    """The paths it changes."""
    paths: tuple[paths.Path, ...]
    """Every path it changes or reads."""
    type_fault: str = _WRONG_TYPE
    """What is said when ADD or DELETE meet a stored value of another type."""

    @property
    def attributes(self) -> tuple[str | int, ...]:
        """Return the attributes that it changes or enters."""
        return tuple(action.path[0] for action in self.actions)

    @property
    def creates(self) -> bool:
        """Return whether applying it to no item makes one.

        AWS: an update that only takes away leaves a missing item missing, and one that does
        nothing makes it (scylladb test/alternator, test_update_item_non_existent).
        """
        clauses = {action.clause for action in self.actions}
        return not clauses or bool(clauses & {"SET", "ADD"})


def bind(update: Update, placeholders: Placeholders) -> BoundUpdate:
    """Return an update that can be applied.

    Raises:
        ValidationException: A placeholder is not defined, two paths meet, or an operand can
            never be right.
    """
    # AWS: names are looked up before values, and both before anything else
    # (architect/dynalite, db/updateParser.pegjs, measured against AWS).
    touched = tuple(
        placeholders.path(path, KIND)
        for action in update.actions
        for path in (action.path, *leaves_in(action.source, Path))
    )
    for action in update.actions:
        for ref in leaves_in(action.source, ValueRef):
            placeholders.value(ref, KIND)
    tree = tree_of([placeholders.path(action.path, KIND) for action in update.actions], KIND)
    for action in update.actions:
        _require_operand(action, placeholders)
    return BoundUpdate(_bound_actions(update, placeholders), tree, touched)


def bind_legacy(update: Update, placeholders: Placeholders) -> BoundUpdate:
    """Return an update that was translated from ``AttributeUpdates``: one action per attribute."""
    touched = tuple(placeholders.path(action.path, KIND) for action in update.actions)
    actions = _bound_actions(update, placeholders)
    return BoundUpdate(actions, tree_of(touched, KIND), touched, _WRONG_TYPE_LEGACY)


def _bound_actions(update: Update, placeholders: Placeholders) -> tuple[BoundAction, ...]:
    """Return the actions of an update with the functions of what they need."""
    binder = _Binder(placeholders)
    return tuple(
        BoundAction(
            action.clause, placeholders.path(action.path, KIND), binder.source(action.source)
        )
        for action in update.actions
    )


def _require_operand(action: Action, placeholders: Placeholders) -> None:
    """Refuse to add or delete a value that is no set, or, for ADD, no number."""
    if action.clause not in ("ADD", "DELETE"):
        return
    assert isinstance(action.source, ValueRef), "the parser reads a placeholder here"
    kind = type_of(placeholders.value(action.source, KIND))
    if kind not in SET_TYPES and not (action.clause == "ADD" and kind == "N"):
        raise invalid(
            KIND,
            "Incorrect operand type for operator or function;"
            f" operator: {action.clause}, operand type: {_LONG_NAMES[kind]}",
        )


class _Binder:
    """Binds the sources of an update."""

    __slots__ = ("_placeholders",)

    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders = placeholders

    def source(self, source: Operand | Arithmetic | None) -> Source | None:
        """Return the function of what an action needs, if it needs anything."""
        if source is None:
            return None
        return self._sum(source) if isinstance(source, Arithmetic) else self._operand(source)

    def _sum(self, source: Arithmetic) -> Source:
        """Return the function of a sum or a difference."""
        for operand in (source.left, source.right):
            self._require_type(source.operator, operand, "N")
        left, right = self._operand(source.left), self._operand(source.right)
        compute = numbers.add if source.operator == "+" else numbers.subtract

        def total(item: Item) -> Value:
            one, other = _content(left(item), "N"), _content(right(item), "N")
            return {"N": compute(one, other)}

        return total

    def _operand(self, operand: Operand) -> Source:
        """Return the function of an operand."""
        if isinstance(operand, ValueRef):
            value = self._placeholders.value(operand, KIND)
            return lambda _item: value
        if isinstance(operand, Path):
            path = self._placeholders.path(operand, KIND)
            return lambda item: _require_found(paths.find(item, path))
        self._require_count(operand)
        first, second = operand.operands
        if operand.function == "if_not_exists":
            return self._if_not_exists(first, second)
        for inner in operand.operands:
            self._require_type("list_append", inner, "L")
        left, right = self._operand(first), self._operand(second)
        return lambda item: {"L": [*_content(left(item), "L"), *_content(right(item), "L")]}

    def _if_not_exists(self, first: Operand, second: Operand) -> Source:
        """Return the function of ``if_not_exists``."""
        if not isinstance(first, Path):
            raise invalid(
                KIND,
                "Operator or function requires a document path;"
                " operator or function: if_not_exists",
            )
        path, otherwise = self._placeholders.path(first, KIND), self._operand(second)

        def found_or_other(item: Item) -> Value:
            found = paths.find(item, path)
            return otherwise(item) if found is None else found

        return found_or_other

    def _require_count(self, call: Call) -> None:
        """Refuse a function without two operands: both functions of updates have two."""
        if len(call.operands) != 2:  # noqa: PLR2004 (left and right)
            raise invalid(
                KIND,
                "Incorrect number of operands for operator or function; operator or function:"
                f" {call.function}, number of operands: {len(call.operands)}",
            )

    def _require_type(self, word: str, operand: Operand, wanted: str) -> None:
        """Refuse a placeholder of another type than an operator takes."""
        if isinstance(operand, ValueRef):
            kind = type_of(self._placeholders.value(operand, KIND))
            if kind != wanted:
                raise invalid(
                    KIND,
                    "Incorrect operand type for operator or function;"
                    f" operator or function: {word}, operand type: {kind}",
                )


def _require_found(value: Value | None) -> Value:
    """Return a value that an expression reads, or refuse the update."""
    if value is None:
        raise ValidationException(
            "The provided expression refers to an attribute that does not exist in the item"
        )
    return value


def _content(value: Value, kind: str, fault: str = _WRONG_TYPE) -> Any:
    """Return the content of a value of the type that an operator takes, or refuse the update."""
    if kind not in value:
        raise ValidationException(fault)
    return value[kind]


def applied(update: BoundUpdate | None, old: Item | None, key: Item) -> Item | None:
    """Return the item as an update leaves it, or None if there is none before and after.

    Args:
        update: What to change; None changes nothing, but makes an item of a key.
        old: The item, which stays as it is, or None if there is none.
        key: Its key.

    Raises:
        ValidationException: A path leads nowhere, or a stored value has the wrong type.
    """
    if update is None:
        return key if old is None else old
    new = _changed(update, key if old is None else old, exists=old is not None)
    return new if update.creates or old is not None else None


def _changed(update: BoundUpdate, item: Item, *, exists: bool) -> Item:
    """Return an item, or the key of a missing one, as an update leaves it."""
    sources = [action.source and action.source(item) for action in update.actions]
    draft = _Draft(item)
    for action, value in zip(update.actions, sources, strict=True):
        if value is None:
            # AWS: removing from a missing item is silent even where the same path would be an
            # error in an item (scylladb test/alternator,
            # test_nested_attribute_remove_from_missing_item).
            if exists:
                draft.remove(action.path)
        elif action.clause == "SET":
            draft.put(action.path, value)
        elif action.clause == "ADD":
            old = draft.find(action.path)
            draft.put(action.path, _sum_of(old, value, update.type_fault))
        else:
            old = draft.find(action.path)
            draft.replace(action.path, _rest_of(old, value, update.type_fault))
    return draft.settled()


def _sum_of(old: Value | None, value: Value, fault: str) -> Value:
    """Return what ADD makes of a value: a sum, or a union; of lists, a longer list."""
    if old is None:
        return value
    [(kind, content)] = value.items()
    stored = _content(old, kind, fault)
    if kind == "N":
        return {kind: numbers.add(stored, content)}
    if kind == "L":
        return {kind: [*stored, *content]}
    members = set(stored)
    return {kind: [*stored, *(member for member in content if member not in members)]}


def _rest_of(old: Value | None, value: Value, fault: str) -> Value | None:
    """Return what DELETE leaves of a set, or None if that is nothing."""
    if old is None:
        return None
    [(kind, content)] = value.items()
    taken = set(content)
    rest = [member for member in _content(old, kind, fault) if member not in taken]
    return {kind: rest} if rest else None


class _Draft:
    """An item on its way to being another one; the attributes it enters are its own copies."""

    __slots__ = ("_appended", "_item", "_lists", "_own")

    def __init__(self, item: Item) -> None:
        self._item = dict(item)
        self._own: set[str] = set()
        self._lists: dict[int, list[Value]] = {}
        self._appended: dict[int, list[tuple[int, Value]]] = {}

    def find(self, path: paths.Path) -> Value | None:
        """Return the value at a path, or None; refuse a path whose parent is missing."""
        return paths.member_of(self._parent(path), path[-1])

    def _parent(self, path: paths.Path) -> Value:
        """Return the list or map that the last step of a path enters."""
        root = path[0]
        assert isinstance(root, str), "a path begins with a name"
        if len(path) == 1:
            return {"M": self._item}
        if root not in self._own and root in self._item:
            self._item[root] = values.copy_of(self._item[root])
            self._own.add(root)
        parent = paths.find(self._item, path[:-1])
        if parent is None or ("L" if isinstance(path[-1], int) else "M") not in parent:
            raise ValidationException(
                "The document path provided in the update expression is invalid for update"
            )
        return parent

    def put(self, path: paths.Path, value: Value) -> None:
        """Set the value at a path; behind the end of a list it is appended."""
        parent, step = self._parent(path), path[-1]
        if len(path) > 1:
            values.require_level(len(path) - 1 + values.levels_of(value))
        if isinstance(step, str):
            parent["M"][step] = value
        elif step < len(parent["L"]):
            parent["L"][step] = value
        else:
            members = self._touched(parent)
            self._appended.setdefault(id(members), []).append((step, value))

    def remove(self, path: paths.Path) -> None:
        """Remove the value at a path, if there is one."""
        parent, step = self._parent(path), path[-1]
        if isinstance(step, str):
            parent["M"].pop(step, None)
        elif step < len(parent["L"]):
            self._touched(parent)[step] = _REMOVED

    def replace(self, path: paths.Path, value: Value | None) -> None:
        """Set the value at a path, or remove it."""
        if value is None:
            self.remove(path)
        else:
            self.put(path, value)

    def _touched(self, parent: Value) -> list[Value]:
        """Return the members of a list that is to be settled."""
        members: list[Value] = parent["L"]
        self._lists[id(members)] = members
        return members

    def settled(self) -> Item:
        """Return the item after its lists have closed their gaps and grown."""
        for key, members in self._lists.items():
            members[:] = [member for member in members if member is not _REMOVED]
            appended = sorted(self._appended.get(key, ()), key=lambda entry: entry[0])
            members.extend(value for _, value in appended)
        return self._item
