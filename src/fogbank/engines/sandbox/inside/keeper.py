"""The keeper: first process of a sandbox with external extensions; starts them and the runtime.

Rule: it does what the platform says on its socket (signals) and tells who has ended and how; no user
code runs in it. What it says can be forged by what is inside with it, so nothing here decides about
limits or identity. Theory: the first process of a namespace is sent no signal from inside that it
does not take, and adopts orphans; a runtime is not to be that, for it must end by SIGTERM as on AWS.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from fogbank.engines.sandbox.daemon import messages

_FRAMES_FD = 3
_SIGNAL_BYTES = 64
_PACKET_BYTES_MAX = 8192
_DIAL_SECONDS_MAX = 0.2
"""A listener whose backlog is full is soon given up: nobody is watched meanwhile."""
EXTENSIONS_MAX = 10
"""AWS: so many at most; one more is started by nobody."""


class Keeper:
    """Starts, watches and signals the processes of one sandbox."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._names: dict[int, str] = {}
        """Of the processes that are watched, by their ids; the runtime's is empty."""

    def start(self, head: dict[str, Any], output: int, runtime: int) -> None:
        """Start the extensions.

        Args:
            head: Their ``folder`` and their ``environment``.
            output: Where they print.
            runtime: The process of the runtime, which waits for its assignment.
        """
        self._names[runtime] = ""
        launched: list[str] = []
        found = paths_of(head["folder"])
        # Before any runs: one that registers at once must be known by then.
        self._tell({"launching": [path.name for path in found[:EXTENSIONS_MAX]]})
        for path in found:
            if len(launched) == EXTENSIONS_MAX:
                self._tell({"failed": [path.name, "ErrTooManyExtensions"]})
                break
            try:
                self._launch(path, head["environment"], output)
            except OSError as error:
                words = (error.strerror or "").lower()
                self._tell({"failed": [path.name, f"fork/exec {path}: {words}"]})
                break
            launched.append(path.name)
        os.close(output)
        self._tell({"launched": launched})

    def _launch(self, path: Path, environment: dict[str, str], output: int) -> None:
        process = subprocess.Popen(  # noqa: S603 (an extension is what the user wants executed)
            [str(path)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
        process.returncode = 0  # whoever ends is collected by ``_collect``
        self._names[process.pid] = path.name

    def run(self) -> None:
        """Serve until the platform hangs up."""
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.settimeout(0)
        signal.signal(signal.SIGCHLD, _note)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(woken, select.POLLIN)
        self._collect()  # what ended before anybody looked
        while True:
            for fd, _ in poll.poll():
                if fd == woken.fileno():
                    with contextlib.suppress(BlockingIOError):
                        woken.recv(_SIGNAL_BYTES)
                    self._collect()
                elif not self._obey():
                    return

    def _obey(self) -> bool:
        """Do what the platform says; return whether it still does."""
        raw, fds, *_ = messages.receive_raw(self._channel, _PACKET_BYTES_MAX)
        messages.close_all(fds)
        if not raw:
            return False
        order = json.loads(raw)
        if "dial" in order:
            self._dial(*order["dial"])
            return True
        name, number = order["signal"]
        for pid, known in list(self._names.items()):
            if known == name:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        return True

    def _dial(self, number: int, port: int) -> None:
        """Connect to whoever listens on the sandbox's loopback, and hand the connection out."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.settimeout(_DIAL_SECONDS_MAX)
            try:
                sock.connect(("127.0.0.1", port))
            except OSError as error:
                self._tell({"dialled": number, "why": str(error.strerror or error)})
                return
            packet = json.dumps({"dialled": number, "why": ""}).encode()
            with contextlib.suppress(OSError):
                messages.send(self._channel, packet, [sock.fileno()])

    def _collect(self) -> None:
        """Take the status of whoever has ended, orphans too, and tell of those that count."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._names.pop(pid, None)
            if name is not None:
                self._tell({"exited": [name, os.waitstatus_to_exitcode(status)]})

    def _tell(self, said: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the platform is gone, and this sandbox with it
            self._channel.send(json.dumps(said).encode())


def _note(*_: object) -> None:
    """Take a signal: what it says is read from the descriptor that it wakes."""


def paths_of(folder: str) -> list[Path]:
    """Return what is to be executed: each file of a folder, whatever its rights."""
    try:
        return sorted(path for path in Path(folder).iterdir() if not path.is_dir())
    except OSError:
        return []


def keep(head: dict[str, Any], channel: socket.socket) -> None:
    """Become the keeper; returns in another process, which is to be the runtime.

    Args:
        head: What is to be started (``Keeper.start``).
        channel: The socket of the platform, at which the descriptor of the output waits.
    """
    [output] = messages.receive_raw(channel, _PACKET_BYTES_MAX).fds
    runtime = os.fork()
    if runtime == 0:
        os.close(output)
        return
    status = 0
    try:
        os.close(_FRAMES_FD)
        os.umask(0o022)
        keeper = Keeper(channel)
        keeper.start(head, output, runtime)
        keeper.run()
    except BaseException:  # noqa: BLE001 (nothing may unwind into the runtime's frames)
        status = 1
    finally:
        os._exit(status)
