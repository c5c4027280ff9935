"""What a runtime and the platform say to each other, in which order, whatever the wire between them.

One ``Dialogue`` belongs to one sandbox. The platform begins invocations; the runtime asks for the
next event and answers it, whole or in pieces. Frames on a socket and the Runtime API over HTTP are
two ways of calling the same methods. Rule: the runtime's side is hostile: what is out of order, of
another invocation or too large is refused here, in AWS's words, and changes nothing.

Source: Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes" and "Response
streaming"; names of states, refusals and their order are those of AWS's runtime interface emulator
(``rapi/handler``, ``rapi/rendering``, ``core/runtime_state_names.go``).
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from fogbank.platform.runtime.port import Chunks

RESPONSE_BYTES_MAX: Final = 6_291_556
"""AWS: 6 MB and a little, counted as its error message counts."""
STREAMED_BYTES_MAX: Final = 200 << 20
"""AWS: "Response streaming for Lambda functions": 200 MB."""
WAITING_BYTES_MAX: Final = 1 << 20
"""Of a streamed response; beyond that the runtime waits for the reader."""


class Phase(enum.Enum):
    """Where a runtime is; the values are AWS's names."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    READY = "Ready"
    RUNNING = "Running"
    RESPONDING = "InvocationResponse"
    SENT = "RuntimeResponseSentState"


_FAILING: Final = "InvocationErrorResponse"


class RefusedError(Exception):
    """What a runtime asked for cannot be; the words are what it is told."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message


class Event(NamedTuple):
    """One invocation, as a runtime is told of it."""

    request_id: str
    payload: bytes
    deadline_ms: int
    context: Mapping[str, str]


class Answer(NamedTuple):
    """How a runtime answered an invocation."""

    payload: bytes
    """What was not streamed: the response, or the error's JSON."""
    failed: bool = False
    content_type: str = ""


def error_payload(kind: str, message: str) -> bytes:
    """Return an error as AWS's runtimes write it."""
    return msgspec.json.encode({"errorType": kind, "errorMessage": message})


class Turn:
    """One invocation, until it is answered."""

    __slots__ = (
        "_bytes",
        "_limit",
        "_more",
        "_room",
        "_streamed",
        "_waiting",
        "_waiting_bytes",
        "answer",
        "content_type",
        "event",
    )

    def __init__(self, event: Event, *, streamed: bool) -> None:
        """Begin; ``streamed``: pieces are wanted as they come."""
        self.event = event
        self.content_type = ""
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._streamed = streamed
        self._limit = STREAMED_BYTES_MAX if streamed else RESPONSE_BYTES_MAX
        self._bytes = 0
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._more: asyncio.Future[None] | None = None
        self._room: Callable[[], None] | None = None

    def write(self, piece: bytes, room: Callable[[], None]) -> bool:
        """Take a piece of the response; return whether there is room for more.

        Args:
            piece: What comes next.
            room: Called once when there is room again.

        Raises:
            RefusedError: The response is longer than it may be; the invocation has failed.
        """
        self._bytes += len(piece)
        if self._bytes > self._limit:
            self.fail(_too_large(self._limit))
            raise RefusedError(413, "RequestEntityTooLarge", _exceeded(self._limit))
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        self._wake()
        if not self._streamed or self._waiting_bytes <= WAITING_BYTES_MAX:
            return True
        self._room = room
        return False

    def finish(self) -> None:
        """Note that the response is whole."""
        whole = b"" if self._streamed else b"".join(self._waiting)
        self._settle(Answer(whole, content_type=self.content_type))

    def fail(self, error: bytes) -> None:
        """Note that the invocation failed, also where pieces of a response had come."""
        self._settle(Answer(error, failed=True, content_type=self.content_type))

    def respond(self, payload: bytes) -> None:
        """Note a response that came in one piece.

        Raises:
            RefusedError: It is longer than it may be; the invocation has failed.
        """
        if len(payload) > RESPONSE_BYTES_MAX:
            self.fail(_too_large(RESPONSE_BYTES_MAX))
            raise RefusedError(413, "RequestEntityTooLarge", _exceeded(RESPONSE_BYTES_MAX))
        if self._streamed:
            self._waiting.append(payload)
            self._waiting_bytes += len(payload)
            payload = b""
        self._settle(Answer(payload, content_type=self.content_type))

    def _settle(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)
        self._wake()

    def end(self, error: BaseException) -> None:
        """Note that no answer will come any more."""
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # whoever asked may have left
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def answered(self, chunks: Chunks | None) -> Answer:
        """Return the answer; pieces of the response go to ``chunks`` before."""
        if chunks is None:
            return await self.answer
        while True:
            while self._waiting:
                piece = self._waiting.popleft()
                self._waiting_bytes -= len(piece)
                await chunks(piece, self.content_type)
                if self._room is not None and self._waiting_bytes <= WAITING_BYTES_MAX // 2:
                    room, self._room = self._room, None
                    room()
            if self.answer.done():
                return self.answer.result()
            self._more = asyncio.get_running_loop().create_future()
            await self._more
            self._more = None


class Dialogue:
    """The talk with one runtime, from its start to its end."""

    def __init__(self) -> None:
        self.phase = Phase.STARTED
        self.started: asyncio.Future[dict[str, object] | None] = (
            asyncio.get_running_loop().create_future()
        )
        """The error of the start, or None when the runtime is ready."""
        self._turn: Turn | None = None
        self._given = False
        """Whether the runtime has the event of the turn."""
        self._request_id = ""

    # -- the platform's side -----------------------------------------------------------------

    def begin(self, event: Event, *, streamed: bool = False) -> Turn:
        """Begin an invocation; whoever has the wire delivers the event."""
        assert self._turn is None or self._turn.answer.done(), "one invocation at a time"
        self._turn = Turn(event, streamed=streamed)
        self._given = False
        return self._turn

    @property
    def given(self) -> bool:
        """Return whether the runtime has been told of the invocation under way."""
        return self._given

    def end(self, error: BaseException) -> None:
        """Tell whoever waits that the runtime is gone."""
        if not self.started.done():
            self.started.set_exception(error)
            self.started.exception()  # whoever waits may not have begun to
        elif self._turn is not None:
            self._turn.end(error)

    # -- the runtime's side ------------------------------------------------------------------

    def ask(self) -> None:
        """Note that the runtime is ready for the next event.

        Raises:
            RefusedError: It has one that it has not answered, or its start had failed.
        """
        if self.phase not in {Phase.STARTED, Phase.READY, Phase.SENT}:
            raise self._forbidden(Phase.READY.value)
        if self.phase is Phase.STARTED and not self.started.done():
            self.started.set_result(None)
        self.phase = Phase.READY

    def take(self) -> Event | None:
        """Give the runtime the event that waits, if it is ready and there is one."""
        turn = self._turn
        if self.phase is not Phase.READY or turn is None or self._given or turn.answer.done():
            return None
        self._given = True
        self._request_id = turn.event.request_id
        self.phase = Phase.RUNNING
        return turn.event

    def fail_start(self, error: dict[str, object]) -> None:
        """Note that the runtime cannot start.

        Raises:
            RefusedError: It had started already.
        """
        if self.phase is not Phase.STARTED or self.started.done():
            raise self._forbidden(Phase.INIT_ERROR.value)
        self.phase = Phase.INIT_ERROR
        self.started.set_result(error)

    def respond(self, request_id: str, payload: bytes, content_type: str = "") -> None:
        """Take the whole response to an event.

        Raises:
            RefusedError: There is no such event, or it is answered, or the response is too large.
        """
        turn = self._answering(request_id, Phase.RESPONDING.value)
        self.phase = Phase.SENT
        turn.content_type = content_type
        turn.respond(payload)

    def fail(self, request_id: str, error: bytes) -> None:
        """Take the error that an event ended in, as JSON.

        Raises:
            RefusedError: There is no such event, or it is answered.
        """
        turn = self._answering(request_id, _FAILING)
        self.phase = Phase.SENT
        turn.fail(error)

    def stream(self, request_id: str, content_type: str = "") -> Turn:
        """Begin to take a response in pieces; ``sent`` ends it.

        Raises:
            RefusedError: There is no such event, or it is answered.
        """
        turn = self._answering(request_id, Phase.RESPONDING.value)
        self.phase = Phase.RESPONDING
        turn.content_type = content_type
        return turn

    def sent(self) -> None:
        """Note that a response in pieces has come to its end, in whatever way."""
        assert self.phase is Phase.RESPONDING, "a response was begun"
        self.phase = Phase.SENT

    def _answering(self, request_id: str, wanted: str) -> Turn:
        if not self._request_id or request_id != self._request_id:
            raise RefusedError(400, "InvalidRequestID", "Invalid request ID")
        if self.phase is not Phase.RUNNING or self._turn is None:
            raise self._forbidden(wanted)
        return self._turn

    def _forbidden(self, wanted: str) -> RefusedError:
        words = f"State transition from {self.phase.value} to {wanted} failed for runtime."
        return RefusedError(
            403, "InvalidStateTransition", f"{words} Error: State transition is not allowed"
        )


def _exceeded(limit: int) -> str:
    return f"Exceeded maximum allowed payload size ({limit} bytes)."


def _too_large(limit: int) -> bytes:
    words = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
    return error_payload("Function.ResponseSizeTooLarge", words)
