"""Whose rights the processes have: started as root, only supervisor and sandboxd keep them.

Rule: the store process becomes the service user where that user exists, can run the interpreter
and our code, and owns the data directory or may be given it; otherwise it stays as it is, and the
supervisor says so once.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PROBE_S_MAX = 20
IMPORTABLE = "import fogbank.server.process"
WRITABLE = "import os, sys; sys.exit(not os.access(sys.argv[1], os.W_OK | os.X_OK))"


class Drop(NamedTuple):
    """As whom the store process runs, or why it keeps the rights it was started with."""

    user: pwd.struct_passwd | None
    reason: str


def decide(name: str, data_dir: Path) -> Drop:
    """Return as whom the store process of a data directory runs; give the directory to them.

    Args:
        name: The service user of the settings.
        data_dir: The data directory, which exists.
    """
    if os.getuid() != 0:
        return Drop(None, "")
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return Drop(None, f"there is no user {name}")
    if not _succeeds_as(user, IMPORTABLE):
        return Drop(None, f"the user {name} cannot run {sys.executable}")
    if not _give(data_dir, user):
        return Drop(None, f"{data_dir} is not, and cannot be made, {name}'s")
    return Drop(user, "")


def _succeeds_as(user: pwd.struct_passwd, script: str, *arguments: str) -> bool:
    """Return whether a user can run a script of ours with the present interpreter."""
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter)
            [sys.executable, "-c", script, *arguments],
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            timeout=PROBE_S_MAX,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def _give(data_dir: Path, user: pwd.struct_passwd) -> bool:
    """Make a fresh data directory the user's; return whether it is theirs and in their reach."""
    if data_dir.stat().st_uid != user.pw_uid:
        if any(data_dir.iterdir()):
            return False
        os.chown(data_dir, user.pw_uid, user.pw_gid)
    if _succeeds_as(user, WRITABLE, str(data_dir)):
        return True
    if not any(data_dir.iterdir()):
        os.chown(data_dir, 0, 0)
    return False


def own_like(path: Path, folder: Path) -> None:
    """Give a file that root made to the owner of its folder."""
    if os.getuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
