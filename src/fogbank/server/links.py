"""Where the processes of one cloud meet: a socket in the directory of each store, one of each front.

Rule: who has the store's lock has the store's socket; the directory's mode keeps everybody else out, and
the kernel says who connects.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fogbank.platform.link.answerer import Answerer
from fogbank.platform.link.caller import Dial, Link
from fogbank.platform.link.port import Handlers

SOCKET: Final = "link.sock"
"""Of a store process, in the directory of its store."""
BACKLOG: Final = 64


@contextmanager
def _address(path: Path) -> Generator[str]:
    """Yield a short name of a socket: a path in ``sockaddr_un`` has 107 bytes at most."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def store_socket(store_dir: Path) -> Path:
    """Return where the store process of a directory is met."""
    return store_dir / SOCKET


def front_socket(data_dir: Path, number: int) -> Path:
    """Return where a front is met: it holds no state, and so has no directory of its own."""
    return data_dir / f"front-{number}.sock"


def dial_of(path: Path) -> Dial:
    """Return what connects to the process behind a socket, once that is there."""

    async def dial(make: Callable[[], Link]) -> Link:
        loop = asyncio.get_running_loop()
        with _address(path) as address:
            _, link = await loop.create_unix_connection(make, address)
        return link

    return dial


class Meeting:
    """Serves the calls of other processes.

    Args:
        path: The socket. A store process has its directory locked; of fronts the supervisor starts
            one of each number.
        handlers: What can be asked.
        group: Where the calls run.
    """

    def __init__(self, path: Path, handlers: Handlers, group: asyncio.TaskGroup) -> None:
        self._path = path
        self._handlers = dict(handlers)
        self._group = group
        self._answerers: set[Answerer] = set()
        self._server: asyncio.Server | None = None
        self._begun = 0
        """Calls of those that are gone."""

    def _accept(self) -> Answerer:
        answerer = Answerer(self._handlers, self._group)
        self._begun += sum(each.begun for each in self._answerers if each.lost)
        self._answerers = {each for each in self._answerers if not each.lost} | {answerer}
        return answerer

    @property
    def under_way(self) -> int:
        """Return how many calls are being answered."""
        return sum(each.under_way for each in self._answerers)

    @property
    def begun(self) -> int:
        """Return how many calls came so far."""
        return self._begun + sum(each.begun for each in self._answerers)

    def offer(self, handlers: Handlers) -> None:
        """Let more be asked; before ``open``."""
        self._handlers.update(handlers)

    async def open(self) -> None:
        """Listen; a dead process's socket is replaced."""
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _address(self._path) as address:
            listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 (the standard library's signature)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._accept, sock=listening)

    def close(self) -> None:
        """Answer nobody any more; what runs is cancelled."""
        if self._server is not None:
            self._server.close()
        for answerer in self._answerers:
            answerer.close()
        self._path.unlink(missing_ok=True)
