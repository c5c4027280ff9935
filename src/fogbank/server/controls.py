"""The requests that the control socket of a running server answers.

A part of the server that operators ask declares its requests beside its code and is listed here.
"""

from __future__ import annotations

from pathlib import Path

from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.server.accounts import Accounts
from fogbank.server.app import App
from fogbank.server.audits import Audits
from fogbank.server.backups import Backups
from fogbank.server.control import Control


def controls(app: App, data_dir: Path, engine: EmbeddedEngine) -> list[Control]:
    """Return every request of operators that a store process answers."""
    accounts = Accounts(data_dir, app.identity, app.parts.ids)
    audits = Audits(app.parts.placement, app.identity, app.parts.clock, app.trail)
    backups = Backups(data_dir, engine, app.parts.clock)
    return [*accounts.controls(), *audits.controls(), *backups.controls()]
