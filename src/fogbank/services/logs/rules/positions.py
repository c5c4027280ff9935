"""Places between events, and the tokens that name them.

A position is the time of an event, the stamp of the commit that stored it, and its number in the
row: the order in which events are told. A token of GetLogEvents or FilterLogEvents is a direction
and a position, one of a listing a name; the gateway seals them, so that nobody takes them apart.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from fogbank.services.logs.errors import InvalidParameterException

_STREAM_TOKEN: Final = re.compile(r"([fb])/(\d{14})(\d{30})(\d{12})(/s)?", re.ASCII)


class Position(NamedTuple):
    """The place of an event in the order of time."""

    time_ms: int
    stamp: int
    number: int
    """In its row."""

    @property
    def digits(self) -> str:
        """Return 56 digits that order as positions do; AWS's event ids have as many."""
        return f"{self.time_ms:014d}{self.stamp:030d}{self.number:012d}"


class Edge(NamedTuple):
    """Where reading goes on, and in which direction."""

    position: Position
    descending: bool


def invalid_token() -> InvalidParameterException:
    """Return the error for a token that we did not give."""
    return InvalidParameterException("The specified nextToken is invalid.")


def stream_token(position: Position, direction: str) -> str:
    """Return a token of GetLogEvents; the direction is ``f`` or ``b``."""
    return f"{direction}/{position.digits}/s"


def edge_of_stream_token(token: str) -> Edge:
    """Return what a token of GetLogEvents says."""
    match = _STREAM_TOKEN.fullmatch(token)
    if match is None:
        raise invalid_token()
    return Edge(Position(int(match[2]), int(match[3]), int(match[4])), match[1] == "b")


def filter_token(edge: Edge) -> str:
    """Return a token of FilterLogEvents."""
    return stream_token(edge.position, "b" if edge.descending else "f")


def edge_of_filter_token(token: str) -> Edge:
    """Return what a token of FilterLogEvents says."""
    return edge_of_stream_token(token)


def name_token(name: str) -> str:
    """Return the token of a listing that goes on behind a name."""
    return f"n/{name}"


def name_of_token(token: str) -> str:
    """Return the name behind which a listing goes on."""
    if not token.startswith("n/"):
        raise invalid_token()
    return token.removeprefix("n/")
