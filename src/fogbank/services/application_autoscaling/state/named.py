"""Policies and scheduled actions alike: rows that lie by target and name, and are listed page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from fogbank.base.types import Request
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import Record, Table
from fogbank.services.application_autoscaling.rules import pages
from fogbank.services.application_autoscaling.schema import Place

_ROWS: Final = 200
"""Read at once."""
Key = tuple[str, str, str]
"""Resource, dimension and name."""


R = TypeVar("R", bound=Record)


class Query(NamedTuple):
    """Which rows a Describe operation asks for."""

    namespace: str
    begin: Key | None
    """Behind which row."""
    limit: int
    is_asked: Callable[[Place, str], bool]
    """Whether a row is asked for, by its place and name."""


def query_of(request: Request, names: str, most: int) -> Query:
    """Return what a request asks for.

    Args:
        request: The request.
        names: The member that holds the names.
        most: How many a page may hold.
    """
    resource: str | None = request.get("ResourceId")
    pages.require_dimension(request, [] if resource is None else [resource])
    after = pages.after_of(request, (str, str, str))
    begin: Key | None = None if after is None else (after[0], after[1], after[2])
    dimension: str | None = request.get("ScalableDimension")
    wanted: frozenset[str] = frozenset(request.get(names) or ())

    def is_asked(place: Place, name: str) -> bool:
        return (
            (resource is None or resource == place[1])
            and (dimension is None or dimension == place[2])
            and (not wanted or name in wanted)
        )

    return Query(request["ServiceNamespace"], begin, pages.limit_of(request, most), is_asked)


class Page(NamedTuple):
    """What a Describe operation tells."""

    rows: list[tuple[Place, Any]]
    token: str | None
    """Where the next page begins; None: this is the last."""


async def page_of(tr: Transaction, table: Table[R], query: Query) -> Page:
    """Return the next rows of a table that are asked for, by resource, dimension and name."""
    found: list[tuple[Place, Any]] = []
    at, namespace = query.begin, query.namespace
    while len(found) <= query.limit:
        some = await table.list(tr, namespace, limit=_ROWS, after=at)
        for key, row in some:
            place: Place = (namespace, str(key[0]), str(key[1]))
            if query.is_asked(place, str(key[2])):
                found.append((place, row))
        if len(some) < _ROWS:
            break
        last = some[-1][0]
        at = (str(last[0]), str(last[1]), str(last[2]))
    if len(found) <= query.limit:
        return Page(found, None)
    place, row = found[query.limit - 1]
    return Page(found[: query.limit], pages.token_of(place[1], place[2], row.name))
