"""The store's end of its checkpointer process: starts it, orders, restarts it if it dies.

Rule: everything here blocks and is called from one thread that lives as long as the engine: the
kernel kills the checkpointer when the *thread* that started it ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from fogbank.engines.embedded.checkpoint import Answer, Hello, Order, Reseal, decode_answer
from fogbank.engines.embedded.lock import LockFile
from fogbank.platform.crypto.keys import DataKeys

STARTS_MAX: Final = 4
"""So often one order is given to a fresh process before it is called hopeless."""
_END_S: Final = 10.0


class Checkpointer:
    """The checkpointer process of one data directory; started by its first order."""

    def __init__(self, root: Path, lock: LockFile, keys: DataKeys) -> None:
        self._root = root
        self._lock = lock
        self._keys = keys
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id while there is a process."""
        return None if self._process is None else self._process.pid

    def settle(self, order: Order | Reseal) -> Answer:
        """Have an order carried out; starts the process as often as it takes."""
        line = msgspec.json.encode(order) + b"\n"
        for _ in range(STARTS_MAX):
            process = self._process or self._start()
            stdin, stdout = cast("tuple[IO[bytes], IO[bytes]]", (process.stdin, process.stdout))
            with contextlib.suppress(BrokenPipeError):
                stdin.write(line)
                stdin.flush()
                if reply := stdout.readline():
                    answer = decode_answer(reply)
                    if answer.error == "broken":
                        self.close()
                    return answer
            self.close()
        return Answer("broken", f"the checkpointer died {STARTS_MAX} times over one order")

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process, which inherits its lock and is told the keys first."""
        module = "fogbank.engines.embedded.checkpoint"
        arguments = [str(self._root), str(self._lock.fd), str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603 (our own module, no user's words)
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._lock.fd,),
            # A terminal's interrupt is for the server, which then ends this process in order.
            process_group=0,
        )
        stdin = cast("IO[bytes]", self._process.stdin)
        # A child that is dead already shows with its first order.
        with contextlib.suppress(BrokenPipeError):
            hello = Hello(self._keys.export(), self._keys.active)
            stdin.write(msgspec.json.encode(hello) + b"\n")
            stdin.flush()
        return self._process

    def close(self) -> None:
        """Close the process's input and wait for its end."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
