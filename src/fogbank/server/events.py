"""Events on their way, as operators ask for them: traces and dead letters.

The same requests answer ``fogbank trace`` and ``fogbank dead-letters`` over the control socket of a
running server and in a command's own process on a directory that no server uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.platform.bus import deadletters, trace
from fogbank.platform.bus.deadletters import Kept
from fogbank.platform.store.engine import Store
from fogbank.server.control import Control, ControlError, Send

PAGE: Final = 100


class TraceArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose way is wanted: an event, or what caused or became one."""

    event: str


class ListArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters are wanted; empty: all."""

    target: str = ""


class LetterArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One dead letter."""

    id: str


class Events:
    """Answers operators' questions about events.

    Args:
        stores: The system subspaces of every store, by number: there traces and dead letters lie.
        clock: The time.
    """

    def __init__(self, stores: Sequence[Store], clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    def controls(self) -> list[Control]:
        """Return the requests of operators about events."""
        return [
            Control("trace", TraceArguments, self.trace),
            Control("dead-letters.list", ListArguments, self.list_letters),
            Control("dead-letters.redrive", LetterArguments, self.redrive),
            Control("dead-letters.drop", LetterArguments, self.drop),
        ]

    async def trace(self, asked: TraceArguments, send: Send) -> Mapping[str, Any]:
        """Send every step of an event's way, the first first.

        Raises:
            ControlError: Nothing is known of it.
        """
        steps = await trace.follow(self._stores, asked.event, self._clock.now_ms())
        if not steps:
            raise ControlError(
                "NoSuchEvent",
                f"nothing is known of {asked.event}: no event, request or invocation of the last "
                f"{trace.RETENTION_HOURS} hours has that id",
            )
        for name, step in steps:
            await send({"id": name, "at_ms": step.at_ms, "step": step.step, "detail": step.detail})
        return {"steps": len(steps)}

    async def list_letters(self, asked: ListArguments, send: Send) -> Mapping[str, Any]:
        """Send every dead letter, the oldest first."""
        sent = 0
        for number, store in enumerate(self._stores):
            after = ""
            while page := await deadletters.list_letters(store, limit=PAGE, after=after):
                after = page[-1].id
                for kept in page:
                    if asked.target in ("", kept.letter.delivery.target):
                        await send(_row(number, kept))
                        sent += 1
        return {"letters": sent}

    async def redrive(self, asked: LetterArguments, _send: Send) -> Mapping[str, Any]:
        """Send a dead letter on its way again.

        Raises:
            ControlError: There is none of that id.
        """
        store, letter = self._found(asked.id)
        if not await deadletters.redrive(store, letter, self._clock.now_ms()):
            raise _gone(asked.id)
        return {}

    async def drop(self, asked: LetterArguments, _send: Send) -> Mapping[str, Any]:
        """Remove a dead letter.

        Raises:
            ControlError: There is none of that id.
        """
        store, letter = self._found(asked.id)
        if not await deadletters.drop(store, letter):
            raise _gone(asked.id)
        return {}

    def _found(self, name: str) -> tuple[Store, str]:
        """Return the store of a dead letter and its id there."""
        number, dot, letter = name.partition(".")
        stores = self._stores
        if not (dot and number.isdecimal() and int(number) < len(stores)):
            raise _gone(name)
        if not deadletters.is_id(letter):
            raise _gone(name)
        return stores[int(number)], letter


def _row(number: int, kept: Kept) -> dict[str, Any]:
    """Return a dead letter as operators see it."""
    letter, delivery = kept.letter, kept.letter.delivery
    return {
        "id": f"{number}.{kept.id}",
        "at_ms": letter.at_ms,
        "target": delivery.target,
        "source": delivery.source_arn,
        "event": delivery.event_id,
        "attempts": delivery.attempt,
        "reason": letter.reason,
        "payload": delivery.payload.decode(errors="replace"),
    }


def _gone(name: str) -> ControlError:
    """Return the refusal for a dead letter that is not there."""
    return ControlError("NoSuchDeadLetter", f"there is no dead letter {name}")
