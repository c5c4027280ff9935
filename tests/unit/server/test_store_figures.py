"""Each figure of a store is told under its own name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fogbank.platform.metering.meters import Histogram
from fogbank.server.storefigures import Seat, StoreReporter

FIELDS = {
    "fogbank_store_version": "version",
    "fogbank_store_durable_version": "durable",
    "fogbank_store_groups_total": "groups",
    "fogbank_store_commits_total": "commits",
    "fogbank_store_group_bytes_total": "group_bytes",
    "fogbank_store_sync_seconds": "syncs",
    "fogbank_store_overlay_rows": "overlay_rows",
    "fogbank_store_log_fill_ratio": "log_fill",
    "fogbank_store_checkpoint_seconds": "checkpoint_s",
    "fogbank_store_checkpoint_duration_seconds": "checkpoints",
    "fogbank_store_first_runs_total": "first_runs",
    "fogbank_store_segments_sealed": "sealed",
    "fogbank_store_file_bytes": "file_bytes",
}


def test_each_figure_of_a_store_is_told_under_its_own_name() -> None:
    values: dict[str, Any] = {field: number for number, field in enumerate(FIELDS.values())}
    values |= {"syncs": Histogram(), "checkpoints": Histogram(), "full": "no space"}
    engine: Any = SimpleNamespace(figures=lambda: SimpleNamespace(**values), damaged_reads=0)
    other: Any = None
    seat = Seat(0, 1, other)
    told = {
        family.name: value
        for family in StoreReporter(seat, other, engine, other, other)._store()
        for _labels, value in family.samples
    }
    assert {name: told[name] is values[field] for name, field in FIELDS.items()} == dict.fromkeys(
        FIELDS, True
    )
    assert told["fogbank_store_full"] == 1
