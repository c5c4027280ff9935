"""Which Lambda runtimes this machine can run, and the libraries that AWS preinstalls.

Rule: an interpreter is offered when it exists and its standard library can run the zygote.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from fogbank.engines.sandbox.daemon.config import RuntimeConfig

_PREINSTALLED = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
_PYTHON = re.compile(r"python3\.(\d+)$")
_MINORS = range(9, 21)
"""From the oldest that AWS still runs on."""


def preinstalled() -> dict[str, str]:
    """Return the libraries that functions find in ``/var/runtime``: name there to path here."""
    found: dict[str, str] = {}
    for name in _PREINSTALLED:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        path = origin.parent if origin.name == "__init__.py" else origin
        found[path.name] = str(path.resolve())
        distribution = {"dateutil": "python_dateutil"}.get(name, name)
        for info in path.parent.glob(f"{distribution}-*.dist-info"):
            found[info.name] = str(info.resolve())
    return found


def find_interpreters(named: Sequence[str] = ()) -> dict[str, RuntimeConfig]:
    """Return the interpreters of this machine by Lambda runtime name; ours first.

    Args:
        named: Paths that an operator names; before those that are found.
    """
    own = f"python3.{sys.version_info[1]}"
    executable = os.path.realpath(sys.executable)
    found = {own: _config(executable, [sys.base_prefix, sys.base_exec_prefix])}
    for path in (*named, *_usual_places()):
        match = _PYTHON.match(Path(path).name)
        name = f"python3.{match[1]}" if match else ""
        if match is None or name in found or int(match[1]) not in _MINORS:
            continue
        prefix = find_prefix(path, name)
        if prefix is not None:
            found[name] = _config(os.path.realpath(path), [prefix])
    return found


def _usual_places() -> list[str]:
    """Return where interpreters lie: the system's, then those of pyenv and uv, newest first."""
    home = os.path.expanduser("~")  # noqa: PTH111 (text)
    pyenv = os.environ.get("PYENV_ROOT") or f"{home}/.pyenv"
    found = [f"{folder}/python3.{m}" for folder in ("/usr/bin", "/usr/local/bin") for m in _MINORS]
    for pattern in (f"{pyenv}/versions/*", "/opt/python/*", f"{home}/.local/share/uv/python/*"):
        some = glob.glob(f"{pattern}/bin/python3.*")  # noqa: PTH207 (patterns of several roots)
        found += sorted(some, key=_in_order, reverse=True)
    return found


def _in_order(path: str) -> list[int]:
    """Return the numbers in a path: what versions are compared by."""
    return [int(number) for number in re.findall(r"\d+", path)]


def find_prefix(path: str, name: str) -> str | None:
    """Return where an interpreter lives, or None if it is not there or cannot run the zygote.

    It is not started for that: a server's start would wait for each.
    """
    real = Path(os.path.realpath(path))
    if real.name != name or not os.access(real, os.X_OK):
        return None
    library = real.parents[1] / "lib" / name
    needed = [library / f"{module}.py" for module in ("os", "ssl", "zoneinfo/__init__")]
    there = {module.name.partition(".")[0] for module in (library / "lib-dynload").glob("_*.so")}
    if not all(module.exists() for module in needed) or not there >= {"_ctypes", "_ssl"}:
        return None
    return str(real.parents[1])


def _config(executable: str, prefixes: list[str]) -> RuntimeConfig:
    real = [os.path.realpath(prefix) for prefix in (*prefixes, str(Path(executable).parent))]
    outside = [
        path for path in dict.fromkeys(real) if not f"{path}/".startswith(("/usr/", "/bin/"))
    ]
    nested = {p for p in outside for other in outside if p != other and p.startswith(f"{other}/")}
    return RuntimeConfig(executable, [path for path in outside if path not in nested])
