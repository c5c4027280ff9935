"""The Python runtime in an interpreter of its own: a wrapper script has executed it.

Rule: variables are as the script left them, and so is what Python itself makes of them (``PYTHONPATH``,
``PYTHONSTARTUP``, a ``sitecustomize`` there); everything else is ``bootstrap``'s.

Source: Lambda Developer Guide, "Modifying the runtime environment" (wrapper scripts).
"""

from __future__ import annotations

import socket
import sys
import types
from pathlib import Path

_PACKAGES = ("fogbank", "fogbank.engines", "fogbank.engines.sandbox")


def _find_ours() -> None:
    """Let our modules be imported: the two folders of them alone, which is all that walls show."""
    here = Path(__file__).parent
    folders = {f"{_PACKAGES[-1]}.{name}": str(here.parent / name) for name in ("daemon", "inside")}
    for name in (*_PACKAGES, *folders):
        package = types.ModuleType(name)
        package.__path__ = [folders[name]] if name in folders else []
        sys.modules[name] = package


def main(task: str, opt: str, runtime: str) -> None:
    """Run a function whose frames are at their descriptor."""
    del sys.path[0]  # this file's folder, whose names are no modules of a user's
    _find_ours()
    from fogbank.engines.sandbox.daemon.steps import Steps  # noqa: PLC0415 (found from here on)
    from fogbank.engines.sandbox.inside import bootstrap  # noqa: PLC0415 (as above)

    bootstrap.forget("fogbank")
    report, _ = socket.socketpair()
    bootstrap.run(bootstrap.Place(task, opt, runtime, "", report), Steps())


if __name__ == "__main__":
    main(*sys.argv[1:])
