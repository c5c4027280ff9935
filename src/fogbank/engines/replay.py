"""What one run of a body made, and in what a second run of it on the same rows differs.

Rule: a body touches its transaction and values and nothing else, so that two runs over the same
rows write, append, answer and raise the same. A body that draws an id, counts in a variable of its
caller or gathers into a list of it does not: on an engine that runs it again, the client would see
what a transaction wrote that never was.

Theory: the determinism check of simulated engines (FoundationDB, TigerBeetle), made small: the
outcome is frozen into plain values before the second run can change it, then compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple, cast

from fogbank.engines.bodies import PendingEntry

_PLAIN: Final = (bytes, str, int, float, bool, type(None))
_DEPTH_MAX: Final = 32


class BodyImpureError(RuntimeError):
    """A body did not do the same when it ran again on the same rows."""


class Outcome(NamedTuple):
    """What one run of a body made, in plain values that no later run changes."""

    writes: Mapping[bytes, bytes | None]
    entries: Sequence[tuple[bytes, bytes]]
    answer: object
    """What it returned, frozen, or the error that it raised."""


def outcome_of(
    writes: Mapping[bytes, bytes | None],
    pendings: Sequence[PendingEntry],
    answered: object,
    raised: Exception | None,
) -> Outcome:
    """Return the outcome of one run.

    Args:
        writes: Values by key.
        pendings: Entries that it appended, in order.
        answered: What it returned.
        raised: What it raised instead.
    """
    entries = tuple((each.prefix, each.value) for each in pendings)
    answer = frozen(answered) if raised is None else (type(raised), str(raised))
    return Outcome(dict(writes), entries, answer)


def frozen(value: Any, depth: int = 0) -> object:
    """Return plain values for what can be compared; of anything else, its type."""
    if isinstance(value, _PLAIN):
        return value
    if depth == _DEPTH_MAX:
        return cast("object", type(value))

    def inner(each: Any) -> object:
        return frozen(each, depth + 1)

    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return tuple((inner(key), inner(item)) for key, item in items)
    if isinstance(value, AbstractSet):
        return frozenset(inner(each) for each in cast("AbstractSet[Any]", value))
    if isinstance(value, Sequence):
        return tuple(inner(each) for each in cast("Sequence[Any]", value))
    members = (inner(getattr(value, name, None)) for name in _fields_of(value))
    return (cast("object", type(value)), *members)


def _fields_of(value: object) -> tuple[str, ...]:
    """Return the fields of a record (msgspec), a dataclass or an appended entry."""
    if isinstance(value, PendingEntry):
        return ("prefix", "value")
    for names in ("__struct_fields__", "__dataclass_fields__"):
        if (named := getattr(value, names, None)) is not None:
            return tuple(named)
    return ()


def require_same(name: str, first: Outcome, second: Outcome) -> None:
    """Raise unless two runs over the same rows did the same.

    Args:
        name: The body, as its error calls it.
        first: What the first run made.
        second: What the second made.

    Raises:
        BodyImpureError: They differ; it says in what.
    """
    for part in Outcome._fields:
        one, other = getattr(first, part), getattr(second, part)
        if one != other:
            raise BodyImpureError(
                f"{name} is not pure: its {part} were {one!r} and, run again on the same rows,"
                f" {other!r}; a body touches its transaction and values and nothing else"
            )
