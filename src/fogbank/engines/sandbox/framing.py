"""The frames of a runtime of ours, as one wire of the dialogue with it.

Rule: what comes out of a sandbox is untrusted: sizes are checked before they are read, and nonsense
or a frame out of order ends the sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from fogbank.engines.sandbox.inside import frames
from fogbank.platform.runtime.dialogue import Dialogue, Event, Phase, RefusedError, Turn

_CONTEXT = ("invoked_function_arn", "client_context", "trace_id", "identity", "tenant_id")
_KB_PER_MB = 1024


class FrameWire(asyncio.Protocol):
    """Speaks frames with one sandbox."""

    def __init__(
        self, dialogue: Dialogue, hear: Callable[[], None], gone: Callable[[], None]
    ) -> None:
        """Take what is spoken, and whom to tell.

        Args:
            dialogue: With the runtime behind the frames.
            hear: Called before an answer counts: takes in what was printed before it.
            gone: Called when the other end has closed or spoken nonsense.
        """
        self._dialogue = dialogue
        self._hear = hear
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._streaming: Turn | None = None
        self._leaving = False
        """Whether the runtime has said that its answer is its last."""
        self.rss_mb = 0
        """The most memory that the runtime said it ever held."""

    @property
    def closed(self) -> bool:
        """Return whether nothing can be said any more."""
        return self._leaving or self._transport is None or self._transport.is_closing()

    def send(self, kind: int, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame, if there is somebody to hear it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frames.encode(kind, head, body))

    def deliver(self) -> None:
        """Send the event that waits: who speaks frames is told at once."""
        event = self._dialogue.take()
        if event is not None:
            self.send(frames.INVOKE, head_of(event), event.payload)

    def abort(self) -> None:
        """Hear no more."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of the frames."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that the other end hung up; why it did comes from the daemon."""
        del exc
        self._gone()

    def data_received(self, data: bytes) -> None:
        """Take frames apart; nonsense ends the sandbox."""
        self._buffer += data
        try:
            while (frame := self._next_frame()) is not None:
                self._on_frame(frame)
        except (frames.Oversized, RefusedError, ValueError, RecursionError):
            self._buffer.clear()
            self._gone()
            self.abort()  # what follows is not heard

    def _next_frame(self) -> frames.Frame | None:
        size = frames.PREFIX.size
        if len(self._buffer) < size:
            return None
        kind, head_bytes, body_bytes = frames.lengths(self._buffer[:size])
        total = size + head_bytes + body_bytes
        if len(self._buffer) < total:
            return None
        head = frames.head_of(bytes(self._buffer[size : size + head_bytes]))
        body = bytes(self._buffer[size + head_bytes : total])
        del self._buffer[:total]
        return frames.Frame(kind, head, body)

    def _on_frame(self, frame: frames.Frame) -> None:
        rss = frame.head.get("maxrss_kb")
        if isinstance(rss, int):
            self.rss_mb = max(self.rss_mb, rss // _KB_PER_MB)
        self._hear()
        self._leaving = frame.head.get("leaving") is True
        request_id = str(frame.head.get("request_id", ""))
        if frame.kind == frames.INIT:
            self._on_started(frame.head.get("error"))
            return
        if frame.kind == frames.CHUNK:
            self._on_piece(request_id, frame)
            return
        if frame.kind == frames.RESULT and self._streaming is not None:
            self._on_end(request_id)
        elif frame.kind == frames.RESULT:
            self._dialogue.respond(request_id, frame.body)
        elif frame.kind == frames.ERROR and self._streaming is not None:
            self._on_end(request_id, frame.body)
        elif frame.kind == frames.ERROR:
            self._dialogue.fail(request_id, frame.body)
        else:
            raise ValueError("a frame of ours, from the other side")
        self._dialogue.ask()

    def _on_started(self, error: Any) -> None:
        if self._dialogue.phase is not Phase.STARTED:
            raise ValueError("it had started already")
        if error is None:
            self._dialogue.ask()
        elif isinstance(error, dict):
            self._dialogue.fail_start(cast("dict[str, object]", error))
        else:
            raise ValueError("an error that is no object")

    def _on_piece(self, request_id: str, frame: frames.Frame) -> None:
        """Take a piece of a streamed response; the first begins it."""
        if self._streaming is None:
            kind = str(frame.head.get("content_type", ""))
            self._streaming = self._dialogue.stream(request_id, kind)
        elif self._streaming.event.request_id != request_id:
            raise ValueError("a piece of another response")
        transport = cast("asyncio.Transport", self._transport)
        if not self._streaming.write(frame.body, transport.resume_reading):
            transport.pause_reading()

    def _on_end(self, request_id: str, error: bytes | None = None) -> None:
        """End a streamed response, well or in an error."""
        turn, self._streaming = cast("Turn", self._streaming), None
        if turn.event.request_id != request_id:
            raise ValueError("the end of another response")
        self._dialogue.sent()
        if error is None:
            turn.finish()
        else:
            turn.fail(error)


def head_of(event: Event) -> dict[str, Any]:
    """Return what a runtime of ours is told of an event beside its payload."""
    head: dict[str, Any] = {
        name: event.context[name] for name in _CONTEXT if event.context.get(name)
    }
    head["request_id"], head["deadline_ms"] = event.request_id, event.deadline_ms
    return head
