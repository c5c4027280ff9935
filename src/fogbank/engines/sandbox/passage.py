"""The way to what sandboxes use, where they see the machine's own tree (levels 3 and 4).

Rule: started as root, an environment has a uid of its own, which owns nothing and passes a folder
only by the right that everybody has. Folders of ours are opened for passing (``x``, never ``r``:
what lies in them is not listed, and has rights of its own); one that is not ours is named, with
what to do, and nothing is changed about it.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

_UID_FIELD = 7
_MAPPED = f"{'0' * 16}{int.from_bytes(bytes([0, 0, 255, 255]), sys.byteorder):08X}"
"""The words before the last of an address of version 4 in one of version 6."""
PASS = stat.S_IXGRP | stat.S_IXOTH


def open_way(folders: Iterable[str]) -> None:
    """Let everybody pass folders of ours."""
    for folder in folders:
        mode = stat.S_IMODE(os.stat(folder).st_mode)  # noqa: PTH116 (beside os.chmod)
        os.chmod(folder, mode | PASS)  # noqa: PTH101 (beside os.stat)


def barred(paths: Iterable[str], ours: Iterable[str] = ()) -> str:
    """Return what keeps everybody from paths, as a sentence; empty where nothing does.

    Args:
        paths: Files that must be readable, folders that must be passable, as far as they exist.
        ours: Folders that are, or will be, opened for passing.
    """
    opened = {os.path.realpath(folder) for folder in ours}
    for path in paths:
        real = Path(os.path.realpath(path))
        for step in (*reversed(real.parents), real):
            if str(step) not in opened and not _is_open(step):
                return (
                    f"environments have users of their own, which may not pass {step}: "
                    f"let others pass it (chmod o+x {step}), use another place than {real}, or "
                    "start as an ordinary user"
                )
    return ""


def _is_open(path: Path) -> bool:
    """Return whether everybody may pass a folder or read a file; what is not there bars nobody."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    return bool(mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH))


Address = tuple[str, int]
"""Of IPv4, and a port."""


def owner_of(peer: Address, here: Address) -> int | None:
    """Return the uid of a process of this machine that has connected from an address to another.

    Both count: a port may be that of several connections, to different places, of which others are
    somebody else's, or over and nobody's.

    Source: proc_net_tcp (kernel documentation): the local address of a row is that of its owner.
    """
    ends = [_shown(peer), _shown(here)]
    # A program may have connected from a socket of version 6, under the mapped address.
    for table, wanted in (("tcp", ends), ("tcp6", [f"{_MAPPED}{end}" for end in ends])):
        with Path(f"/proc/net/{table}").open(encoding="ascii") as file:
            for line in file:
                fields = line.split()
                if fields[1:3] == wanted:
                    return int(fields[_UID_FIELD])
    return None


def _shown(address: Address) -> str:
    """Return an address as the kernel's tables show it."""
    host, port = address
    return f"{int.from_bytes(bytes(map(int, host.split('.'))), sys.byteorder):08X}:{port:04X}"
