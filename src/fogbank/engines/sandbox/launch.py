"""How sandboxd is configured and started: by the supervisor while it is still root, or by us.

Rule: the supervisor imports this, and so it brings no event loop.
"""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from fogbank.engines.sandbox import interpreters
from fogbank.engines.sandbox.daemon.config import Config
from fogbank.engines.sandbox.offer import Offer, look
from fogbank.engines.sandbox.settings import SandboxSettings

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from fogbank.engines.sandbox.daemon.__main__ import main; main(sys.argv[2], sys.argv[3])"
)


def config_of(
    work_dir: Path, endpoint_port: int, settings: SandboxSettings, found: Offer | None = None
) -> Config:
    """Return what sandboxd is started with; looks at the machine unless that was done already."""
    found = found or look(settings)
    return Config(
        work_dir=str(work_dir.absolute()),
        port=endpoint_port,
        hosts=list(settings.hosts),
        packages=interpreters.preinstalled(),
        runtimes=found.configs(),
        own_runtime=next(iter(found.interpreters)),
        processes_max=settings.processes_max,
        sandboxes_max=settings.sandboxes_max,
        zygotes_max=settings.zygotes_max,
        forks_max=settings.forks_max,
        spares=settings.spares,
        stems_max=settings.stems_max,
        zygote_seconds_max=settings.zygote_minutes_max * 60,
        strict_cpu=settings.strict_cpu,
        level_forced=int(settings.level_forced or 0),
        authority=settings.authority,
    )


def command_of(config: Config, python: str, fd: int) -> list[str]:
    """Return the command line of a daemon that serves the client behind a descriptor."""
    source = str(Path(__file__).parents[3])
    flags = ("-I", "-S", "-B", "-c", _START)
    return [os.path.realpath(python), *flags, source, config.to_json(), str(fd)]


def launch(config: Config, python: str) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start sandboxd; return the socket to it and its process.

    The supervisor calls this while it is still root; a server without one calls it itself.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and our own program)
            command_of(config, python, theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
    return ours, process
