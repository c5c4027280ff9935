"""The construction of one sandbox, run in the freshly forked child before any user code.

Rule: the order matters and each step is one method: control groups, namespaces, mounts, network,
descriptors, limits, identity, capabilities, system-call filter. The child reports on its *birth*
socket, once: the listener of the endpoint, or why it failed; then whoever runs the function closes it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from fogbank.engines.sandbox.daemon import landlock, messages, syscalls
from fogbank.engines.sandbox.daemon.config import LANDLOCK
from fogbank.engines.sandbox.daemon.steps import Steps
from fogbank.engines.sandbox.inside import stems

TASK = "/var/task"
OPT = "/opt"
RUNTIME = "/var/runtime"
FRAMES_FD = 3
_CONTROL_FD = 3
"""Until construction takes the number for the frames."""
OPEN_FILES_MAX = 1024
_UID = 993
_GID = 990
_LISTEN_BACKLOG = 128
_REPORT_BYTES_MAX = 4096
_NOT_BUILT = 125
_BYTES_PER_MB = 1024 * 1024
_OUTLETS = 3
_READ_ONLY = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC


_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class Place(NamedTuple):
    """What is the same for all sandboxes of a zygote."""

    level: int
    port: int
    """Of the cloud's endpoint."""
    readable: tuple[str, ...]
    """Behind walls (level 3): what of the host may be read."""
    filters: dict[bool, list[bytes]]
    """System-call filters, by whether the uid is also that of others."""
    steps: Steps

    @property
    def bare(self) -> bool:
        """Return whether there are no namespaces."""
        return self.level >= LANDLOCK


class Passed(NamedTuple):
    """The descriptors that come with a ``spawn`` message."""

    own: list[int]
    """Frames, report, output and, with namespaces, the mounts of /tmp, code and layers."""
    groups: list[int]
    """What is written to, to enter the control groups."""


def descriptors_of(message: messages.Message) -> Passed:
    """Return what the descriptors of a ``spawn`` message are."""
    own = _OUTLETS + message.number("trees")
    return Passed(message.fds[:own], message.fds[own:])


def tasks_of(uid: int) -> int:
    """Return how many threads a user runs, as ``RLIMIT_NPROC`` counts them."""
    count, mine = 0, b"\nUid:\t%d\t" % uid
    for name in os.listdir("/proc"):  # noqa: PTH208 (a sandbox does without pathlib)
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/status", "rb") as file:  # noqa: PTH123 (nor here)
                status = file.read()
        except OSError:
            continue  # it has ended meanwhile
        if mine in status:
            count += int(status.partition(b"\nThreads:\t")[2].partition(b"\n")[0])
    return count


def _listening(port: int) -> socket.socket:
    """Return a listener on this sandbox's own loopback."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(_LISTEN_BACKLOG)
    return listener


class Birth:
    """Makes the current process, a fork of the zygote, the first process of a sandbox."""

    def __init__(self, control: int, place: Place) -> None:
        """Prepare to hear at a socket, by its number, what sandbox this shall be."""
        self._place = place
        self._control = socket.socket(fileno=control)
        self._failure = ""
        self._listener: socket.socket | None = None

    def prepare(self, groups: Sequence[int]) -> None:
        """Build what depends on no function; a failure is told when there is somebody to tell."""
        try:
            steps = self._place.steps
            syscalls.die_with_parent(signal.SIGKILL)
            with steps("join groups"):
                for group in groups:
                    os.write(group, b"0")
            self._keep_control()
            os.setsid()
            syscalls.set_name("fogbank-spare")
            if self._place.bare:
                syscalls.become_subreaper()
            else:
                with steps("enter namespaces"):
                    self._enter_namespaces()
                    syscalls.mount("proc", "/proc", "proc", _READ_ONLY)
                with steps("open endpoint"):
                    syscalls.bring_loopback_up()
                    self._listener = _listening(self._place.port)
        except BaseException:  # noqa: BLE001 (``enter`` reports it)
            self._failure = traceback.format_exc()

    def _keep_control(self) -> None:
        """Close all that the zygote had open but the socket at which this one waits."""
        os.dup2(self._control.detach(), _CONTROL_FD, inheritable=False)
        syscalls.close_from(_CONTROL_FD + 1, self._place.steps.wire)
        self._control = socket.socket(fileno=_CONTROL_FD)

    def enter(self) -> None:
        """Wait for the ``spawn`` message and build the rest; ends the process where that fails."""
        message = None
        with contextlib.suppress(OSError, messages.Malformed):
            message = messages.receive(self._control)
        if message is None:
            os._exit(0)  # the zygote needs no spare any more
        self._take(message)
        try:
            self._require_prepared()
            steps = self._place.steps
            syscalls.set_name(message.text("name"))
            with steps("mount"):
                self._attach()
            with steps("arrange descriptors"):
                self._arrange_descriptors()
            with steps("limit"):
                self._limit()
            with steps("change identity"):
                self._change_identity()
            self._give_up_rights()
        except BaseException:  # noqa: BLE001 (reported to the client; the process ends here)
            self._report_failure(traceback.format_exc())
            os._exit(_NOT_BUILT)

    def _require_prepared(self) -> None:
        if self._failure:
            raise RuntimeError(self._failure)

    def _take(self, message: messages.Message) -> None:
        self._message = message
        self._slot = message.number("uid")
        self._frames, report, self._output, *self._trees = message.fds
        self.report = socket.socket(fileno=report)
        self.task = message.text("code") or TASK
        self.opt = (message.text("layers") if self._place.bare else "") or OPT
        self.tmp = message.text("tmp")

    def _report_failure(self, text: str) -> None:
        try:
            self.report.send(b"failed " + text.encode()[-_REPORT_BYTES_MAX:])
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

    def _attach(self) -> None:
        """Attach the function's code and its own /tmp, and hand its listeners out.

        The first is the endpoint's, the second, where one is asked for, the Runtime API's.
        """
        if self._listener is None:
            owner = self._slot or os.getuid()
            socket.send_fds(self.report, [b"bare %d" % owner], [])
            return
        places = ("/tmp", TASK, OPT)[: len(self._trees)]  # noqa: S108 (a mount point, no file)
        for tree, place in zip(self._trees, places):  # noqa: B905 (CPython 3.9 has no ``strict``)
            syscalls.move_mount(tree, place)
        if len(self._trees) == 1:
            stems.prepare()
        opened = [self._listener]
        if api := self._message.number("api"):
            opened.append(_listening(api))
        socket.send_fds(self.report, [b"born"], [listener.fileno() for listener in opened])
        for listener in opened:
            listener.close()

    def _arrange_descriptors(self) -> None:
        """Keep 0 (null), 1 and 2 (output) and 3 (frames); close everything else.

        The report socket is kept a little above them until it is known whether a keeper needs it.
        """
        self._control.detach()  # its number is the frames' from here on
        frames = os.dup(self._frames)  # out of the way of the low numbers
        output = os.dup(self._output)
        null = os.open(os.devnull, os.O_RDONLY)
        report = os.dup(self.report.detach())
        for number, fd in ((0, null), (1, output), (2, output), (FRAMES_FD, frames)):
            os.dup2(fd, number)
        os.dup2(report, FRAMES_FD + 1, inheritable=False)
        syscalls.close_from(FRAMES_FD + 2, self._place.steps.wire)
        self.report = socket.socket(fileno=FRAMES_FD + 1)
        os.set_inheritable(FRAMES_FD, False)  # noqa: FBT003 (positional in os)

    def _limit(self) -> None:
        processes = self._message.number("processes")
        if self._place.bare and not self._slot:
            # The kernel counts whatever the user runs; what is there is not this sandbox's.
            processes += tasks_of(os.getuid())
        file_bytes = self._message.number("file_mb") * _BYTES_PER_MB
        for kind, value in (
            (resource.RLIMIT_NOFILE, OPEN_FILES_MAX),
            (resource.RLIMIT_NPROC, processes),
            (resource.RLIMIT_FSIZE, file_bytes or resource.RLIM_INFINITY),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_MEMLOCK, 64 * 1024),
            (resource.RLIMIT_MSGQUEUE, 0),
        ):
            _, hard = resource.getrlimit(kind)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901 (a limit never above the hard one)
            resource.setrlimit(kind, (value, value))

    def _change_identity(self) -> None:
        """Become this sandbox's own uid, in a user namespace that owns nothing."""
        slot = self._slot
        if slot:
            os.setgroups([])
            os.setresgid(slot, slot, slot)
            os.setresuid(slot, slot, slot)
        if self._place.bare:
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
        if self._place.bare:
            syscalls.drop_held_capabilities()
        else:
            syscalls.drop_capabilities()
        syscalls.set_dumpable(dumpable=False)
        syscalls.die_with_parent(signal.SIGKILL)  # a change of identity had cleared it
        syscalls.no_new_privileges()
        steps = self._place.steps
        if self._place.level == LANDLOCK:
            with steps("raise walls"):
                self._raise_walls()
        with steps("load filters"):
            for program in self._place.filters[not self._slot]:
                syscalls.load_seccomp(program)

    def _raise_walls(self) -> None:
        """Give up the host's files, its TCP ports but the endpoint's, and its processes."""
        layers = filter(None, (self._message.text("layers"),))
        readable = (self.task, *layers, *self._place.readable, f"/proc/{os.getpid()}")
        api = self._message.number("api")
        own, ports = (self.tmp,), (self._place.port, *filter(None, (api,)))
        landlock.restrict(landlock.Walls(readable, _DEVICES, own, ports))
