"""Words to the service manager: that we serve, that we end.

Rule: said only where ``NOTIFY_SOCKET`` names a socket, as systemd does for ``Type=notify``; nobody
there is no error. Source: systemd, sd_notify(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"
WAIT_S: Final = 1.0
"""How long a service manager that does not read may hold us up."""


def say(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell the service manager a state such as ``READY=1``; return whether one was told."""
    address = environment.get(VARIABLE, "")
    if not address:
        return False
    # A leading @ stands for the zero byte of an abstract address.
    address = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT_S)
        sock.connect(address)
        sock.sendall(state.encode())
        return True
    return False
