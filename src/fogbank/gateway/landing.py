"""Takes a socket's bytes into room that somebody has for them, so that nothing copies them there.

Rule: it has a transport only while the reader of a body waits with room, and what comes is of that
body and no more than the room takes; all else it passes on to the protocol that it stands in for.
"""

from __future__ import annotations

import asyncio
from typing import cast

from fogbank.gateway.framing import Flow, SocketBody


class Landing(asyncio.BufferedProtocol):
    """Stands in for a transport's protocol while it has begun; see ``framing.Landing``.

    Args:
        transport: The socket's own.
        flow: The connection.
    """

    def __init__(self, transport: asyncio.Transport, flow: Flow) -> None:
        self._transport = transport
        self._flow = flow
        self._body: SocketBody | None = None
        """Whose room it is; known only while it is used, so that they do not keep each other."""
        self.stood_for: asyncio.Protocol | None = None

    def begin(self, body: SocketBody) -> bool:
        """Take the transport; return False if it is closing."""
        if self._transport.is_closing():
            return False
        self._body = body
        self._flow.body_full()  # what takes its bytes is changed while it reads none
        stood_for = self.stood_for = cast("asyncio.Protocol", self._transport.get_protocol())
        self.eof_received = stood_for.eof_received
        self.connection_lost = stood_for.connection_lost
        self.pause_writing = stood_for.pause_writing
        self.resume_writing = stood_for.resume_writing
        self._transport.set_protocol(self)
        return True

    def end(self) -> None:
        """Give the transport back; one that is closing tells its end through us."""
        self._flow.body_full()
        stood_for, self.stood_for, self._body = self.stood_for, None, None
        assert stood_for is not None, "only what has begun ends"
        if not self._transport.is_closing():
            self._transport.set_protocol(stood_for)
            self._flow.body_ends(b"")

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes shall be put."""
        del sizehint
        assert self._body is not None, "nothing is read but into room"
        return self._body.room

    def buffer_updated(self, nbytes: int) -> None:
        """Note that bytes were put there; read no more when there is no more room."""
        self._flow.body_came(nbytes)
        assert self._body is not None, "nothing is read but into room"
        if not self._body.land(nbytes):
            self._flow.body_full()
