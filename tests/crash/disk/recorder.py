"""Records what a process tree asks of the disk below one folder, with ptrace(2).

Run as ``python recorder.py TRACE ROOT COMMAND...``: runs the command and writes ``events.py``'s
events to TRACE, pickled. It needs no rights, no library and no file system of its own; a seccomp
filter has the kernel stop the children at the calls of the list below only. A change of the folder
that the disk's model does not know (a shared writable mapping, ``fallocate``, ``sync``) ends the
recording with an error, so that no write goes by unseen. A thread that is killed within a call has
carried it out or not, and nothing tells: such a record is void, which status 75 says.

Theory: the sync of a file covers what was written before it began, so both its ends are recorded:
a write of another thread meanwhile may be on the disk or not.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import platform
import signal
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.crash.disk.events import (
    Event,
    Link,
    Make,
    MakeFolder,
    Remove,
    Rename,
    Said,
    SyncBegin,
    SyncEnd,
    Truncate,
    Write,
)
from tests.crash.disk.labels.sitecustomize import LABEL

_NUMBERS: Final = {
    "x86_64": {
        "write": 1, "open": 2, "mmap": 9, "ioctl": 16, "pwrite64": 18, "writev": 20, "msync": 26,
        "sendfile": 40, "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77,
        "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87,
        "symlink": 88, "sync": 162, "openat": 257, "mkdirat": 258, "unlinkat": 263,
        "renameat": 264, "linkat": 265, "symlinkat": 266, "sync_file_range": 277,
        "fallocate": 285, "pwritev": 296, "syncfs": 306, "renameat2": 316,
        "copy_file_range": 326, "pwritev2": 328, "openat2": 437,
    },
    "aarch64": {
        "ioctl": 29, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37,
        "renameat": 38, "truncate": 45, "ftruncate": 46, "fallocate": 47, "openat": 56,
        "write": 64, "writev": 66, "pwrite64": 68, "pwritev": 70, "sendfile": 71, "sync": 81,
        "fsync": 82, "fdatasync": 83, "sync_file_range": 84, "mmap": 222, "msync": 227,
        "syncfs": 267, "renameat2": 276, "copy_file_range": 285, "pwritev2": 287,
        "openat2": 437,
    },
}  # fmt: skip
NUMBERS: Final = _NUMBERS[platform.machine()]
NAMES: Final = {number: name for name, number in NUMBERS.items()}

_TRACEME, _CONT, _SYSCALL = 0, 7, 24
_SETOPTIONS, _GET_SYSCALL_INFO = 0x4200, 0x420E
# Fork, vfork, clone, exec, seccomp; marked stops of calls; nobody survives the recorder.
_OPTIONS: Final = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x80 | 0x100000
_EVENT_SECCOMP: Final = 7
_WALL: Final = 0x40000000
_AT_FDCWD: Final = -100
_AT_REMOVEDIR: Final = 0x200
_RENAME_NOREPLACE: Final = 1
_MAP_SHARED, _PROT_WRITE = 1, 2
_FICLONE: Final = 0x40049409
_BEGIN_TO_WRITE: Final = 2
_INFO: Final = struct.Struct("<B3xIQQ7QI4x")

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
libc.ptrace.restype = ctypes.c_long
libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> int:
    result: int = libc.ptrace(request, pid, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def filter_program() -> bytes:
    """Return the BPF program: stop at the calls of the list, at ``mmap`` only if it is shared."""
    stop, let = 0x7FF00000, 0x7FFF0000  # SECCOMP_RET_TRACE, SECCOMP_RET_ALLOW
    others = [number for name, number in NUMBERS.items() if name != "mmap"]
    load, equal, bits, back = 0x20, 0x15, 0x45, 0x06
    count = len(others)
    code = [(load, 0, 0, 0), (equal, 0, 2, NUMBERS["mmap"])]
    code += [(load, 0, 0, 16 + 8 * 3), (bits, count + 1, count, _MAP_SHARED)]
    code += [(equal, count - index, 0, number) for index, number in enumerate(others)]
    code += [(back, 0, 0, let), (back, 0, 0, stop)]
    return b"".join(struct.pack("<HBBI", *each) for each in code)


def start(command: list[str]) -> int:
    """Start the command, stopped before its first instruction of its own."""
    program = filter_program()
    pid = os.fork()
    if pid:
        return pid
    try:
        ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        buffer = ctypes.create_string_buffer(program)
        head = ctypes.create_string_buffer(
            struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
        )
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.addressof(head), 0, 0):
            raise OSError(ctypes.get_errno(), "no seccomp filter")
        os.execv(command[0], command)
    finally:
        os._exit(127)


class Called(NamedTuple):
    """A system call at its entry."""

    name: str
    arguments: tuple[int, ...]
    paths: tuple[str, ...]


class Recorder:
    """Follows every thread of a process tree."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self.events: list[Event] = []
        self._called: dict[int, Called] = {}
        self._labels: dict[int, str] = {}
        self._syncs: dict[int, int] = {}
        self._seen: set[int] = set()
        self._ended: dict[int, int] = {}
        self.cut_short: list[Called] = []

    # The loop.

    def run(self, command: list[str]) -> int:
        """Run the command to the end of all its processes; return the status of the first."""
        first = start(command)
        os.waitpid(first, 0)
        ptrace(_SETOPTIONS, first, 0, _OPTIONS)
        self._seen.add(first)
        ptrace(_CONT, first)
        while True:
            try:
                pid, told = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return os.waitstatus_to_exitcode(self._ended[first])
            if not os.WIFSTOPPED(told):
                self._died(pid, told)
                continue
            try:
                self._stopped(pid, told)
            except OSError:
                if self._is_stopped(pid):
                    raise

    def _is_stopped(self, pid: int) -> bool:
        """Return whether a thread still is where it stopped: one that was killed meanwhile is not."""
        try:
            self._info(pid)
        except ProcessLookupError:
            return False
        return True

    def _died(self, pid: int, told: int) -> None:
        self._ended[pid] = told
        called = self._called.pop(pid, None)
        if called is not None and called.name not in _SYNCS:
            self.cut_short.append(called)

    def _stopped(self, pid: int, told: int) -> None:
        """Look at a thread that has stopped, and let it go on."""
        number, event = os.WSTOPSIG(told), told >> 16
        if event == _EVENT_SECCOMP:
            if not self._entered(pid):
                ptrace(_CONT, pid)
            elif pid in self._syncs:
                ptrace(_SYSCALL, pid)
            else:
                self._see_through(pid)
        elif number == signal.SIGTRAP | 0x80:
            self._left(pid)
            ptrace(_CONT, pid)
        elif event or (number == signal.SIGSTOP and pid not in self._seen):
            self._seen.add(pid)
            ptrace(_CONT, pid)
        else:
            ptrace(_CONT, pid, 0, number)

    def _see_through(self, pid: int) -> None:
        """Let one thread come to the end of its call before any other: so the record has the order."""
        number = 0
        while True:
            ptrace(_SYSCALL, pid, 0, number)
            _, told = os.waitpid(pid, _WALL)
            if not os.WIFSTOPPED(told):
                self._died(pid, told)
                return
            number = os.WSTOPSIG(told)
            if number == signal.SIGTRAP | 0x80:
                self._left(pid)
                ptrace(_CONT, pid)
                return

    def _info(self, pid: int) -> tuple[int, ...]:
        """Return the numbers of a call: number and arguments at its entry, the result at its end."""
        buffer = ctypes.create_string_buffer(_INFO.size)
        ptrace(_GET_SYSCALL_INFO, pid, _INFO.size, ctypes.addressof(buffer))
        return _INFO.unpack(buffer.raw)[4:]

    # Memory and files of the stopped thread.

    def _memory(self, pid: int, address: int, count: int) -> bytes:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            data = os.pread(memory.fileno(), count, address)
        if len(data) != count:
            raise ProcessLookupError(f"the memory of {pid} is gone")
        return data

    def _text(self, pid: int, address: int) -> str:
        raw = b""
        while b"\0" not in raw:
            raw += self._memory(pid, address + len(raw), 256 - (address + len(raw)) % 256)
        return os.fsdecode(raw.partition(b"\0")[0])

    def _path(self, pid: int, folder: int, name: str) -> str | None:
        """Return a path relative to the root; None if it is elsewhere."""
        folder = ctypes.c_int(folder).value
        at = f"/proc/{pid}/cwd" if folder == _AT_FDCWD else f"/proc/{pid}/fd/{folder}"
        full = os.path.normpath(os.path.join(os.readlink(at), name))
        full = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
        return self._below(full)

    def _below(self, full: str) -> str | None:
        if full == self.root:
            return "."
        return full.removeprefix(self.root + "/") if full.startswith(self.root + "/") else None

    def _file(self, pid: int, fd: int) -> tuple[str, int | None] | None:
        """Return path and inode of a descriptor; None if it is nothing below the root."""
        try:
            full = os.readlink(f"/proc/{pid}/fd/{ctypes.c_int(fd).value}")
        except FileNotFoundError:
            return None  # no such descriptor: the call will fail
        below = self._below(full.removesuffix(" (deleted)"))
        if below is None:
            return None
        found = os.stat(f"/proc/{pid}/fd/{fd}")
        return below, None if stat.S_ISDIR(found.st_mode) else found.st_ino

    def _is_output(self, pid: int) -> bool:
        """Return whether the standard output is the recorder's own, and no pipe to a parent."""
        return os.path.samestat(os.stat(f"/proc/{pid}/fd/1"), os.fstat(1))

    def _about(self, pid: int, fd: int) -> tuple[int, int]:
        """Return place and flags of a descriptor."""
        lines = Path(f"/proc/{pid}/fdinfo/{fd}").read_text().split()
        return int(lines[1]), int(lines[3], 8)

    # Calls.

    def _entered(self, pid: int) -> bool:
        """Note the entry of a call; return whether its end is to be seen."""
        number, *arguments = self._info(pid)[:7]
        name = NAMES[number]
        if name in {"open", "creat", "openat"}:
            return self._entered_open(pid, name, arguments)
        if name == "ioctl" and arguments[1] != _FICLONE:
            return False
        paths: tuple[str, ...] = ()
        if name in _PATHS:
            paths = tuple(self._text(pid, arguments[each]) for each in _PATHS[name])
        if name in _SYNCS:
            label = self._labels.pop(pid, "lmdb")
            if (found := self._file(pid, arguments[0])) is None:
                return False
            self._syncs[pid] = len(self.events)
            self.events.append(SyncBegin(*found, label))
        elif name in _WRITES and not self._is_seen(pid, arguments[0]):
            return False
        self._called[pid] = Called(name, tuple(arguments), paths)
        return True

    def _is_seen(self, pid: int, fd: int) -> bool:
        """Return whether what is written there counts: only that cannot block, either."""
        return (fd == 1 and self._is_output(pid)) or self._file(pid, fd) is not None

    def _entered_open(self, pid: int, name: str, arguments: list[int]) -> bool:
        """Look at the opening of a file: only one that may change the folder counts."""
        at = 1 if name == "openat" else 0
        flags = os.O_CREAT | os.O_TRUNC if name == "creat" else arguments[at + 1]
        path = self._text(pid, arguments[at])
        if path.startswith(LABEL):
            self._labels[pid] = path.removeprefix(LABEL)
            return False
        if not flags & (os.O_CREAT | os.O_TRUNC):
            return False
        folder = arguments[0] if name == "openat" else _AT_FDCWD
        self._called[pid] = Called("open", (folder, flags), (path,))
        return True

    def _left(self, pid: int) -> None:
        """Note what a call did."""
        called = self._called[pid]
        result = ctypes.c_int64(self._info(pid)[0]).value
        begun = self._syncs.pop(pid, None)
        if result >= 0 and begun is not None:
            self.events.append(SyncEnd(begun))
        elif result >= 0:
            _CALLS[called.name](self, pid, called, result)
        del self._called[pid]

    def _open(self, pid: int, called: Called, result: int) -> None:
        folder, flags = called.arguments
        if (path := self._path(pid, folder, called.paths[0])) is not None:
            inode = os.stat(f"/proc/{pid}/fd/{result}").st_ino
            self.events.append(Make(path, inode, bool(flags & os.O_TRUNC)))

    def _write(self, pid: int, called: Called, result: int) -> None:
        fd = called.arguments[0]
        if called.name == "write" and fd == 1 and self._is_output(pid):
            self.events.append(Said(self._memory(pid, called.arguments[1], result)))
            return
        if (found := self._file(pid, fd)) is None:
            return
        place, flags = self._about(pid, fd)
        vectors = [(called.arguments[1], called.arguments[2])]
        if called.name in {"writev", "pwritev", "pwritev2"}:
            raw = self._memory(pid, called.arguments[1], 16 * called.arguments[2])
            vectors = list(struct.iter_unpack("<QQ", raw))
        data = b"".join(self._memory(pid, address, count) for address, count in vectors)[:result]
        offset = called.arguments[3] if called.name.startswith("pwrite") else place - result
        is_synced = bool(flags & os.O_DSYNC)
        self.events.append(Write(found[1], offset, data, is_synced))

    def _copy(self, pid: int, called: Called, result: int) -> None:
        fd, pointer = called.arguments[2], called.arguments[3]
        if (found := self._file(pid, fd)) is None:
            return
        end = self._about(pid, fd)[0]
        if pointer:
            (end,) = struct.unpack("<q", self._memory(pid, pointer, 8))
        with open(f"/proc/{pid}/fd/{fd}", "rb", buffering=0) as file:
            data = os.pread(file.fileno(), result, end - result)
        assert len(data) == result
        self.events.append(Write(found[1], end - result, data, False))

    def _truncate(self, pid: int, called: Called, _: int) -> None:
        if (found := self._file(pid, called.arguments[0])) is not None:
            self.events.append(Truncate(found[1], called.arguments[1]))

    def _folder(self, pid: int, called: Called, _: int) -> None:
        at = called.arguments[0] if called.name.endswith("at") else _AT_FDCWD
        if (path := self._path(pid, at, called.paths[0])) is not None:
            self.events.append(MakeFolder(path))

    def _remove(self, pid: int, called: Called, _: int) -> None:
        at = called.arguments[0] if called.name.endswith("at") else _AT_FDCWD
        if (path := self._path(pid, at, called.paths[0])) is not None:
            self.events.append(Remove(path))

    def _two(self, pid: int, called: Called) -> tuple[str | None, str | None]:
        one, other = _AT_FDCWD, _AT_FDCWD
        if "at" in called.name:
            one, other = called.arguments[0], called.arguments[2]
        return self._path(pid, one, called.paths[0]), self._path(pid, other, called.paths[1])

    def _rename(self, pid: int, called: Called, _: int) -> None:
        flags = called.arguments[4] if called.name == "renameat2" else 0
        old, new = self._two(pid, called)
        if old is None and new is None:
            return
        assert old is not None, f"{new} came from outside"
        assert new is not None, f"{old} went outside"
        assert not flags & ~_RENAME_NOREPLACE
        self.events.append(Rename(old, new))

    def _link(self, pid: int, called: Called, _: int) -> None:
        old, new = self._two(pid, called)
        if new is not None:
            assert old is not None, f"{new} came from outside"
            self.events.append(Link(old, new))

    def _unknown(self, pid: int, called: Called, _: int) -> None:
        """Refuse what the model of the disk does not know, if it is about the folder."""
        name, arguments = called.name, called.arguments
        if name == "sync_file_range" and arguments[3] == _BEGIN_TO_WRITE:
            return  # promises nothing (sync_file_range(2), "Warning")
        if name == "mmap":
            found = self._file(pid, arguments[4]) if arguments[2] & _PROT_WRITE else None
            if found is None or found[0].endswith("lock.mdb"):
                return
            raise NotImplementedError(f"a shared mapping of {found[0]}")
        if name in {"sync", "msync", "openat2"} or any(
            self._file(pid, each) for each in arguments[:1]
        ):
            raise NotImplementedError(f"{name} {arguments} {called.paths}")


_SYNCS: Final = ("fsync", "fdatasync")
_WRITES: Final = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
_PATHS: Final = {
    "truncate": (0,), "rename": (0, 1), "mkdir": (0,), "rmdir": (0,), "link": (0, 1),
    "unlink": (0,), "symlink": (0, 1), "mkdirat": (1,), "unlinkat": (1,), "renameat": (1, 3),
    "linkat": (1, 3), "symlinkat": (0, 2), "renameat2": (1, 3),
}  # fmt: skip
_Call = Callable[[Recorder, int, Called, int], None]
_CALLS: Final[dict[str, _Call]] = {
    **dict.fromkeys(NUMBERS, Recorder._unknown),
    "open": Recorder._open,
    **dict.fromkeys(_WRITES, Recorder._write),
    "copy_file_range": Recorder._copy,
    "ftruncate": Recorder._truncate,
    **dict.fromkeys(("mkdir", "mkdirat"), Recorder._folder),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), Recorder._remove),
    **dict.fromkeys(("rename", "renameat", "renameat2"), Recorder._rename),
    **dict.fromkeys(("link", "linkat"), Recorder._link),
}


def main(arguments: list[str]) -> int:
    trace, root, *command = arguments
    recorder = Recorder(Path(root))
    status = recorder.run(command)
    Path(trace).write_bytes(pickle.dumps(recorder.events))
    if recorder.cut_short:
        sys.stderr.write(f"killed within {recorder.cut_short}: this record is void\n")
        return os.EX_TEMPFAIL
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
