"""How sandboxd is configured and started, by whoever has the rights: supervisor or store process."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.launch import config_of, launch
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.platform.runtime.port import Level
from fogbank.server.config import Config


def level_of(config: Config) -> Level | None:
    """Return the level that must be had, or None for the strongest that this machine allows."""
    asked = config.functions.sandbox_level
    return None if asked == "auto" else Level(int(asked))


def settings_of(
    endpoint: str,
    config: Config,
    authority: str,
    daemon: Callable[[], int] | None = None,
    folders: tuple[str, ...] = (),
) -> SandboxSettings:
    """Return the sandbox engine's settings.

    Args:
        endpoint: The URL of the cloud, inside as outside.
        config: The settings of the server.
        authority: What functions must trust to call it, as PEM text; or nothing.
        daemon: Asks the supervisor for a sandboxd.
        folders: Those of ours above the work directory.
    """
    host = urlsplit(endpoint).hostname or ""
    named = (host,) if host.strip("0123456789.") and ":" not in host else ()
    return SandboxSettings(
        endpoint_url=endpoint,
        hosts=tuple(dict.fromkeys((*named, *config.public_hosts))),
        authority=authority,
        folders=folders,
        interpreters=config.functions.interpreters,
        near_versions=config.functions.near_versions,
        spares=config.functions.spares,
        stems_memory_mb=config.functions.stems_memory_mb,
        stem_idle_ms=config.functions.stem_idle_ms,
        level_forced=level_of(config),
        daemon=daemon,
    )


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
    work_dir: Path, endpoint: str, config: Config, authority: str
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start sandboxd with the rights of this process; return the socket to it and its process."""
    settings = settings_of(endpoint, config, authority)
    return launch(config_of(work_dir, port_of(endpoint), settings), settings.python)
