"""How sandboxd is configured and started, by whoever has the rights: supervisor or store process."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.client import config_of
from fogbank.engines.sandbox.link import launch
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.platform.runtime.port import Level
from fogbank.server.config import Config


def settings_of(
    endpoint: str, config: Config, daemon: Callable[[], int] | None = None
) -> SandboxSettings:
    """Return the sandbox engine's settings."""
    forced = Level.BARE if config.functions.isolation == "bare" else None
    return SandboxSettings(endpoint_url=endpoint, level_forced=forced, daemon=daemon)


def asking(door: int) -> Callable[[], int]:
    """Return what asks the supervisor behind a descriptor for a socket to a new sandboxd."""
    supervisor = socket.socket(fileno=door)

    def ask() -> int:
        supervisor.send(b".")
        _, descriptors, _, _ = socket.recv_fds(supervisor, 1, 1)
        if not descriptors:
            raise Unavailable("the supervisor starts no sandbox daemon")
        os.set_inheritable(descriptors[0], False)  # noqa: FBT003 (the standard library's form)
        return descriptors[0]

    return ask


def port_of(endpoint: str) -> int:
    """Return the port of an endpoint."""
    return int(endpoint.rsplit(":", 1)[1])


def launch_sandboxd(
    work_dir: Path, endpoint: str, config: Config
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start sandboxd with the rights of this process; return the socket to it and its process."""
    settings = settings_of(endpoint, config)
    return launch(config_of(work_dir, port_of(endpoint), settings), settings.python)
