"""Parsers: from the text of an expression to its tree, by recursive descent.

Rule: a parser depends on the text alone; placeholders are resolved when the tree is bound to a
request. Trees are kept by text, because clients send the same few expressions over and over.

Keywords are read in any case, functions only in lower case. A bare operand in parentheses is
still an operand: ``(a) = :v`` is legal, and so is ``((a) = :v)``.

Source: Amazon DynamoDB Developer Guide, "Condition and filter expressions, operators, and
functions" and "Using update expressions in DynamoDB".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from fogbank.services.dynamodb.quotas import IN_OPERANDS_MAX, LEVELS_MAX, LIST_INDEX_MAX
from fogbank.services.dynamodb.rules.expressions.reader import Reader
from fogbank.services.dynamodb.rules.expressions.reserved import RESERVED_WORDS
from fogbank.services.dynamodb.rules.expressions.syntax import (
    Action,
    Arithmetic,
    Between,
    Call,
    Comparison,
    Condition,
    Element,
    In,
    Junction,
    NameRef,
    Not,
    Operand,
    Path,
    Projection,
    Update,
    ValueRef,
)

CONDITION_FUNCTIONS: Final = frozenset(
    {
        "attribute_exists",
        "attribute_not_exists",
        "attribute_type",
        "begins_with",
        "contains",
        "size",
    }
)
UPDATE_FUNCTIONS: Final = frozenset({"if_not_exists", "list_append"})
_COMPARATORS: Final = ("=", "<>", "<", "<=", ">", ">=")
_BINDING: Final = {"OR": 1, "AND": 2}
"""How strongly a junction binds; NOT binds stronger, a comparison strongest."""
_KEYWORDS: Final = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN"})
_CLAUSES: Final = ("SET", "REMOVE", "ADD", "DELETE")
_TREES_KEPT: Final = 1_024


@lru_cache(_TREES_KEPT)
def parse_condition(text: str, kind: str) -> Condition:
    """Return the tree of a condition, filter or key condition expression.

    Args:
        text: The expression.
        kind: The parameter it was sent in, such as ``FilterExpression``; errors name it.

    Raises:
        ValidationException: The text is no such expression.
    """
    reader = Reader(text, kind)
    tree = _condition(reader)
    _require_condition(reader, tree)
    reader.finish()
    assert not isinstance(tree, Path | ValueRef), "a bare operand ends in a syntax error"
    return tree


@lru_cache(_TREES_KEPT)
def parse_update(text: str) -> Update:
    """Return the tree of an update expression; raise ``ValidationException`` if it is none."""
    reader = Reader(text, "UpdateExpression")
    actions: list[Action] = []
    seen: set[str] = set()
    while reader.token.type != "end":
        clause = reader.word()
        if clause not in _CLAUSES:
            reader.refuse()
        reader.take()
        if clause in seen:
            reader.note(
                "section",
                f'The "{clause}" section can only be used once in an update expression;',
            )
        seen.add(clause)
        actions.append(_action(reader, clause))
        while reader.accept(","):
            actions.append(_action(reader, clause))
    reader.finish()
    return Update(tuple(actions))


@lru_cache(_TREES_KEPT)
def parse_projection(text: str) -> Projection:
    """Return the tree of a projection expression; raise ``ValidationException`` if it is none."""
    reader = Reader(text, "ProjectionExpression")
    paths = [_path(reader)]
    while reader.accept(","):
        paths.append(_path(reader))
    reader.finish()
    return Projection(tuple(paths))


def _path(reader: Reader) -> Path:
    """Read a document path."""
    return _path_from(reader, [_name(reader)])


def _path_from(reader: Reader, elements: list[Element]) -> Path:
    """Read what follows the first elements of a document path."""
    while reader.at(".", "["):
        if reader.accept("."):
            elements.append(_name(reader))
        else:
            reader.expect("[")
            elements.append(_index(reader))
            reader.expect("]")
    if len(elements) > LEVELS_MAX:
        reader.note(
            "path",
            f"The document path has too many nesting levels; nesting levels: {len(elements)}",
        )
    return Path(tuple(elements))


def _name(reader: Reader) -> Element:
    """Read one name of a path."""
    if reader.token.type == "name_ref":
        return NameRef(reader.take().text)
    if reader.token.type != "name":
        reader.refuse()
    name = reader.take().text
    if name.upper() in RESERVED_WORDS:
        reader.note("reserved", f"Attribute name is a reserved keyword; reserved keyword: {name}")
    return name


def _index(reader: Reader) -> int:
    """Read the index of a list's member."""
    if reader.token.type != "index":
        reader.refuse()
    text = reader.take().text
    if len(text) > len(str(LIST_INDEX_MAX)) or int(text) > LIST_INDEX_MAX:
        reader.note("path", f"List index is not within the allowable range; index: [{text}]")
        return LIST_INDEX_MAX
    return int(text)


def _value(reader: Reader) -> ValueRef:
    """Read a placeholder for a value."""
    if reader.token.type != "value_ref":
        reader.refuse()
    return ValueRef(reader.take().text)


def _operand(reader: Reader, functions: frozenset[str]) -> Operand:
    """Read a path, a placeholder or a call, in as many parentheses as there are."""
    if reader.at("("):
        begin = reader.open()
        operand = _operand(reader, functions)
        reader.close_group(begin)
        return _continued(reader, operand)
    if reader.token.type == "value_ref":
        return _value(reader)
    if reader.word() in _KEYWORDS:
        reader.refuse()
    return _call(reader, functions) if reader.called() else _path(reader)


def _continued(reader: Reader, operand: Operand) -> Operand:
    """Read the rest of a path that began in parentheses: ``(a).b``."""
    if isinstance(operand, Path) and reader.at(".", "["):
        return _path_from(reader, list(operand.elements))
    return operand


def _call(reader: Reader, functions: frozenset[str]) -> Call:
    """Read a call; what it may be called with is looked at when values are known."""
    name = reader.take().text
    if name not in functions:
        reader.note("function", _unknown_function(name))
    operands = _operands(reader, functions)
    for operand in operands:
        # AWS: of the functions only size and if_not_exists may stand inside another one
        # (scylladb test/alternator, test_update_expression_function_nesting).
        if isinstance(operand, Call) and operand.function not in ("size", "if_not_exists"):
            _note_misuse(reader, operand)
    return Call(name, operands)


def _operands(reader: Reader, functions: frozenset[str]) -> tuple[Operand, ...]:
    """Read operands, one at least, in parentheses."""
    reader.open()
    operands = [_operand(reader, functions)]
    while reader.accept(","):
        operands.append(_operand(reader, functions))
    reader.close()
    return tuple(operands)


def _unknown_function(name: str) -> str:
    """Return the message for a function that this sort of expression does not have."""
    if name in UPDATE_FUNCTIONS:
        return f"The function is not allowed in a condition expression; function: {name}"
    if name in CONDITION_FUNCTIONS:
        return f"The function is not allowed in an update expression; function: {name}"
    return f"Invalid function name; function: {name}"


def _note_misuse(reader: Reader, call: Call) -> None:
    """Note a function that stands where its answer is of no use."""
    reader.note(
        "misuse",
        "The function is not allowed to be used this way in an expression;"
        f" function: {call.function}",
    )


def _condition(reader: Reader, binding: int = 1) -> Condition | Operand:
    """Read conditions joined by junctions that bind at least so strongly.

    Before a closing parenthesis the answer may be a bare operand: whoever opened it decides.
    """
    left = _negation(reader)
    if isinstance(left, Path | ValueRef | Call) and reader.at(")"):
        return left
    while (strength := _BINDING.get(reader.word(), 0)) >= binding:
        operator = reader.take().text.upper()
        reader.count_operator()
        terms = (left, _condition(reader, strength + 1))
        left = _junction(operator, [_require_condition(reader, term) for term in terms])
    return left


def _junction(operator: str, terms: list[Condition]) -> Junction:
    """Return the junction of two terms; a chain of one operator is one junction."""
    left, right = terms
    if isinstance(left, Junction) and left.operator == operator:
        return Junction(operator, (*left.conditions, right))
    return Junction(operator, (left, right))


def _require_condition(reader: Reader, tree: Condition | Operand) -> Condition:
    """Return a tree that answers a truth value, or refuse it."""
    if isinstance(tree, Path | ValueRef):
        reader.refuse()
    if isinstance(tree, Call) and tree.function == "size":
        _note_misuse(reader, tree)
    return tree


def _negation(reader: Reader) -> Condition | Operand:
    """Read a condition under any number of NOTs."""
    negations = 0
    while reader.accept_word("NOT"):
        reader.count_operator()
        negations += 1
    tree = _primary(reader)
    for _ in range(negations):
        tree = Not(_require_condition(reader, tree))
    return tree


def _primary(reader: Reader) -> Condition | Operand:
    """Read one comparison, test or group."""
    if not reader.at("("):
        return _comparison(reader, _compared(reader))
    begin = reader.open()
    inner = _condition(reader)
    reader.close_group(begin)
    if isinstance(inner, Path | ValueRef | Call):
        return _comparison(reader, _continued(reader, inner))
    return inner


def _comparison(reader: Reader, left: Operand) -> Condition | Operand:
    """Read what an operand is compared with; a call may stand alone."""
    if reader.at(*_COMPARATORS):
        operator = reader.take().text
        reader.count_operator()
        right = _compared(reader)
        _require_comparable(reader, left, right)
        return Comparison(operator, left, right)
    if reader.accept_word("BETWEEN"):
        return _between(reader, left)
    if reader.accept_word("IN"):
        return _in(reader, left)
    if not isinstance(left, Call) and not (reader.in_parentheses and reader.at(")")):
        reader.refuse()
    return left


def _between(reader: Reader, operand: Operand) -> Between:
    """Read the bounds of a BETWEEN."""
    reader.count_operator()
    low = _compared(reader)
    if not reader.accept_word("AND"):
        reader.refuse()
    high = _compared(reader)
    _require_comparable(reader, operand, low, high)
    return Between(operand, low, high)


def _in(reader: Reader, operand: Operand) -> In:
    """Read the choices of an IN."""
    reader.count_operator()
    choices = _operands(reader, CONDITION_FUNCTIONS)
    if len(choices) > IN_OPERANDS_MAX:
        reader.note(
            "operators",
            "The IN operator is provided with too many operands;"
            f" number of operands: {len(choices)}",
        )
    _require_comparable(reader, operand, *choices)
    return In(operand, choices)


def _compared(reader: Reader) -> Operand:
    """Read an operand of a comparison."""
    return _operand(reader, CONDITION_FUNCTIONS)


def _require_comparable(reader: Reader, *operands: Operand) -> None:
    """Note functions other than size: they answer nothing that could be compared."""
    for operand in operands:
        if isinstance(operand, Call) and operand.function != "size":
            _note_misuse(reader, operand)


def _action(reader: Reader, clause: str) -> Action:
    """Read one action of a clause."""
    path = _path(reader)
    if clause == "REMOVE":
        return Action(clause, path)
    if clause != "SET":
        return Action(clause, path, _value(reader))
    reader.expect("=")
    if not reader.at("("):
        return Action(clause, path, _source(reader))
    begin = reader.open()
    source = _source(reader)
    reader.close_group(begin)
    if not isinstance(source, Arithmetic):
        source = _sum(reader, _continued(reader, source))
    return Action(clause, path, source)


def _source(reader: Reader) -> Operand | Arithmetic:
    """Read what a SET action assigns."""
    return _sum(reader, _operand(reader, UPDATE_FUNCTIONS))


def _sum(reader: Reader, left: Operand) -> Operand | Arithmetic:
    """Read what is added to an operand or taken from it: one operand at most."""
    if not reader.at("+", "-"):
        return left
    operator = reader.take().text
    reader.count_operator()
    return Arithmetic(operator, left, _operand(reader, UPDATE_FUNCTIONS))
