"""What a request asks for in expressions, compiled before anything is read.

Rule: AWS looks at the expressions of a request in a fixed order (update, condition, key
condition, filter, projection) and only then for placeholders that none of them used
(architect/dynalite, validations/index.js, measured against AWS).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.base.types import Request
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import legacy, paths
from fogbank.services.dynamodb.rules.expressions import (
    conditions,
    keyconditions,
    parser,
    projections,
    searchconditions,
    updates,
)
from fogbank.services.dynamodb.rules.expressions.conditions import BoundCondition
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerms
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders, placeholders_of
from fogbank.services.dynamodb.rules.expressions.projections import BoundProjection, ItemProjection
from fogbank.services.dynamodb.rules.expressions.searchconditions import SearchTerm
from fogbank.services.dynamodb.rules.expressions.updates import BoundUpdate

_PROJECTION = "ProjectionExpression"
_PLACEHOLDERS: Final = ("ExpressionAttributeNames", "ExpressionAttributeValues")


class Expressions(NamedTuple):
    """The expressions of one request; None where there is none."""

    update: BoundUpdate | None = None
    condition: BoundCondition | None = None
    key_terms: KeyTerms | None = None
    filter: BoundCondition | None = None
    projection: ItemProjection | None = None
    search: tuple[SearchTerm, ...] | None = None

    @property
    def nested_attributes(self) -> frozenset[str]:
        """Return the attributes that some expression enters by name or by index."""
        if self is NOTHING:
            return _NO_NAMES
        bound = (self.update, self.condition, self.filter, self.projection)
        touched: list[paths.Path] = [path for one in bound if one is not None for path in one.paths]
        return frozenset(str(path[0]) for path in touched if len(path) > 1)


class Parameters(NamedTuple):
    """What an operation can be asked in, in AWS's order."""

    expressions: tuple[str, ...]
    legacy: tuple[str, ...]
    """Parameters from before there were expressions; they cannot stand beside them."""
    members: frozenset[str]
    """All of these, and the placeholders."""

    @classmethod
    def of(cls, expressions: tuple[str, ...], legacy: tuple[str, ...]) -> Parameters:
        """Return what an operation can be asked in."""
        return cls(expressions, legacy, frozenset((*expressions, *legacy, *_PLACEHOLDERS)))


GET: Final = Parameters.of(("ProjectionExpression",), ("AttributesToGet",))
WRITE: Final = Parameters.of(("ConditionExpression",), ("Expected", "ConditionalOperator"))
UPDATE: Final = Parameters.of(
    ("UpdateExpression", "ConditionExpression"),
    ("AttributeUpdates", "Expected", "ConditionalOperator"),
)
QUERY: Final = Parameters.of(
    ("ProjectionExpression", "FilterExpression", "KeyConditionExpression"),
    ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"),
)
SCAN: Final = Parameters.of(
    ("ProjectionExpression", "FilterExpression"),
    ("AttributesToGet", "ScanFilter", "ConditionalOperator"),
)
SEARCH: Final = Parameters.of(("ProjectionExpression", "SearchConditionExpression"), ())
_CONDITIONS: Final = ("Expected", "QueryFilter", "ScanFilter")
NOTHING: Final = Expressions()
_NO_NAMES: Final[frozenset[str]] = frozenset()


def expressions_of(request: Request, parameters: Parameters) -> Expressions:
    """Return what a request asks for, whether in expressions or in the parameters before them.

    Raises:
        ValidationException: An expression is wrong, or a placeholder is undefined or unused.
    """
    if parameters.members.isdisjoint(request):
        return NOTHING
    given = [name for name in parameters.expressions if name in request]
    older = [name for name in parameters.legacy if name in request]
    if given and older:
        _require_one_style(request, given, older)
    _require_users(request, parameters.expressions, given)
    asked = _legacy(request, parameters) if older else NOTHING
    if not given:
        return asked
    placeholders = placeholders_of(request)
    compiled = Expressions(
        update=_update(request, placeholders),
        condition=_condition(request, "ConditionExpression", placeholders),
        key_terms=_key_terms(request, placeholders) or asked.key_terms,
        filter=_condition(request, "FilterExpression", placeholders),
        projection=_projection(request, placeholders),
        search=_search_terms(request, placeholders),
    )
    placeholders.require_used()
    return compiled


def _legacy(request: Request, parameters: Parameters) -> Expressions:
    """Return what a request asks for in the parameters from before there were expressions."""
    [kind] = [name for name in _CONDITIONS if name in parameters.legacy] or [None]
    found = None if kind is None else legacy.condition_of(request, kind)
    return Expressions(
        update=legacy.update_of(request),
        condition=found if kind == "Expected" else None,
        key_terms=legacy.key_terms_of(request),
        filter=None if kind == "Expected" else found,
        projection=legacy.projection_of(request),
    )


def _require_one_style(request: Request, given: list[str], older: list[str]) -> None:
    """Refuse expressions beside the parameters from before them.

    ``KeyConditions`` alone may stand beside a filter or a projection expression.
    """
    mixed = [
        name for name in older if name != "KeyConditions" or "KeyConditionExpression" in request
    ]
    if mixed:
        raise ValidationException(
            "Can not use both expression and non-expression parameters in the same request:"
            f" Non-expression parameters: {{{', '.join(mixed)}}}"
            f" Expression parameters: {{{', '.join(given)}}}"
        )


def _require_users(request: Request, allowed: tuple[str, ...], given: list[str]) -> None:
    """Refuse placeholders for expressions that are not there."""
    if "ExpressionAttributeNames" in request and not given:
        raise ValidationException(
            "ExpressionAttributeNames can only be specified when using expressions"
        )
    users = [name for name in allowed if name != _PROJECTION]
    if "ExpressionAttributeValues" in request and not set(users) & set(given):
        raise ValidationException(
            "ExpressionAttributeValues can only be specified when using expressions:"
            f" {' and '.join(users)} {'are' if len(users) > 1 else 'is'} null"
        )


def _update(request: Request, placeholders: Placeholders) -> BoundUpdate | None:
    text: str | None = request.get("UpdateExpression")
    return None if text is None else updates.bind(parser.parse_update(text), placeholders)


def _condition(request: Request, kind: str, placeholders: Placeholders) -> BoundCondition | None:
    text: str | None = request.get(kind)
    if text is None:
        return None
    return conditions.bind(parser.parse_condition(text, kind), placeholders, kind)


def _key_terms(request: Request, placeholders: Placeholders) -> KeyTerms | None:
    text: str | None = request.get(keyconditions.KIND)
    if text is None:
        return None
    tree = parser.parse_condition(text, keyconditions.KIND)
    return keyconditions.bind(tree, placeholders)


def _search_terms(request: Request, placeholders: Placeholders) -> tuple[SearchTerm, ...] | None:
    text: str | None = request.get(searchconditions.KIND)
    if text is None:
        return None
    tree = parser.parse_condition(text, searchconditions.KIND)
    return searchconditions.bind(tree, placeholders)


def _projection(request: Request, placeholders: Placeholders) -> BoundProjection | None:
    text: str | None = request.get(_PROJECTION)
    return None if text is None else projections.bind(parser.parse_projection(text), placeholders)
