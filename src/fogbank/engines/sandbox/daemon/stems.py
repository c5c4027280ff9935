"""What may be started, and how a sandbox that was started without a function is given one.

Rule: a stem has a root, a /tmp, a user id and a control group of its own like every sandbox, runs a
runtime that has seen nothing of any function, and is given one function, once. Theory: Node.js and
Java cannot be forked, and booting them is nearly all of their cold start. What is mounted later is
mounted by the zygote, whose namespace owns the sandbox's mounts (``inside/stems.py``).
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from pathlib import Path

from fogbank.engines.sandbox.daemon.cells import Cell, Cells
from fogbank.engines.sandbox.daemon.config import Config
from fogbank.engines.sandbox.daemon.messages import Malformed, Message

OUTLETS = 3
"""Descriptors of frames, birth and output; behind them the code's and, if there are any, the layers'."""
_TREES = (1, 2)
_MEMORY_MB = range(16, 1 << 24)
_TMP_MB = range(1, 1 << 24)
_PORTS = range(65_536)
_BYTES_PER_MB = 1024 * 1024


def paths_behind(fds: Sequence[int]) -> list[str]:
    """Return what descriptors of the client's are called."""
    return [str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in fds]


def require_room(message: Message, cells: Cells, config: Config) -> None:
    """Refuse a ``start`` that cannot be had; without code it is one of a stem.

    Raises:
        OSError: There is no room for it, or it was started already.
        Malformed: It asks for what nobody asks for.
    """
    if message.number("id") in cells.living:
        raise OSError("this sandbox is living already")
    if message.text("runtime") not in config.runtimes:
        raise OSError("this runtime is not installed")
    if message.number("api") not in _PORTS:
        raise Malformed("start: a port out of range")
    if len(message.fds) == OUTLETS:
        if message.number("memory_mb") or message.number("tmp_mb"):
            raise Malformed("start: a stem has no sizes")
        if sum(not cell.memory_mb for cell in cells.living.values()) >= config.stems_max:
            raise OSError(f"{config.stems_max} stems are living already")
        if cells.bare:
            raise OSError("without namespaces there are no stems")
        return
    if len(message.fds) - OUTLETS not in _TREES:
        raise Malformed("start: four or five descriptors are needed")
    _require_size(message, cells, config)


def _require_size(message: Message, cells: Cells, config: Config) -> None:
    if message.number("memory_mb") not in _MEMORY_MB or message.number("tmp_mb") not in _TMP_MB:
        raise Malformed("start: a size out of range")
    if sum(cell.memory_mb > 0 for cell in cells.living.values()) >= config.sandboxes_max:
        raise OSError(f"{config.sandboxes_max} sandboxes are living already")


def bind(cell: Cell, message: Message, cells: Cells, config: Config) -> None:
    """Give a stem the limits of its function; from now on it is a sandbox like any other.

    Raises:
        OSError: It is none, or not built yet, or holds more than the function may.
        Malformed: It asks for what nobody asks for.
    """
    if cell.memory_mb or cell.pid < 0 or cell.cause:
        raise OSError("this is no stem that waits")
    if len(message.fds) not in _TREES:
        raise Malformed("bind: one or two descriptors are needed")
    _require_size(message, cells, config)
    memory_mb, tmp_mb = message.number("memory_mb"), message.number("tmp_mb")
    if cell.group is not None:
        cell.group.limit(memory_mb)
    file_bytes = tmp_mb * _BYTES_PER_MB
    _, hard = resource.prlimit(cell.pid, resource.RLIMIT_FSIZE)
    if hard != resource.RLIM_INFINITY:
        file_bytes = min(file_bytes, hard)
    resource.prlimit(cell.pid, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    cell.memory_mb, cell.tmp_mb, cell.name = memory_mb, tmp_mb, message.text("name")
