"""Level 3: walls for a process that may make no namespaces, by Landlock and system-call filters.

Rule: an allowlist of paths; everything else can be neither read, written, run nor made. What this
kernel's Landlock cannot do is said by ``lacking`` and never silently left out. Theory: Landlock
(kernel 5.13) lets any process give up rights over files for itself and its children for good; from
ABI 4 (6.7) it also restricts TCP by port, from ABI 6 (6.12) signals and abstract Unix sockets.
Paths are opened when the rules are made, and ``chmod``, ``stat`` and System V IPC are not looked at:
the stacked filters (``tools/seccomp.py``) close what of that can be closed. Numbers and structures
are those of ``linux/landlock.h``.
"""

from __future__ import annotations

import errno
import os
import platform
import stat
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from fogbank.engines.sandbox.daemon import syscalls

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (
    1 << bit for bit in range(6, 13)
)
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
BIND_TCP, CONNECT_TCP = 1, 2
SCOPE_ABSTRACT_UNIX, SCOPE_SIGNAL = 1, 2

READ = EXECUTE | READ_FILE | READ_DIR
OWN = (1 << 16) - 1 & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV)
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""What a rule about a file, not a directory, may grant; more is EINVAL."""

_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many of the rights over files an ABI knows."""
_ABI_NET, _ABI_SCOPE = 4, 6
_RULE_PATH, _RULE_PORT = 1, 2
_VERSION_FLAG = 1
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES}
_LACKING = (
    (3, "Landlock's ABI is below 3: a file of the server's user that may be read may be emptied"),
    (4, "Landlock's ABI is below 4: TCP is open to every address the machine reaches"),
    (6, "Landlock's ABI is below 6: processes of the same user can be signalled"),
)


class Kernel(NamedTuple):
    """The three system calls; tests put others in their place."""

    create_ruleset: Callable[[bytes, int], int]
    """Attributes and flags; returns a descriptor, or the ABI for no attributes and flag 1."""
    add_rule: Callable[[int, int, bytes], None]
    restrict_self: Callable[[int], None]


KERNEL = Kernel(
    syscalls.landlock_create_ruleset, syscalls.landlock_add_rule, syscalls.landlock_restrict_self
)


class Walls(NamedTuple):
    """What a process behind the walls may still touch."""

    readable: tuple[str, ...]
    devices: tuple[str, ...]
    own: tuple[str, ...]
    """Trees that it may write to."""
    ports: tuple[int, ...]
    """TCP ports that it may connect to, at any address."""


def abi(kernel: Kernel = KERNEL) -> int:
    """Return the version of this kernel's Landlock; 0 where there is none or it is switched off."""
    try:
        return kernel.create_ruleset(b"", _VERSION_FLAG)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP}:
            return 0
        raise


def lacking(version: int) -> list[str]:
    """Return what the Landlock of a kernel cannot keep apart, as sentences."""
    return [words for needed, words in _LACKING if version < needed]


def files_handled(version: int) -> int:
    """Return the rights over files that a kernel can take away."""
    return (1 << _FS_BITS[min(version, max(_FS_BITS))]) - 1


def ruleset(version: int) -> bytes:
    """Return ``struct landlock_ruleset_attr`` with all that a kernel can take away."""
    fields = [files_handled(version)]
    if version >= _ABI_NET:
        fields.append(BIND_TCP | CONNECT_TCP)
    if version >= _ABI_SCOPE:
        fields.append(SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL)
    return struct.pack(f"={len(fields)}Q", *fields)


def restrict(walls: Walls, kernel: Kernel = KERNEL) -> None:
    """Put this process behind walls for good; needs ``no_new_privileges`` before.

    Raises:
        OSError: There is no Landlock, a writable tree is missing, or a rule is refused.
    """
    version = abi(kernel)
    if not version:
        raise OSError(errno.ENOSYS, "Landlock is not in this kernel, or switched off")
    rules = kernel.create_ruleset(ruleset(version), 0)
    try:
        handled = files_handled(version)
        for path in walls.own:
            _allow(kernel, rules, path, OWN & handled)
        for paths, access in ((walls.readable, READ), (walls.devices, DEVICE)):
            for path in paths:
                if not _is_gone(path):
                    _allow(kernel, rules, path, access & handled)
        for port in walls.ports if version >= _ABI_NET else ():
            kernel.add_rule(rules, _RULE_PORT, struct.pack("=QQ", CONNECT_TCP, port))
        kernel.restrict_self(rules)
    finally:
        os.close(rules)


def _is_gone(path: str) -> bool:
    """Return whether a path is not there (for us): then there is nothing to allow."""
    try:
        os.stat(path)  # noqa: PTH116 (the errno decides)
    except OSError as error:
        if error.errno in _GONE:
            return True
        raise
    return False


def _allow(kernel: Kernel, rules: int, path: str, access: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _OF_FILES
        kernel.add_rule(rules, _RULE_PATH, struct.pack("=Qi", access, fd))
    finally:
        os.close(fd)


def programs(*, walled: bool, shared: bool, machine: str = platform.machine()) -> list[bytes]:
    """Return the system-call filters in the order to load; none for an unknown architecture.

    The allowlist comes last: it forbids loading more.

    Args:
        walled: Whether Landlock stands in for namespaces.
        shared: Whether the uid is also that of others.
        machine: The architecture.
    """
    words = [*(["shared_"] if walled and shared else []), *(["landlock_"] if walled else []), ""]
    folder = Path(__file__).parents[1] / "inside"
    paths = [folder / f"seccomp_{word}{machine}.bpf" for word in words]
    return [path.read_bytes() for path in paths if path.exists()]


def probe(readable: Iterable[str], own: str) -> str:
    """Try to put a child behind walls and filters; return why that fails, or nothing."""
    if not abi():
        return "Landlock is not in this kernel, or switched off"
    filters = programs(walled=True, shared=True)
    if not filters:
        return f"there is no system-call filter for {platform.machine()}"
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.no_new_privileges()
            restrict(Walls(tuple(readable), (), (own,), ()))
            for program in filters:
                syscalls.load_seccomp(program)
        except BaseException as error:  # noqa: BLE001 (reported, and the child ends here)
            os.write(write, f"{type(error).__name__}: {error}".encode()[:4096])
            os._exit(1)
        os._exit(0)
    os.close(write)
    reason = os.read(read, 4096).decode(errors="replace")
    os.close(read)
    _, status = os.waitpid(pid, 0)
    return reason or ("" if status == 0 else f"the probe ended with status {status}")
