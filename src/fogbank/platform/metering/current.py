"""The call that is in work: what every line that is logged during it says of it.

Rule: set by the gateway alone, once a call; tasks that a call starts inherit it. It is read when a
line is written, so that a call without a line pays for one assignment.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, NamedTuple, Protocol


class Scoped(Protocol):
    """Whose resources a call is about."""

    @property
    def account(self) -> str:
        """Return the account; '' while nobody knows."""
        ...


class InWork(Protocol):
    """A call, as far as lines tell of it."""

    request_id: str
    service: str
    operation: str

    ended: float
    """When it ended, by the monotonic clock; 0 while it goes on."""

    @property
    def scope(self) -> Scoped:
        """Return whose resources it is about."""
        ...


class Said(NamedTuple):
    """What a line says of the call in work."""

    request_id: str
    account: str
    operation: str
    """Such as ``s3:PutObject``."""


IN_WORK: Final[ContextVar[InWork | None]] = ContextVar("fogbank_in_work", default=None)


class Last:
    """The call of this process that ended last: what a step that was too long has been for.

    One place for all tasks, since steps come one after the other; a variable of each task's context
    costs every request a new map of that context.
    """

    __slots__ = ("call",)

    def __init__(self) -> None:
        self.call: InWork | None = None


LAST: Final = Last()


def find_said() -> Said | None:
    """Return what a line says of the call in work, or None outside of calls."""
    call = IN_WORK.get()
    if call is None:
        return None
    return Said(call.request_id, call.scope.account, f"{call.service}:{call.operation}")
