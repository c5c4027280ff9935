"""The answering side of a link: one task per call, in the group that was handed in.

Rule: what a handler raises reaches the caller as what it is; a bug is logged here and reaches it as
one. A caller that is gone cancels what runs for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from fogbank.base.errors import Corrupt, ServiceError, Throttled, Weather
from fogbank.platform.link import errors, frames
from fogbank.platform.link.frames import FrameProtocol
from fogbank.platform.link.port import CALLS_MAX, Answer, Asked, Handlers, close_stream
from fogbank.platform.link.streams import Credit, Inflow, pump_pieces

_log: Final = logging.getLogger("fogbank.link")


class _Answering:
    """One call that is being answered."""

    __slots__ = ("credit", "inflow", "over", "task")

    def __init__(self, inflow: Inflow | None) -> None:
        self.inflow = inflow
        self.credit = Credit()
        self.over = False
        self.task: asyncio.Task[None] | None = None


class Answerer(FrameProtocol):
    """One connection of another process, which calls.

    Args:
        handlers: What can be asked, by name.
        group: Where the tasks live.
    """

    def __init__(self, handlers: Handlers, group: asyncio.TaskGroup) -> None:
        super().__init__()
        self._handlers = handlers
        self._group = group
        self._calls: dict[int, _Answering] = {}
        self.begun = 0
        """Calls so far."""

    @property
    def under_way(self) -> int:
        """Return how many calls are being answered."""
        return len(self._calls)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what runs for the caller."""
        super().connection_lost(exc)
        for answering in self._calls.values():
            self._cancel(answering)

    def _cancel(self, answering: _Answering) -> None:
        answering.over = True
        if answering.task is not None:
            answering.task.cancel()

    def heard(self, message: list[Any]) -> None:
        """Act on a message of the caller."""
        number: int = message[0]
        kind: int = message[1]
        if kind == frames.CALL:
            self._begin(number, message[2], message[3], message[4])
            return
        answering = self._calls.get(number)
        if answering is None:
            return  # answered meanwhile
        inflow = answering.inflow
        if kind == frames.CANCEL:
            self._cancel(answering)
        elif kind == frames.MORE:
            answering.credit.grant(message[2])
        elif kind == frames.PIECE and inflow is not None:
            inflow.add(message[2], message[3])
        elif kind == frames.DONE and inflow is not None:
            inflow.done(message[2])
        elif kind == frames.BROKEN and inflow is not None:
            inflow.fail(errors.error_of(message[2]))
        else:
            raise AssertionError(f"a message of kind {kind}")

    def _begin(self, number: int, method: str, value: Any, length: int | None) -> None:
        """Start a call."""
        if len(self._calls) >= CALLS_MAX:
            slow = Throttled(f"{CALLS_MAX} calls of another process are under way")
            self.say(number, frames.ERROR, errors.value_of(slow))
            return
        self.begun += 1
        inflow = None
        if length is not None:
            known = None if length < 0 else length
            inflow = Inflow(
                known,
                lambda size: self.say(number, frames.MORE, size),
                lambda: None,
                lambda order: self.say(number, frames.ORDER, order),
            )
        answering = self._calls[number] = _Answering(inflow)
        answering.task = self._group.create_task(
            self._run(number, answering, method, Asked(value, inflow))
        )

    async def _run(self, number: int, answering: _Answering, method: str, asked: Asked) -> None:
        """Run a call and answer it."""
        try:
            answer = await self._handlers[method](asked)
            self.say(number, frames.ANSWER, answer.value, answer.stream is not None)
            if answer.stream is not None:
                await self._stream(number, answering, answer)
        except (ServiceError, Weather) as error:
            self.say(number, frames.ERROR, errors.value_of(error))
        except Corrupt as error:
            _log.error("%s: %s", method, error)
            self.say(number, frames.ERROR, errors.value_of(error))
        except Exception as error:  # noqa: BLE001 (next sentence)
            # One caller's trouble may not end the group that serves all of them.
            _log.exception("%s failed", method)
            self.say(number, frames.ERROR, errors.value_of(error))
        finally:
            del self._calls[number]

    async def _stream(self, number: int, answering: _Answering, answer: Answer) -> None:
        """Send the stream of an answer as the caller reads it."""
        assert answer.stream is not None
        try:
            await pump_pieces(
                answer.stream,
                answering.credit,
                lambda piece, trailers: self.say(number, frames.PIECE, piece, trailers),
                lambda: answering.over,
            )
        finally:
            await close_stream(answer.stream)
