"""Functions that are debugged: which port each wants, and how long it may take.

Rule: only where the operator lets functions be debugged; a function says with a variable that it is to
be. Pure.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.runtime.functions import Target

VARIABLE: Final = "FOGBANK_DEBUG_PORT"
"""Of the function: the port of the machine's loopback at which its debugger is reached."""
TOLD: Final = "_FOGBANK_DEBUG_PORT"
"""What a runtime is told where that is granted."""
INVOCATION_MS: Final = 1_800_000
"""Half an hour: sessions of roles last an hour, and are renewed before."""
_PORTS: Final = range(1_024, 65_536)


def port_of(target: Target) -> int:
    """Return the port that a function wants; 0: none, or none that there is."""
    text = target.environment.get(VARIABLE, "")
    port = int(text) if text.isascii() and text.isdecimal() and len(text) <= len("65535") else 0
    return port if port in _PORTS else 0


def debugged(target: Target, invocation_ms: int) -> Target:
    """Return a function as it runs where functions may be debugged: with time, if it wants a port."""
    port = port_of(target)
    if not port:
        return target
    timeout_ms = max(target.timeout_ms, invocation_ms)
    return msgspec.structs.replace(target, debug_port=port, timeout_ms=timeout_ms)
