"""The requests of operators: over the control socket of a running server, or in a command's process.

A part of the server that operators ask declares its requests beside its code and is listed here.
"""

from __future__ import annotations

from pathlib import Path

from fogbank.base.clock import Clock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.identity.identity import Identity
from fogbank.platform.metering.trail import Trail
from fogbank.server.accounts import Accounts
from fogbank.server.app import App
from fogbank.server.audits import Audits
from fogbank.server.backups import Backups
from fogbank.server.control import Control
from fogbank.server.events import Events


def controls(app: App, data_dir: Path, engine: EmbeddedEngine) -> list[Control]:
    """Return every request of operators that a store process answers."""
    return stored(data_dir, engine, app.identity, app.parts.clock, app.parts.ids, app.trail)


def stored(
    data_dir: Path,
    engine: EmbeddedEngine,
    identity: Identity,
    clock: Clock,
    ids: Ids,
    trail: Trail | None = None,
) -> list[Control]:
    """Return the requests that need nothing but an open data directory."""
    return [
        *Accounts(data_dir, identity, ids).controls(),
        *Audits(engine, identity, clock, trail).controls(),
        *Backups(data_dir, engine, clock).controls(),
        *Events(engine, clock).controls(),
    ]
