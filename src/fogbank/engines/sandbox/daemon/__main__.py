"""sandboxd's entry: look at the machine by trying, say what it allows, serve.

Started as ``python -I -S -c ... <JSON configuration> <descriptor of the client's socket>`` by the
supervisor (as root, before it gives its rights up) or by the client itself.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from fogbank.engines.sandbox.daemon import cgroups, root, syscalls, zygotes
from fogbank.engines.sandbox.daemon.cells import Cells, open_directory
from fogbank.engines.sandbox.daemon.config import Config
from fogbank.engines.sandbox.daemon.loop import Machine, Sandboxd
from fogbank.engines.sandbox.daemon.nursery import Nursery

FULL, ROOTLESS, BARE = 1, 2, 4


def _interpreters(config: Config) -> dict[str, zygotes.Interpreter]:
    first = next(iter(config.packages.values()), "/")
    bare_path = str(Path(first).parent)
    return {
        name: zygotes.Interpreter(
            runtime.executable,
            root.plan(config.packages, runtime.prefixes, config.hosts, config.authority),
            bare_path,
        )
        for name, runtime in config.runtimes.items()
    }


def look(
    config: Config, interpreters: dict[str, zygotes.Interpreter]
) -> tuple[Machine, cgroups.Cgroups | None]:
    """Find the level of this machine by trying to build what the level needs."""
    privileged = os.getuid() == 0
    identity = zygotes.Identity(privileged, os.getuid(), os.getgid())
    groups, cgroup = cgroups.find()
    reasons: list[str] = []
    why_not = "a weaker level was asked for" if config.level_forced >= BARE else ""
    if not why_not:
        why_not = _isolate(identity, next(iter(interpreters.values())))
    if why_not:
        reasons.append(f"no namespaces: {why_not}")
        level = BARE
    elif privileged and groups is not None and config.level_forced <= FULL:
        level = FULL
    else:
        level = ROOTLESS
    if config.level_forced > FULL and groups is not None:
        groups.remove()
        groups, cgroup = None, "not used: a weaker level was asked for"
    if groups is None:
        reasons.append(
            "memory is watched every 50 ms and not limited by the kernel, "
            f"and no share of the processor is enforced: {cgroup}"
        )
    return Machine(identity, level, cgroup, "\n".join(reasons)), groups


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


def main(config_text: str, client_fd: str) -> None:
    """Serve the client behind a descriptor until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to the server
    syscalls.set_name("sandboxd")
    os.umask(0o022)
    config = Config.from_json(config_text)
    client = socket.socket(fileno=int(client_fd))
    os.set_inheritable(client.fileno(), False)  # noqa: FBT003 (positional in os)
    interpreters = _interpreters(config)
    Path(config.work_dir).mkdir(parents=True, exist_ok=True)
    machine, groups = look(config, interpreters)
    bare = machine.level == BARE
    if bare:
        sys.stderr.write(
            "sandboxd: FUNCTIONS ARE NOT ISOLATED ON THIS MACHINE (level 4): they see its files, "
            f"processes and network. {machine.reasons}\n"
        )
    cells = Cells(open_directory(config.work_dir), groups, bare, config.processes_max)
    try:
        daemon = Sandboxd(client, config, machine, cells)
        daemon.serve(Nursery(config, machine.identity, interpreters, bare, daemon.adopt))
    finally:
        cells.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
