"""What an embedded store tells operators of its work."""

from __future__ import annotations

from typing import NamedTuple

from fogbank.platform.metering.meters import Histogram


class StoreFigures(NamedTuple):
    """Figures of one store, as of now."""

    version: int
    durable: int
    groups: int
    commits: int
    group_bytes: int
    syncs: Histogram
    """How long writing and syncing a group took."""
    overlay_rows: int
    log_fill: float
    checkpoint_s: float
    """How long a checkpoint is expected to take, by how long the last ones took."""
    checkpoints: Histogram
    """How long those took that were applied."""
    sealed: int
    file_bytes: int
    full: str
    """Why there is no space, if there is none."""
    first_runs: int
    """Bodies that were first run in a thread, because the rows' file outgrows memory."""
    checkpointer_pid: int | None
