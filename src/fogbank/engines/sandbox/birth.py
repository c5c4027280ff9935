"""The socket at which a sandbox tells of its construction, and afterwards its keeper of its processes.

Rule: what comes is untrusted: a packet is bounded, and what a keeper says is handed on unread. The
socket closes with the construction where there is no keeper (``inside/keeper.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Sequence
from typing import Any

from fogbank.engines.sandbox import passage
from fogbank.engines.sandbox.daemon import messages

PACKET_BYTES_MAX = 8192
_LOOKS_MAX = 3

Listening = Callable[[list[int]], None]
"""Given the listeners inside: of the endpoint, and of the Runtime API where that is spoken."""
Heard = Callable[[bytes, list[int]], None]
"""Given a packet of the keeper's, and the descriptors in it, which are its own to close."""


class Birth:
    """One sandbox's socket."""

    def __init__(self, heard: Heard) -> None:
        """Prepare; ``heard`` is given what the keeper says."""
        self._heard = heard
        self._socket: socket.socket | None = None
        self._loop = asyncio.get_running_loop()
        self._listening: Listening = messages.close_all
        self._owner: int | None = None
        """The uid of what is inside, where the Runtime API's listener is on the machine's loopback."""
        self._limit: tuple[float, Callable[[], None]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.failure = ""
        """Why construction failed."""
        self.pid = -1
        """The first process of what was built, as this process numbers it; -1: nothing is yet."""

    def open(self) -> int:
        """Make the socket; return the descriptor of its other end, which is the caller's."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return theirs.detach()

    def watch(self, listening: Listening) -> None:
        """Read whenever something comes; ``listening`` is given the listeners inside."""
        assert self._socket is not None, "it was opened"
        self._listening = listening
        self._loop.add_reader(self._socket, self.read)

    def read(self) -> None:
        """Take one packet."""
        if self._socket is None:
            return
        try:
            raw, fds, _, sender = messages.receive_raw(self._socket, PACKET_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            raw, fds, sender = b"", [], 0
        if raw.startswith(b"{"):
            self._heard(raw, fds)
            return
        if raw and self.pid < 0:
            # Who builds a sandbox is its first process, and runs no user code yet.
            self.pid = sender
            self._begin_limit()
        if fds:
            self._listening(fds)
            self._listening = messages.close_all
        if raw.startswith(b"bare "):
            self._owner = int(raw.removeprefix(b"bare "))
        if raw.startswith(b"failed "):
            self.failure = raw.removeprefix(b"failed ").decode(errors="replace")
        if not raw or self.failure:
            self.close()

    def limit(self, seconds: float, expired: Callable[[], None]) -> Callable[[], None]:
        """Call back so long after the construction, unless what is returned is called before.

        Until then a start may wait for a zygote to warm up, which is no time of the function's.
        """
        self._limit = (seconds, expired)
        if self.pid >= 0:
            self._begin_limit()
        return self._end_limit

    def _begin_limit(self) -> None:
        if self._limit is not None:
            self._timer = self._loop.call_later(*self._limit)
            self._limit = None

    def _end_limit(self) -> None:
        self._limit = None
        if self._timer is not None:
            self._timer.cancel()

    def send(self, order: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Tell the keeper something; one that does not listen is told nothing."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # full, or gone: its end is seen elsewhere
                messages.send(self._socket, json.dumps(order).encode(), fds)

    def is_ours(self, peer: passage.Address, here: passage.Address) -> bool:
        """Return whether what connects to the Runtime API, from and to an address, is inside this sandbox.

        On a loopback of its own nobody else is. On the machine's, its user must be the sandbox's.
        """
        if self._owner is None:
            self.read()
        if self._owner is None:
            return True
        # A table of the kernel that changes while it is read may leave a row out.
        found = (passage.owner_of(peer, here) for _ in range(_LOOKS_MAX))
        return next((owner for owner in found if owner is not None), None) == self._owner

    def close(self) -> None:
        """Hear no more."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
