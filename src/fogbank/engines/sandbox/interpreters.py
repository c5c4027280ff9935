"""Which Lambda runtimes this machine can run, and the libraries that AWS preinstalls.

Rule: an interpreter is offered when it exists and its standard library can run the zygote.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from fogbank.engines.sandbox.daemon.config import RuntimeConfig

_PREINSTALLED = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
_PYTHON = re.compile(r"python3\.(\d+)$")
_MINOR_MIN, _MINOR_MAX = 9, 20
_PROBE = (
    "import ctypes, json, resource, select, socket, ssl, sys, zoneinfo; "
    "print(sys.base_prefix, sys.base_exec_prefix, sep='\\n')"
)
_PROBE_SECONDS_MAX = 10


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


def find_interpreters() -> dict[str, RuntimeConfig]:
    """Return the interpreters of this machine by Lambda runtime name; ours first."""
    own = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    candidates = {own: os.path.realpath(sys.executable)}
    for minor in range(_MINOR_MIN, _MINOR_MAX + 1):
        path = f"/usr/bin/python3.{minor}"
        if Path(path).exists():
            candidates.setdefault(f"python3.{minor}", path)
    found: dict[str, RuntimeConfig] = {}
    for name, executable in candidates.items():
        if name == own:
            prefixes = [sys.base_prefix, sys.base_exec_prefix]
            found[name] = _config(executable, prefixes)
        elif (asked := _ask(executable)) is not None:
            found[name] = _config(executable, asked)
    return found


def _config(executable: str, prefixes: list[str]) -> RuntimeConfig:
    real = [os.path.realpath(prefix) for prefix in (*prefixes, str(Path(executable).parent))]
    outside = [
        path for path in dict.fromkeys(real) if not f"{path}/".startswith(("/usr/", "/bin/"))
    ]
    nested = {p for p in outside for other in outside if p != other and p.startswith(f"{other}/")}
    return RuntimeConfig(executable, [path for path in outside if path not in nested])


def _ask(executable: str) -> list[str] | None:
    """Return where another interpreter lives, or None if it cannot run the zygote."""
    try:
        done = subprocess.run(  # noqa: S603 (a fixed path and a fixed program)
            [executable, "-I", "-S", "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS_MAX,
            check=True,
            env={},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()


def missing(runtime: str, found: dict[str, RuntimeConfig]) -> str:
    """Return what to install so that a runtime can run here, as a sentence."""
    if runtime in found:
        return f"{runtime} can run here."
    if _PYTHON.match(runtime):
        here = ", ".join(sorted(found))
        return (
            f"{runtime} needs the interpreter /usr/bin/{runtime} with its standard library: install "
            f"the packages {runtime} and lib{runtime}-stdlib, then restart. Here now: {here}."
        )
    return f"fogbank has not built the runtime {runtime}; Python functions can run here."
