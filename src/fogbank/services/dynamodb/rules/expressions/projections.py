"""Projections: the part of an item that a request asks for.

Source: Amazon DynamoDB Developer Guide, "Using projection expressions in DynamoDB".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import paths
from fogbank.services.dynamodb.rules.expressions.placeholders import Placeholders
from fogbank.services.dynamodb.rules.expressions.reader import invalid
from fogbank.services.dynamodb.rules.expressions.syntax import Projection
from fogbank.services.dynamodb.rules.values import Item

KIND = "ProjectionExpression"


class ItemProjection(Protocol):
    """What can be shown of an item, whatever asked for it."""

    @property
    def paths(self) -> tuple[paths.Path, ...]:
        """Return the paths that are looked at."""
        ...

    def of(self, item: Item) -> Item:
        """Return the part of an item."""
        ...


class BoundProjection(NamedTuple):
    """A projection that can be applied to items."""

    tree: paths.PathTree
    paths: tuple[paths.Path, ...]

    def of(self, item: Item) -> Item:
        """Return the part of an item."""
        return paths.cut(item, self.tree)


def bind(projection: Projection, placeholders: Placeholders) -> BoundProjection:
    """Return a projection that can be applied; its paths may not meet."""
    resolved = tuple(placeholders.path(path, KIND) for path in projection.paths)
    return BoundProjection(tree_of(resolved, KIND), resolved)


def tree_of(resolved: Sequence[paths.Path], kind: str) -> paths.PathTree:
    """Return the tree of the paths of an expression; errors name its kind."""
    try:
        return paths.tree_of(resolved)
    except ValidationException as error:
        raise invalid(kind, error.message) from None
