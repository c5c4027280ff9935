"""The client's end of the socket to sandboxd, and the daemon's process where we started it.

Rule: sends never block and are kept in order; when the daemon's end closes, for whatever reason,
``gone`` is called once and the link is finished.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Sequence

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.daemon import messages
from fogbank.engines.sandbox.daemon.messages import Message

PACKETS_WAITING_MAX = 1024
_PACKETS_PER_TURN_MAX = 64
_STOP_SECONDS_MAX = 5


class Link:
    """One connection to one daemon."""

    def __init__(
        self,
        sock: socket.socket,
        process: subprocess.Popen[bytes] | None,
        arrived: Callable[[Message], None],
        gone: Callable[[], None],
    ) -> None:
        sock.settimeout(0)
        self._socket = sock
        self._process = process
        self._arrived = arrived
        self._gone = gone
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._read)
        self.closed = False

    def send(self, op: str, fds: Sequence[int] = (), **fields: int | str) -> None:
        """Send one message; the descriptors stay the caller's.

        Raises:
            Unavailable: The daemon is gone or takes no more.
        """
        if self.closed:
            raise Unavailable("the sandbox daemon is gone")
        if len(self._waiting) >= PACKETS_WAITING_MAX:
            raise Unavailable("the sandbox daemon is behind")
        self._waiting.append((messages.encode(op, **fields), [os.dup(fd) for fd in fds]))
        self._flush()

    def _flush(self) -> None:
        try:
            while self._waiting:
                packet, fds = self._waiting[0]
                messages.send(self._socket, packet, fds)
                self._waiting.popleft()
                messages.close_all(fds)
        except BlockingIOError:
            self._loop.add_writer(self._socket, self._flush)
            return
        except OSError:
            self._finish()
            return
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        for _ in range(_PACKETS_PER_TURN_MAX):
            try:
                message = messages.receive(self._socket)
            except BlockingIOError:
                return
            except messages.Malformed:
                message = None  # a daemon that speaks nonsense is no daemon
            if message is None:
                self._finish()
                return
            messages.close_all(message.fds)
            self._arrived(message)
            if self.closed:
                return

    def _finish(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        for _, fds in self._waiting:
            messages.close_all(fds)
        self._waiting.clear()
        self._socket.close()
        self._gone()

    async def close(self) -> None:
        """Hang up, and wait until a daemon of ours has swept up and ended."""
        self._finish()
        process = self._process
        if process is None:
            return
        try:
            await asyncio.to_thread(process.wait, _STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
