"""The requests of operators: over the control socket of a running server, or in a command's process.

A part of the server that operators ask declares its requests beside its code and is listed here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from fogbank.base.clock import Clock
from fogbank.base.ids import Ids
from fogbank.platform.crypto.locked import Opener
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.identity.identity import Identity
from fogbank.platform.store.engine import Placement, Store
from fogbank.server.accounts import Accounts
from fogbank.server.app import App
from fogbank.server.audits import Audits
from fogbank.server.backups import Backups
from fogbank.server.control import Control
from fogbank.server.costs import Costs
from fogbank.server.events import Events
from fogbank.server.keyrings import Keyrings
from fogbank.server.members import Member
from fogbank.server.tables import Tables
from fogbank.server.usages import Usages


class OpenDirectory(NamedTuple):
    """An open data directory, in a server or in a command's process."""

    members: Sequence[Member]
    """Its stores, as backups are taken of them, by number."""
    stores: Sequence[Store]
    """The system subspaces of every store, by number."""
    identity: Identity
    placement: Placement
    """Where domains live."""
    clock: Clock
    ids: Ids
    flush: Callable[[], Awaitable[None]] | None = None
    """Writes what waits for the audit trail and of metrics; None where no server runs."""
    tell_secret: Callable[[Secret], None] = lambda _: None
    """Tells the supervisor of a secret; nobody, where no server runs."""
    opener: Opener | None = None
    """Has keys opened that KMS has; None where no server runs."""


def controls(
    app: App, data_dir: Path, members: Sequence[Member], tell_secret: Callable[[Secret], None]
) -> list[Control]:
    """Return every request of operators that a store process answers."""
    parts = app.parts
    opened = OpenDirectory(
        members,
        app.trail_stores,
        app.identity,
        parts.placement,
        parts.clock,
        parts.ids,
        app.flush_all,
        tell_secret,
        app.facilities.open_key,
    )
    return stored(data_dir, opened)


def stored(data_dir: Path, opened: OpenDirectory) -> list[Control]:
    """Return the requests that need nothing but an open data directory."""
    members, stores, identity, placement, clock, ids, flush, tell_secret, opener = opened
    return [
        *Accounts(data_dir, identity, ids).controls(),
        *Audits(stores, identity, clock, flush).controls(),
        *Backups(data_dir, members, clock).controls(),
        *Costs(stores, identity, placement, flush).controls(),
        *Events(stores, clock).controls(),
        *Keyrings(members, tell_secret).controls(),
        *Tables(identity, placement, clock, ids, opener).controls(),
        *Usages(identity, placement).controls(),
    ]
