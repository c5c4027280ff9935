"""The construction of one sandbox, run in the freshly forked child before any user code.

Rule: the order matters and each step is one method: control groups, namespaces, mounts, network,
descriptors, limits, identity, capabilities, system-call filter. The child reports on its *birth*
socket, once: the listener of the endpoint, or why it failed; then that socket is closed.
"""

from __future__ import annotations

import os
import platform
import resource
import signal
import socket
import traceback
from pathlib import Path

from fogbank.engines.sandbox.daemon import messages, syscalls

TASK = "/var/task"
RUNTIME = "/var/runtime"
FRAMES_FD = 3
OPEN_FILES_MAX = 1024
_UID = 993
_GID = 990
_LISTEN_BACKLOG = 128
_REPORT_BYTES_MAX = 4096
_NOT_BUILT = 125
_BYTES_PER_MB = 1024 * 1024
_READ_ONLY = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC


def seccomp_program() -> bytes:
    """Return the committed filter for this architecture, or nothing where there is none."""
    path = Path(__file__).with_name(f"seccomp_{platform.machine()}.bpf")
    return path.read_bytes() if path.exists() else b""


class Birth:
    """Makes the current process, a fork of the zygote, the first process of a sandbox."""

    def __init__(self, message: messages.Message, *, port: int, bare: bool, seccomp: bytes) -> None:
        self._message = message
        self._port = port
        self._bare = bare
        self._seccomp = seccomp
        self._frames, report, self._output, *rest = message.fds
        self._report = socket.socket(fileno=report)
        trees = 0 if bare else 2
        self._trees, self._groups = rest[:trees], rest[trees:]
        self.task = message.text("code") or TASK

    def enter(self) -> None:
        """Build everything; ends the process where a step fails."""
        try:
            syscalls.die_with_parent(signal.SIGKILL)
            for group in self._groups:
                os.write(group, b"0")
            os.setsid()
            syscalls.set_name(self._message.text("name"))
            if self._bare:
                syscalls.become_subreaper()
                socket.send_fds(self._report, [b"bare"], [])
            else:
                self._enter_namespaces()
                self._mount()
                self._open_network()
            self._arrange_descriptors()
            self._limit()
            self._change_identity()
            self._give_up_rights()
        except BaseException:  # noqa: BLE001 (reported to the client; the process ends here)
            self._report_failure(traceback.format_exc())
            os._exit(_NOT_BUILT)

    def _report_failure(self, text: str) -> None:
        try:
            self._report.send(b"failed " + text.encode()[-_REPORT_BYTES_MAX:])
        except OSError:
            os.write(2, text.encode())

    def _enter_namespaces(self) -> None:
        syscalls.unshare(
            syscalls.CLONE_NEWNS
            | syscalls.CLONE_NEWIPC
            | syscalls.CLONE_NEWUTS
            | syscalls.CLONE_NEWNET
        )
        syscalls.set_hostname("lambda")

    def _mount(self) -> None:
        """Attach the function's code and its own /tmp, and a /proc of this pid namespace."""
        code, tmp = self._trees
        syscalls.move_mount(code, TASK)
        syscalls.move_mount(tmp, "/tmp")  # noqa: S108 (a mount point, no file)
        syscalls.mount("proc", "/proc", "proc", _READ_ONLY)

    def _open_network(self) -> None:
        """Open the endpoint's port on this sandbox's own loopback and hand the listener out."""
        syscalls.bring_loopback_up()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self._port))
            listener.listen(_LISTEN_BACKLOG)
            socket.send_fds(self._report, [b"born"], [listener.fileno()])

    def _arrange_descriptors(self) -> None:
        """Keep 0 (null), 1 and 2 (output) and 3 (frames); close everything else.

        The report socket is kept a little above them until construction has ended.
        """
        frames = os.dup(self._frames)  # out of the way of the low numbers
        output = os.dup(self._output)
        null = os.open(os.devnull, os.O_RDONLY)
        report = os.dup(self._report.detach())
        for number, fd in ((0, null), (1, output), (2, output), (FRAMES_FD, frames)):
            os.dup2(fd, number)
        os.dup2(report, FRAMES_FD + 1, inheritable=False)
        syscalls.close_from(FRAMES_FD + 2)
        self._report = socket.socket(fileno=FRAMES_FD + 1)
        os.set_inheritable(FRAMES_FD, False)  # noqa: FBT003 (positional in os)

    def _limit(self) -> None:
        processes = self._message.number("processes")
        for kind, value in (
            (resource.RLIMIT_NOFILE, OPEN_FILES_MAX),
            (resource.RLIMIT_NPROC, processes),
            (resource.RLIMIT_FSIZE, self._message.number("file_mb") * _BYTES_PER_MB),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_MEMLOCK, 64 * 1024),
            (resource.RLIMIT_MSGQUEUE, 0),
        ):
            _, hard = resource.getrlimit(kind)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901 (a limit never above the hard one)
            resource.setrlimit(kind, (value, value))

    def _change_identity(self) -> None:
        """Become this sandbox's own uid, in a user namespace that owns nothing."""
        slot = self._message.number("uid")
        if slot:
            os.setgroups([])
            os.setresgid(slot, slot, slot)
            os.setresuid(slot, slot, slot)
        if self._bare:
            return
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        syscalls.set_dumpable(dumpable=True)  # or /proc/self would not be ours to write
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{_UID} {slot} 1"),
            ("gid_map", f"{_GID} {slot} 1"),
        ):
            fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(fd, text.encode())
            os.close(fd)

    def _give_up_rights(self) -> None:
        if not self._bare:
            syscalls.drop_capabilities()
        syscalls.set_dumpable(dumpable=False)
        syscalls.die_with_parent(signal.SIGKILL)  # a change of identity had cleared it
        syscalls.no_new_privileges()
        self._report.close()
        if self._seccomp:
            syscalls.load_seccomp(self._seccomp)
