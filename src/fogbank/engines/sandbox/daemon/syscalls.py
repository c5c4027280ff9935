"""The system calls that build sandboxes, by ctypes.

Rule: one thin function per call, errors as ``OSError`` with the call's name; no policy here.
Theory: as fast as bubblewrap, and only raw calls can fork a warm interpreter
(reference/lambda.md section 5). Numbers from 424 on are the same on every architecture.
Used on both sides of the wall: by sandboxd and, copied, by the code inside the sandbox.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
from fcntl import ioctl

_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

MACHINE = platform.machine()
_NUMBERS = {
    "x86_64": {"clone": 56, "pivot_root": 155, "seccomp": 317},
    "aarch64": {"clone": 220, "pivot_root": 41, "seccomp": 277},
}
_NR = _NUMBERS.get(MACHINE, {})
_NR_OPEN_TREE = 428
_NR_MOVE_MOUNT = 429
_NR_CLOSE_RANGE = 436
_NR_MOUNT_SETATTR = 442
_NR_LANDLOCK_CREATE_RULESET = 444
_NR_LANDLOCK_ADD_RULE = 445
_NR_LANDLOCK_RESTRICT_SELF = 446

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000
_SIGCHLD = 17

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
MS_SLAVE = 0x8_0000
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

_OPEN_TREE_CLONE = 0x1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECUREBITS_LOCKED = 0xEF  # no root, no setuid fix-up, keep-caps off, no ambient raise; all locked
_CAPABILITY_VERSION_3 = 0x2008_0522
_CAPABILITIES_MAX = 64

_SECCOMP_SET_MODE_FILTER = 1
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _number(name: str) -> int:
    if name not in _NR:
        raise OSError(f"{name}: its number on {MACHINE} is not known here")
    return _NR[name]


def _call(name: str, number: int, *arguments: int | bytes | None) -> int:
    """Make a system call; integers go as longs, bytes as pointers."""
    cooked = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(name, _libc.syscall(ctypes.c_long(number), *cooked))


def clone(flags: int) -> int:
    """Fork into new namespaces; like ``fork``, returns twice. Only for a process of one thread."""
    return _call("clone", _number("clone"), flags | _SIGCHLD, 0, 0, 0, 0)


def unshare(flags: int) -> None:
    """Leave the namespaces that are named for new ones."""
    _checked("unshare", _libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, kind: int) -> None:
    """Enter the namespace behind a descriptor."""
    _checked("setns", _libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)))


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a file system, or change the propagation of one."""
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _checked(f"mount {kind or 'flags'} on {target}", result)


def umount_detached(target: str) -> None:
    """Take a mount and all below it out of the tree at once."""
    _checked(f"umount {target}", _libc.umount2(target.encode(), MNT_DETACH))


def pivot_root(new_root: str, put_old: str) -> None:
    """Make a mount the root of this mount namespace."""
    _call("pivot_root", _number("pivot_root"), new_root.encode(), put_old.encode())


def open_tree(path: str) -> int:
    """Return a descriptor of a detached copy of the mounts at and below a path."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    return _call(f"open_tree {path}", _NR_OPEN_TREE, _AT_FDCWD, path.encode(), flags)


def move_mount(tree: int, target: str) -> None:
    """Attach a detached tree at a path."""
    name = f"move_mount to {target}"
    flags = _MOVE_MOUNT_F_EMPTY_PATH
    _call(name, _NR_MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), flags)


def restrict_tree(tree: int, attributes: int) -> None:
    """Set mount attributes on a detached tree and all below it, and make it private."""
    attr = _MountAttr(attributes, 0, MS_PRIVATE, 0)
    flags = _AT_EMPTY_PATH | _AT_RECURSIVE
    result = _libc.syscall(
        ctypes.c_long(_NR_MOUNT_SETATTR),
        ctypes.c_long(tree),
        b"",
        ctypes.c_long(flags),
        ctypes.byref(attr),
        ctypes.c_long(ctypes.sizeof(attr)),
    )
    _checked("mount_setattr", result)


def restrict_mount(path: str, attributes: int) -> None:
    """Set mount attributes on the one mount at a path."""
    attr = _MountAttr(attributes, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_NR_MOUNT_SETATTR),
        ctypes.c_long(_AT_FDCWD),
        path.encode(),
        ctypes.c_long(0),
        ctypes.byref(attr),
        ctypes.c_long(ctypes.sizeof(attr)),
    )
    _checked(f"mount_setattr {path}", result)


def set_hostname(name: str) -> None:
    """Name the host of this UTS namespace."""
    raw = name.encode()
    _checked("sethostname", _libc.sethostname(raw, ctypes.c_size_t(len(raw))))


def close_from(first: int, kept: int = -1) -> None:
    """Close every descriptor from a number on, but one."""
    if kept >= first:
        _call("close_range", _NR_CLOSE_RANGE, first, kept - 1, 0)
    _call("close_range", _NR_CLOSE_RANGE, max(first, kept + 1), 0xFFFF_FFFF, 0)


def _prctl(name: str, option: int, *arguments: int | bytes) -> int:
    cooked = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    cooked += [ctypes.c_ulong(0)] * (4 - len(cooked))
    return _checked(name, _libc.prctl(ctypes.c_int(option), *cooked))


def die_with_parent(signal_number: int) -> None:
    """Have the kernel signal this process when its parent's thread ends."""
    _prctl("pdeathsig", _PR_SET_PDEATHSIG, signal_number)


def set_dumpable(*, dumpable: bool) -> None:
    """Allow or forbid core dumps, tracing and foreign looks into /proc/self."""
    _prctl("dumpable", _PR_SET_DUMPABLE, int(dumpable))


def set_name(name: str) -> None:
    """Name this process in listings (15 bytes are shown)."""
    _prctl("name", _PR_SET_NAME, name.encode()[:15] + b"\0")


def become_subreaper() -> None:
    """Adopt the orphans among this process's descendants."""
    _prctl("subreaper", _PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    """Make set-user-id files and file capabilities powerless from here on."""
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)


def drop_held_capabilities() -> None:
    """Empty the ambient, inheritable, permitted and effective sets: all that needs no right."""
    _prctl("ambient", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked("capset", _libc.capset(header, bytes(24)))


def drop_capabilities() -> None:
    """Empty the bounding, ambient, inheritable, permitted and effective sets for good."""
    for capability in range(_CAPABILITIES_MAX):
        try:
            _prctl("bounding set", _PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL and capability:
                break  # past the last one that this kernel knows
            raise
    _prctl("securebits", _PR_SET_SECUREBITS, _SECUREBITS_LOCKED)
    drop_held_capabilities()


def load_seccomp(program: bytes) -> None:
    """Load a BPF program over system calls; needs ``no_new_privileges`` before."""
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = _SockFprog(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    result = _libc.syscall(
        ctypes.c_long(_number("seccomp")),
        ctypes.c_long(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_long(0),
        ctypes.byref(fprog),
    )
    _checked("seccomp", result)


def landlock_create_ruleset(attributes: bytes, flags: int) -> int:
    """Return a descriptor of an empty rule set, or the ABI where flags ask for it."""
    name = "landlock_create_ruleset"
    given = attributes or None
    return _call(name, _NR_LANDLOCK_CREATE_RULESET, given, len(attributes), flags)


def landlock_add_rule(ruleset: int, kind: int, attributes: bytes) -> None:
    """Add a rule about a path or a port to a rule set."""
    _call("landlock_add_rule", _NR_LANDLOCK_ADD_RULE, ruleset, kind, attributes, 0)


def landlock_restrict_self(ruleset: int) -> None:
    """Put this process and its children behind a rule set for good."""
    _call("landlock_restrict_self", _NR_LANDLOCK_RESTRICT_SELF, ruleset, 0)


def bring_loopback_up() -> None:
    """Set the loopback interface of this network namespace up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
