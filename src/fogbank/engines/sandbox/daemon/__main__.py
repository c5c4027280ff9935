"""sandboxd's entry: look at the machine by trying, say what it allows, serve.

Started as ``python -I -S -c ... <JSON configuration> <descriptor of the client's socket>`` by the
supervisor (as root, before it gives its rights up) or by the client itself.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from itertools import chain
from pathlib import Path

from fogbank.engines.sandbox.daemon import cgroups, landlock, messages, root, syscalls, zygotes
from fogbank.engines.sandbox.daemon.cells import Cells, open_directory
from fogbank.engines.sandbox.daemon.config import BARE, FULL, LANDLOCK, ROOTLESS, Config
from fogbank.engines.sandbox.daemon.loop import Machine, Sandboxd
from fogbank.engines.sandbox.daemon.nursery import Nursery
from fogbank.engines.sandbox.daemon.steps import Steps

NAMES = {FULL: "full", ROOTLESS: "rootless", LANDLOCK: "landlock", BARE: "bare"}
_NOTE_CHARACTERS_MAX = 4096
_FOLDERS = ("inside", "daemon")
"""Of ours, from which functions or their runtimes read by path."""


class Refused(Exception):
    """The level that was asked for cannot be had on this machine."""


def _interpreters(config: Config, folder: Path) -> dict[str, zygotes.Interpreter]:
    """Return the interpreters with what their sandboxes will see."""
    runtime = str(folder / "runtime")
    inside = Path(__file__).parents[1] / "inside"
    ours = (runtime, *(str(inside.parent / name) for name in _FOLDERS))
    if config.authority:
        ours = (*ours, str(Path(config.work_dir) / root.BARE_AUTHORITY))
    made: dict[str, zygotes.Interpreter] = {}
    for name, found in config.runtimes.items():
        if found.zygote:
            continue  # a program, which the zygote of another executes
        executed = [r.prefixes for r in config.runtimes.values() if r.zygote == name]
        # What this daemon's user may not open is not there for what its zygotes execute.
        there = [path for path in chain.from_iterable(executed) if os.access(path, os.R_OK)]
        prefixes = list(dict.fromkeys([*found.prefixes, *there]))
        plan = root.plan(config.packages, prefixes, config.hosts, config.authority)
        readable = root.readable(plan, ours)
        made[name] = zygotes.Interpreter(found.executable, plan, runtime, readable)
    return made


def look(
    config: Config, interpreters: dict[str, zygotes.Interpreter], folder: Path
) -> tuple[Machine, cgroups.Cgroups | None]:
    """Find the level of this machine by trying to build what the level needs.

    Raises:
        Refused: A level is asked for that cannot be had; another is never taken instead.
    """
    privileged = os.getuid() == 0
    identity = zygotes.Identity(privileged, os.getuid(), os.getgid())
    groups, cgroup = cgroups.find()
    try:
        why_not_full = "" if privileged and groups is not None else cgroup
        why_not_full = why_not_full if privileged else "it needs root"
        level, reasons = _level(config.level_forced, identity, interpreters, folder, why_not_full)
    except Refused:
        if groups is not None:
            groups.remove()
        raise
    if config.level_forced > FULL and privileged and groups is not None:
        groups.remove()
        groups, cgroup = None, "not used: a weaker level was asked for"
    if groups is None:
        reasons.append(
            "memory is watched every 50 ms and not limited by the kernel, "
            f"and no share of the processor is enforced: {cgroup}"
        )
    return Machine(identity, level, cgroup, "\n".join(reasons)), groups


def _level(
    forced: int,
    identity: zygotes.Identity,
    interpreters: dict[str, zygotes.Interpreter],
    folder: Path,
    why_not_full: str,
) -> tuple[int, list[str]]:
    """Return the strongest level that can be had, or the forced one, and what it lacks."""
    reasons: list[str] = []
    interpreter = next(iter(interpreters.values()))
    if forced in {0, FULL, ROOTLESS}:
        if forced == FULL and why_not_full:
            raise Refused(_refusal(FULL, why_not_full))
        why_not = _isolate(identity, interpreter)
        if not why_not:
            return (ROOTLESS if why_not_full or forced == ROOTLESS else FULL), reasons
        if forced:
            raise Refused(_refusal(forced, why_not))
        reasons.append(f"no namespaces: {why_not}")
    if forced in {0, LANDLOCK}:
        why_not = landlock.probe(interpreter.readable, str(folder))
        if not why_not:
            return LANDLOCK, reasons + landlock.lacking(landlock.abi())
        if forced:
            raise Refused(_refusal(LANDLOCK, why_not))
        reasons.append(f"no walls: {why_not}")
    return BARE, reasons


def _refusal(level: int, why: str) -> str:
    return f"sandbox level {level} ({NAMES[level]}) is asked for and cannot be had here: {why}"


def _isolate(identity: zygotes.Identity, interpreter: zygotes.Interpreter) -> str:
    """Enter mount namespaces of our own and try to build a zygote's; return what failed."""
    try:
        if identity.privileged:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)
        else:
            zygotes.enter_own_namespace()
    except OSError as error:
        return str(error)
    return zygotes.probe(interpreter, identity)


def _lead_to_packages(folder: Path, packages: dict[str, str]) -> None:
    """Make the directory that stands for ``/var/runtime`` where no root of our own can be built."""
    folder.mkdir(mode=0o755)
    for name, path in packages.items():
        (folder / name).symlink_to(path)


def main(config_text: str, client_fd: str) -> None:
    """Serve the client behind a descriptor until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to the server
    syscalls.set_name("sandboxd")
    os.umask(0o022)
    config = Config.from_json(config_text)
    steps = Steps(config.deadly_step)
    steps.arm()
    client = socket.socket(fileno=int(client_fd))
    os.set_inheritable(client.fileno(), False)  # noqa: FBT003 (positional in os)
    Path(config.work_dir).mkdir(parents=True, exist_ok=True)
    with steps("make directory"):
        folder = open_directory(config.work_dir)
    interpreters = _interpreters(config, folder)
    try:
        with steps("find level"):
            machine, groups = look(config, interpreters, folder)
    except Refused as refusal:
        note = str(refusal)[:_NOTE_CHARACTERS_MAX]
        messages.send(client, messages.encode("refused", note=note))
        folder.rmdir()
        return
    if machine.level == BARE:
        sys.stderr.write(
            "sandboxd: FUNCTIONS ARE NOT ISOLATED ON THIS MACHINE (level 4): they see its files, "
            f"processes and network. {machine.reasons}\n"
        )
    bare = machine.level >= LANDLOCK
    cells = Cells(folder, groups, bare, config.processes_max, steps)
    try:
        if bare:
            syscalls.become_subreaper()  # what a dead zygote's sandboxes leave comes to us
            _lead_to_packages(folder / "runtime", config.packages)
        daemon = Sandboxd(client, config, machine, cells)
        level = machine.level
        daemon.serve(Nursery(config, machine.identity, interpreters, level, steps, daemon.adopt))
    finally:
        with steps("close"):
            cells.close()
