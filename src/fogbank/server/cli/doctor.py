"""``fogbank doctor``: what this machine allows, found by trying, and what that means."""

from __future__ import annotations

import argparse
import asyncio
import grp
import os
import pwd
import tempfile
from pathlib import Path
from typing import Any

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt, Unavailable
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import find_kind
from fogbank.engines.sandbox import passage
from fogbank.engines.sandbox.client import SandboxRuntime
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.platform.crypto.secret import PASSPHRASE
from fogbank.platform.runtime.port import Level
from fogbank.server import asking, config, control, datadir, keys, sandboxes

MOUNTS = Path("/proc/self/mounts")
MEANING = {
    "full": "functions are isolated; memory, processor and processes are limited by the kernel",
    "rootless": "functions are isolated; memory is watched, not limited by the kernel",
    "landlock": "functions reach no files, TCP ports or processes of others; limits are watched",
    "bare": "FUNCTIONS ARE NOT ISOLATED: run only code that you trust",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none beyond --data."""


def run(given: argparse.Namespace) -> int:
    """Print one line per finding; status 1 if functions cannot run at all."""
    data_dir = config.data_dir_of(given.data)
    try:
        settings = config.load(data_dir)
    except config.ConfigError as error:
        print(f"settings        {error}")
        return 1
    ok = _functions(settings, data_dir)
    _line("file system", _file_system(data_dir))
    _line("service user", _service_user(settings.service_user, data_dir))
    _line("encryption", _encryption(data_dir, settings.encryption))
    for line in _sealed_anew(data_dir):
        _line("", line)
    server = datadir.find_server(data_dir)
    _line("server", f"{server.endpoint}, process {server.pid}" if server else "none runs")
    return 0 if ok else 1


def _line(name: str, text: str) -> None:
    """Print one finding."""
    print(f"{name:<15} {text}")


def _functions(settings: config.Config, data_dir: Path) -> bool:
    """Print what a sandbox daemon says that is started for the question."""
    try:
        with tempfile.TemporaryDirectory(prefix="fogbank-doctor-") as folder:
            said = asyncio.run(_status(Path(folder), sandboxes.level_of(settings)))
    except Unavailable as error:
        _line("isolation", f"none: {error}; functions cannot run")
        return False
    level = str(said["level"])
    number = Level[level.upper()].value
    asked = settings.functions.sandbox_level
    how = "the strongest here" if asked == "auto" else "as functions.sandbox_level asks"
    _line("isolation", f"level {number}, {level} ({how}): {MEANING[level]}")
    for reason in said["reasons"]:
        _line("", str(reason))
    barred = _barred(number, data_dir)
    if barred:
        _line("", f"FUNCTIONS CANNOT RUN: {barred}")
    _line("cgroups", str(said["cgroup"]) or "none delegated")
    for name, interpreter in said["runtimes"].items():
        _line("runtimes", f"{name} by {interpreter}")
    return not barred


def _barred(level: int, data_dir: Path) -> str:
    """Return what keeps users of their own from the code of functions, where they see our tree."""
    if os.getuid() != 0 or level < Level.LANDLOCK:
        return ""
    return passage.barred([str(data_dir)], ours=[str(data_dir)])


async def _status(folder: Path, level: Level | None) -> dict[str, Any]:
    """Start a sandbox daemon and return what it found."""
    asked = SandboxSettings(level_forced=level)
    runtime = await SandboxRuntime.open(
        folder, clock=SystemClock(), ids=Ids(), endpoint_port=4566, settings=asked
    )
    try:
        return runtime.status()
    finally:
        await runtime.close()


def _encryption(data_dir: Path, settings: config.EncryptionSettings) -> str:
    """Return whether stored bytes are encrypted, and what opens them."""
    try:
        kind = find_kind(datadir.store_dirs(data_dir, datadir.stores_of(data_dir) or 1)[0])
    except Corrupt as error:
        return f"THE KEYRING IS DAMAGED: {error}"
    if not settings.enabled:
        before = " (what was encrypted before stays so, and needs its key)" if kind else ""
        return (
            "OFF by encryption.enabled: WHAT IS WRITTEN LIES OPEN on the disk, secrets of users "
            f"among it{before}"
        )
    when = "" if kind else ", from the first start on"
    if (kind or settings.sealed_by) == PASSPHRASE:
        return f"AES-256-GCM{when}; the keys are sealed by a passphrase"
    path = keys.root_key_path(data_dir, settings)
    beside = "" if settings.root_key_file else ": who takes the whole directory has both"
    if not kind or path.exists():
        return f"AES-256-GCM{when}; the root key is {path}{beside}"
    return f"AES-256-GCM; THE ROOT KEY {path} IS MISSING: nothing can be opened"


def _sealed_anew(data_dir: Path) -> list[str]:
    """Return how far each store of a running server is under its newest data key."""
    rows: list[dict[str, Any]] = []
    try:
        control.ask(data_dir, "key.status", on_row=rows.append)
    except (control.NotRunning, control.ControlError, OSError):
        return []  # no server, not ours to ask, or not encrypted: the line above says
    return [f"store {row['store']}: sealed anew {asking.anew_words(row['anew'])}" for row in rows]


def _file_system(data_dir: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that holds the data, and the space left."""
    path = data_dir
    while not path.exists():
        path = path.parent
    best, kind = "", "unknown"
    for line in mounts.read_text().splitlines():
        _, mounted, form, *_ = line.split()
        # Of two on one folder the later one is seen.
        if path.is_relative_to(mounted) and len(mounted) >= len(best):
            best, kind = mounted, form
    room = os.statvfs(path)
    free = room.f_bavail * room.f_frsize / (1 << 30)
    warning = "; NOTHING IS DURABLE on it" if kind in {"tmpfs", "ramfs"} else ""
    return f"{kind}, {free:.1f} GiB free at {path}{warning}"


def _service_user(name: str, data_dir: Path) -> str:
    """Return as whom the store process runs."""
    if os.getuid() != 0:
        return f"the server runs as {pwd.getpwuid(os.getuid()).pw_name}"
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return f"there is no user {name}: a server started as root stays root"
    group = grp.getgrgid(user.pw_gid).gr_name
    return f"a server started as root becomes {user.pw_name}:{group} if it can reach {data_dir}"
