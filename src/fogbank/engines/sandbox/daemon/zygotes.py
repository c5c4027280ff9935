"""How zygotes are born: namespaces, identities, root, then a fresh interpreter.

A zygote is the first process of its own pid namespace, so that killing it ends every sandbox that
it forked; it is root in a user namespace only, mapped to ids that own nothing on the host, in a
root that holds nothing of ours. One zygote serves one account and one interpreter. Rule: sandboxd
is one thread, so a raw ``clone`` is a fork.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import NamedTuple, NoReturn

from fogbank.engines.sandbox.daemon import root, syscalls
from fogbank.engines.sandbox.daemon.config import ROOTLESS
from fogbank.engines.sandbox.daemon.steps import Steps

_NAMESPACES = (
    syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWNET
)
HOST_IDS_FIRST = 0x7000_0000
"""Above the ranges that systemd gives to containers, below the sign bit."""
BLOCK_IDS = 65_536
BLOCKS_MAX = 256
CONTROL_FD = 3
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}
"""What sandboxes keep of freed memory (mallopt(3)): a picture of a few megabytes costs no page
faults each time it is made. Set at the birth of the interpreter only, and gone when a function has
its variables.
"""
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from fogbank.engines.sandbox.inside.zygote import main; main(sys.argv[2])"
)


class Identity(NamedTuple):
    """Whom sandboxes are on the host."""

    privileged: bool
    """Whether we are the host's root: then each sandbox has a host uid of its own."""
    uid: int
    gid: int
    """Our own on the host."""

    def host_uid(self, block: int, slot: int) -> int:
        """Return the host's uid of one sandbox (an ordinary user has only their own)."""
        return HOST_IDS_FIRST + block * BLOCK_IDS + slot if self.privileged else self.uid

    def write_maps(self, pid: int, block: int) -> None:
        """Map the ids of a new user namespace; seen from the namespace we are in."""
        if self.privileged:
            first = HOST_IDS_FIRST + block * BLOCK_IDS
            _write_maps(pid, f"0 {first} {BLOCK_IDS}", f"0 {first} {BLOCK_IDS}")
        else:
            Path(f"/proc/{pid}/setgroups").write_text("deny", encoding="ascii")
            _write_maps(pid, "0 0 1", "0 0 1")


def _write_maps(pid: int | str, uids: str, gids: str) -> None:
    for name, text in (("uid_map", uids), ("gid_map", gids)):
        Path(f"/proc/{pid}/{name}").write_text(text, encoding="ascii")


def enter_own_namespace() -> None:
    """Give an ordinary user's daemon the rights to mount, in a user namespace of its own."""
    uid, gid = os.getuid(), os.getgid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    _write_maps("self", f"0 {uid} 1", f"0 {gid} 1")


class Interpreter(NamedTuple):
    """How to start a zygote of one runtime."""

    executable: str
    plan: root.Plan
    runtime: str = ""
    """Without namespaces: the directory that leads to the preinstalled libraries."""
    readable: tuple[str, ...] = ()
    """Behind walls: what of the host may be read."""


class Wanted(NamedTuple):
    """What is asked of every zygote."""

    port: int
    """Where sandboxes find the cloud's endpoint, on their own loopback."""
    spares: int
    """How many sandboxes it forks ahead."""


class Born(NamedTuple):
    """A zygote just started."""

    pid: int
    pidfd: int
    control: socket.socket


def start(
    interpreter: Interpreter, identity: Identity, block: int, wanted: Wanted, steps: Steps
) -> Born:
    """Start a zygote in namespaces of its own; it reports ``ready`` when it is warm."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gate_read, gate_write = os.pipe()
    with steps("clone zygote"):
        pid = syscalls.clone(_NAMESPACES)
        if pid == 0:
            os.close(gate_write)
            steps.leave()
            config: dict[str, object] = {**wanted._asdict(), "level": ROOTLESS}
            groups = identity.privileged
            _become_zygote(interpreter, theirs, gate_read, config, steps, groups=groups)
    try:
        with steps("map zygote"):
            identity.write_maps(pid, block)
        with steps("open zygote's gate"):
            os.write(gate_write, b"g")
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(gate_read)
        os.close(gate_write)
    ours.settimeout(0)
    return Born(pid, os.pidfd_open(pid), ours)


def _become_zygote(
    interpreter: Interpreter,
    control: socket.socket,
    gate: int,
    config: dict[str, object],
    steps: Steps,
    *,
    groups: bool,
) -> NoReturn:
    """Build the root and become a fresh interpreter in it; runs in the child."""
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        if os.read(gate, 1) != b"g":
            os._exit(1)  # sandboxd died between the fork and the maps
        os.umask(0o022)
        with steps("build root"):
            root.enter(interpreter.plan, groups=groups)
        _execute(interpreter, control, config, root.INSIDE, steps)
    except BaseException:  # noqa: BLE001 (nothing may unwind into the daemon's frames)
        sys.stderr.write(f"sandboxd: a zygote was not born: {traceback.format_exc()}")
        os._exit(1)


def _execute(
    interpreter: Interpreter,
    control: socket.socket,
    config: dict[str, object],
    path: str,
    steps: Steps,
) -> NoReturn:
    """Replace this process by a zygote without variables of ours and no other descriptors."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if control.fileno() != CONTROL_FD:
        os.dup2(control.fileno(), CONTROL_FD)
    os.set_inheritable(CONTROL_FD, True)  # noqa: FBT003 (positional in os)
    syscalls.close_from(CONTROL_FD + 1, steps.wire)
    flags = ["-I", "-S", "-B", "-X", "utf8"]
    with steps("execute zygote"):
        config |= {"deadly_step": steps.deadly, "wire": steps.wire}
        arguments = [interpreter.executable, *flags, "-c", _START, path, json.dumps(config)]
        os.execve(interpreter.executable, arguments, _MALLOC)  # noqa: S606 (no shell is wanted)


def start_bare(interpreter: Interpreter, wanted: Wanted, level: int, steps: Steps) -> Born:
    """Start a zygote without namespaces: what is left on a machine that forbids them."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    config: dict[str, object] = {
        **wanted._asdict(),
        "level": level,
        "runtime": interpreter.runtime,
        "readable": interpreter.readable,
    }
    with steps("clone zygote"):
        pid = os.fork()
        if pid == 0:
            steps.leave()
            _become_bare_zygote(interpreter, theirs, config, steps)
    theirs.close()
    ours.settimeout(0)
    return Born(pid, os.pidfd_open(pid), ours)


def _become_bare_zygote(
    interpreter: Interpreter, control: socket.socket, config: dict[str, object], steps: Steps
) -> NoReturn:
    """Become a fresh interpreter; runs in the child."""
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        _execute(interpreter, control, config, str(Path(__file__).parents[4]), steps)
    except BaseException:  # noqa: BLE001 (nothing may unwind into the daemon's frames)
        sys.stderr.write(f"sandboxd: a zygote was not born: {traceback.format_exc()}")
        os._exit(1)


def probe(interpreter: Interpreter, identity: Identity) -> str:
    """Try to build a zygote's namespaces and root; return why it fails, or nothing.

    Detection is by trying: sysctl files and versions do not tell what a container's own filter
    or a security module forbids.
    """
    read, write = os.pipe()
    gate_read, gate_write = os.pipe()
    try:
        pid = syscalls.clone(_NAMESPACES)
    except OSError as error:
        return f"no user namespaces ({error.strerror})"
    if pid == 0:
        try:
            os.close(gate_write)
            os.read(gate_read, 1)
            os.umask(0o022)
            root.enter(interpreter.plan, groups=identity.privileged)
            arguments = [interpreter.executable, "-I", "-S", "-c", ""]
            os.execve(interpreter.executable, arguments, {})  # noqa: S606 (no shell is wanted)
        except BaseException as error:  # noqa: BLE001 (reported, and the child ends here)
            os.write(write, f"{type(error).__name__}: {error}".encode()[:4096])
            os._exit(1)
    with contextlib.suppress(OSError):
        identity.write_maps(pid, 0)
    os.write(gate_write, b"g")
    os.close(write)
    reason = os.read(read, 4096).decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    for fd in (read, gate_read, gate_write):
        os.close(fd)
    return reason or ("" if status == 0 else f"the probe ended with status {status}")
