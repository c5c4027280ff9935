"""The supervisor's children: how one is started, heard, told and ended."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from fogbank.platform.crypto.secret import Secret
from fogbank.server.config import Config
from fogbank.server.privilege import Drop
from fogbank.server.sandboxes import launch_sandboxd
from fogbank.server.told import ANSWERED, ASKED, NEWS_BYTES_MAX, Boot, Material

RESTARTS_MAX: Final = 20
RESTARTS_WINDOW_S: Final = 60.0
SAID_BYTES_MAX: Final = 64 << 10
MALLOC: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(4 << 20),
}
"""What a process keeps of freed memory (mallopt(3)): 4 MiB in each of two arenas, however many
threads had frames of bodies. Left to itself every thread keeps what it once had. An environment
that says otherwise counts.
"""
START_S_MAX: Final = 60.0
"""So long a start may take before the child counts as stuck, as ``TimeoutStartSec`` of the unit."""


class Daemons:
    """Starts sandboxd with our rights when the store process, which has given them up, asks.

    The request holds nothing: what is started follows from our own settings alone, so that a store
    process that was taken over cannot have us run anything else.
    """

    def __init__(self, work_dir: Path, config: Config) -> None:
        self._work_dir = work_dir
        self._config = config
        self._ours: socket.socket | None = None
        self._endpoint = ""
        self._authority = ""
        self._started: list[subprocess.Popen[bytes]] = []

    def door(self, endpoint: str, authority: str) -> socket.socket:
        """Return the store process's end of a new socket for its requests."""
        if self._ours is not None:
            self._ours.close()
        self._endpoint = endpoint
        self._authority = authority
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return theirs

    def register(self, selector: selectors.BaseSelector) -> None:
        """Let a selector wake for requests."""
        if self._ours is not None:
            selector.register(self._ours, selectors.EVENT_READ, self._answer)

    def _answer(self) -> None:
        """Start one sandboxd and send the socket to it, or note that nobody asks any more."""
        assert self._ours is not None
        if not self._ours.recv(1):
            self._ours.close()
            self._ours = None
            return
        sandboxd, process = launch_sandboxd(
            self._work_dir, self._endpoint, self._config, self._authority
        )
        self._started.append(process)
        with sandboxd:
            socket.send_fds(self._ours, [b"."], [sandboxd.fileno()])

    def reap(self) -> None:
        """Bury the sandbox daemons that have ended."""
        self._started = [process for process in self._started if process.poll() is None]


class Child:
    """One process of the server below the supervisor, over all its runs.

    Args:
        module: What it runs.
        name: What operators call it.
        drop: Whose rights it has.
        daemons: Starts sandboxd for it; None if it has no functions.
        on_secret: Called with a secret that will seal the keys of the stores.
    """

    def __init__(
        self,
        module: str,
        name: str,
        drop: Drop,
        daemons: Daemons | None,
        on_secret: Callable[[Secret], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._on_secret = on_secret
        self.is_ready = False
        self.said = b""
        """The last word of a run that did not come to serve."""
        self._module = module
        self._drop = drop
        self._daemons = daemons if drop.user else None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = -1
        self._life = -1
        self._began = 0.0
        self._owes = False
        """Whether it was asked and has not answered yet."""
        self._is_over = False
        """Whether it has closed its end of ``_life``: it is dying."""
        self._starts: list[float] = []

    def start(self, make: Callable[[int, int, int], Boot], trusted: str) -> None:
        """Start a run of it.

        Args:
            make: From the descriptors of ready pipe, life and daemons to what it is told.
            trusted: What functions must trust to call the endpoint.
        """
        self.is_ready, self.said = False, b""
        self._owes, self._is_over, self._began = False, False, time.monotonic()
        self._ready, ready_write = os.pipe2(os.O_CLOEXEC)
        # Our end ends with us, whatever the end; until then it carries new certificates.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._life, life = ours.detach(), theirs.detach()
        boot = make(ready_write, life, -1)
        door = self._daemons.door(boot.endpoint, trusted) if self._daemons else None
        if door is not None:
            boot = make(ready_write, life, door.fileno())
        inherited = [boot.listener, boot.ready, boot.life, boot.daemons, boot.epochs]
        user = self._drop.user
        self._process = subprocess.Popen(  # noqa: S603 (this interpreter, our own module)
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            env={**MALLOC, **os.environ},
            pass_fds=[descriptor for descriptor in inherited if descriptor >= 0],
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        os.close(ready_write)
        os.close(life)
        if door is not None:
            door.close()
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            stdin.write(msgspec.json.encode(boot))

    def register(self, selector: selectors.BaseSelector) -> None:
        """Let a selector wake for what it says."""
        if self._ready >= 0:
            selector.register(self._ready, selectors.EVENT_READ, self._hear)
        if self._life >= 0 and not self._is_over:
            selector.register(self._life, selectors.EVENT_READ, self._told)
        if self._daemons is not None:
            self._daemons.register(selector)

    def _hear(self) -> None:
        """Take what it says; at the end it is ready, or its word is why not."""
        piece = os.read(self._ready, 4_096)
        self.said = (self.said + piece)[:SAID_BYTES_MAX]
        if piece:
            return
        os.close(self._ready)
        self._ready = -1
        self.is_ready = self.said == b"ready"

    def ask(self) -> None:
        """Ask it whether its loop turns, unless an answer is still to come or it is starting."""
        if not self.is_ready or self._owes or self._life < 0:
            return
        try:
            os.write(self._life, ASKED)
        except OSError:
            return  # It has just died; the next run is asked.
        self._owes = True

    def _told(self) -> None:
        """Take its answer, or a secret that will seal the keys of the stores.

        A socket that has ended says that it dies, which we hear of elsewhere.
        """
        try:
            said = os.read(self._life, NEWS_BYTES_MAX)
        except OSError:
            said = b""
        self._is_over = not said
        if said == ANSWERED:
            self._owes = False
        elif said:
            self._on_secret(msgspec.json.decode(said, type=Secret))

    @property
    def is_well(self) -> bool:
        """Return whether it owes no answer, and no start for too long."""
        if self.is_starting:
            return time.monotonic() - self._began < START_S_MAX
        return not self._owes

    @property
    def is_starting(self) -> bool:
        """Return whether it has not said yet whether it serves."""
        return self._ready >= 0

    def ended(self) -> int | None:
        """Return the status of a run that has ended, once; None while it runs."""
        if self._daemons is not None:
            self._daemons.reap()
        if self._process is None or self._process.poll() is None:
            return None
        while self.is_starting:
            self._hear()  # it is dead: the pipe ends
        os.close(self._life)
        self._life = -1
        status, self._process = self._process.returncode, None
        return status

    def may_start_again(self) -> bool:
        """Count a restart; return False if there were too many of late."""
        now = time.monotonic()
        self._starts = [at for at in self._starts if now - at < RESTARTS_WINDOW_S] + [now]
        return len(self._starts) <= RESTARTS_MAX

    def tell(self, material: Material) -> None:
        """Hand it a new certificate."""
        if self._life >= 0:
            try:
                os.write(self._life, msgspec.json.encode(material))
            except OSError:
                return  # It has just died; the next one is started with it.

    def stop(self) -> None:
        """Let it drain."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> int:
        """Return its status once it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not in time.
        """
        return 0 if self._process is None else self._process.wait(timeout_s)

    def abort(self) -> None:
        """Kill it where it stands; its end is heard of as any other's."""
        if self._process is not None:
            self._process.kill()

    def kill(self) -> None:
        """Leave nothing of it behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
