"""Stems: a runtime that waits in a finished sandbox; how its code gets there afterwards.

Rule: only the zygote does this, for a sandbox in which no user code has run. Theory: the zygote's user
namespace owns the mounts of its sandboxes, so it may enter them for a moment. What waits has its
working directory at the root of a mount over ``/var/task``: ``pivot_root`` moves that of every process
in the namespace along with the mount (pivot_root(2)), which nothing else could do for a Java process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fogbank.engines.sandbox.daemon import syscalls

_TASK, _OPT = "/var/task", "/opt"
_EMPTY = "/var/fogbank/stem"
_PLACE = "code"


def prepare() -> None:
    """Mount over the code's place, in a sandbox that has no code yet, a folder to be taken away."""
    tree = syscalls.open_tree(_EMPTY)
    syscalls.move_mount(tree, _TASK)
    os.close(tree)


def attach(pid: int, trees: Sequence[int], own_mounts: int) -> None:
    """Mount code, and layers if there are any, in the sandbox of a process.

    Args:
        pid: The sandbox's first process, as the zygote numbers it.
        trees: Detached mounts.
        own_mounts: The zygote's own mount namespace, to which it returns.

    Raises:
        OSError: The sandbox is gone, or not built yet.
    """
    theirs = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    try:
        if os.path.sameopenfile(theirs, own_mounts):
            raise OSError("its mounts are not its own yet")
        syscalls.setns(theirs, syscalls.CLONE_NEWNS)
    finally:
        os.close(theirs)
    try:
        for tree in trees[1:]:
            syscalls.move_mount(tree, _OPT)
        os.chroot(_TASK)
        syscalls.move_mount(trees[0], f"/{_PLACE}")
        os.chdir(f"/{_PLACE}")
        syscalls.pivot_root(".", ".")
        syscalls.umount_detached(".")
    finally:
        _return_to(own_mounts)


def _return_to(own_mounts: int) -> None:
    """Enter the zygote's own mounts, with their root and working directory, or end."""
    try:
        syscalls.setns(own_mounts, syscalls.CLONE_NEWNS)
    except OSError:
        os._exit(1)  # it would fork the next sandbox out of this one
