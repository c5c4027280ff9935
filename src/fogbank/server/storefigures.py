"""What a store process says of its store, blobs, jobs and functions.

Rule: what needs a look into the store looks at a bounded number of rows (``backlogs``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.blobs.scrub import ScrubReport, scrub_report
from fogbank.platform.metering.contributors import Count, Rule
from fogbank.platform.metering.exposition import Family, counter, gauge, packed
from fogbank.platform.runtime.placement import FunctionPlacement
from fogbank.platform.runtime.port import Level
from fogbank.platform.runtime.standing import StandingAll
from fogbank.server.app import App
from fogbank.server.backlogs import DEPTH_MAX, Waiting, age_s, waiting_in
from fogbank.server.figures import EdgeFigures, Report, damaged, lost, of_store
from fogbank.server.kernel import ProcessFigures, figures_of, sandboxd_of

CONTRIBUTOR_RULES_MAX: Final = 100
"""Rules of contributor insights that are shown: those that counted last."""
CONTRIBUTORS_SHOWN_MAX: Final = 10
"""Keys of each that are shown."""
DAMAGE_SHOWN_MAX: Final = 20
"""Reports of damage that ``fogbank status`` lists; ``fogbank check`` lists all."""


class Seat(NamedTuple):
    """Which of the store processes one is."""

    number: int
    stores: int
    functions_dir: Path

    def name_of(self, role: str) -> str:
        """Return what operators call this process, or a child of it."""
        return of_store(role, self.number, self.stores)


class _Look(NamedTuple):
    """What one look into the store found."""

    waiting: Waiting
    unarchived_s: float | None
    """How old the oldest part of the log is that the archive has not got; None: no archive."""
    scrub: ScrubReport


class StoreReporter:
    """Says how a store process is.

    Args:
        seat: Which one it is.
        app: Its cloud.
        engine: Its store.
        functions: Its placement of functions.
        edge: Its sockets and requests.
    """

    def __init__(
        self,
        seat: Seat,
        app: App,
        engine: EmbeddedEngine,
        functions: FunctionPlacement,
        edge: EdgeFigures,
    ) -> None:
        self._seat = seat
        self._app = app
        self._engine = engine
        self._functions = functions
        self._edge = edge

    async def environments(self) -> StandingAll:
        """Return what stands of environments of functions."""
        return await self._functions.standing()

    async def report(self) -> Report:
        """Return what the store process says of itself, now."""
        look = await self._look()
        return Report(
            self._seat.name_of("store"),
            packed(self._families(look)),
            self._state(look),
            self._processes(),
            list(self._degraded(look)),
        )

    async def _look(self) -> _Look:
        now_ms = self._app.parts.clock.now_ms()
        stores = self._app.parts.placement.system_stores()
        archive = self._engine.archive_state
        unarchived_s: float | None = None
        if archive is not None:
            unarchived_s = age_s(archive.oldest_ms, now_ms) if archive.oldest_ms else 0.0
        return _Look(await waiting_in(stores, now_ms), unarchived_s, await scrub_report(stores[0]))

    def _processes(self) -> list[ProcessFigures]:
        """Return what the kernel says of this process and those that belong to it."""
        seat, pids = self._seat, {"store": os.getpid()}
        if checkpointer := self._engine.figures().checkpointer_pid:
            pids["checkpointer"] = checkpointer
        if sandboxd := sandboxd_of(seat.functions_dir, os.getpid(), os.getppid()):
            pids["sandboxd"] = sandboxd
        found = [figures_of(seat.name_of(role), pid) for role, pid in pids.items()]
        return [each for each in found if each is not None]

    # Figures.

    def _families(self, look: _Look) -> Iterator[Family]:
        yield from self._edge.families()
        yield from self._audit()
        yield from self._store()
        yield from self._blobs(look.scrub)
        yield from self._anew()
        yield from self._archive()
        yield from self._invocations()
        yield from self._throughput()
        yield from self._replication()
        yield Family(
            "fogbank_contributor_requests_total",
            "counter",
            "Requests by the keys that had most, of each rule of contributor insights.",
            [
                ({"rule": rule.name, "key": each.name}, each.times)
                for rule, counts in self._contributors()
                for each in counts
            ],
        )
        waiting = look.waiting
        yield Family(
            "fogbank_backlog_entries",
            "gauge",
            f"Entries that wait, counted up to {DEPTH_MAX}.",
            [({"backlog": name}, count) for name, count in waiting.entries.items()],
        )
        ages = dict(waiting.ages_s)
        if look.unarchived_s is not None:
            ages["archive"] = look.unarchived_s
        yield Family(
            "fogbank_backlog_age_seconds",
            "gauge",
            "How long the oldest of what waits has waited; of timers, how late the first one is.",
            [({"backlog": name}, age) for name, age in ages.items()],
        )

    def _audit(self) -> Iterator[Family]:
        trail = self._app.trail
        yield counter("fogbank_audit_entries_total", "Calls that were recorded.", trail.entries)
        yield from lost(trail.lost)
        yield gauge("fogbank_audit_waiting", "Records on their way to the store.", trail.waiting)

    def _contributors(self) -> Iterator[tuple[Rule, list[Count]]]:
        for rule, tally in [*self._app.facilities.tallies][-CONTRIBUTOR_RULES_MAX:]:
            yield rule, tally.top(CONTRIBUTORS_SHOWN_MAX)

    def _replication(self) -> Iterator[Family]:
        # AWS: ReplicationLatency, by table and receiving region (Developer Guide, "Metrics").
        yield Family(
            "fogbank_replication_latency_seconds",
            "gauge",
            "How long ago the last write that came to a replica had been made in another region.",
            [(way._asdict(), lag / 1_000) for way, lag in self._app.facilities.lags],
        )

    def _throughput(self) -> Iterator[Family]:
        meters = self._app.facilities.meters
        yield Family(
            "fogbank_throughput_refused_total",
            "counter",
            "Times that a table or an index had no throughput left, by kind of request.",
            [
                ({"kind": "read"}, meters.refused_reads),
                ({"kind": "write"}, meters.refused_writes),
            ],
        )

    def _store(self) -> Iterator[Family]:
        found = self._engine.figures()
        yield gauge("fogbank_store_version", "The newest commit.", found.version)
        yield gauge("fogbank_store_durable_version", "The newest durable commit.", found.durable)
        yield counter("fogbank_store_groups_total", "Groups made durable.", found.groups)
        yield counter("fogbank_store_commits_total", "Commits made durable.", found.commits)
        yield counter("fogbank_store_group_bytes_total", "Bytes of groups.", found.group_bytes)
        meaning = "Writing and syncing a group."
        yield Family("fogbank_store_sync_seconds", "histogram", meaning, [({}, found.syncs)])
        yield gauge("fogbank_store_overlay_rows", "Rows not yet settled.", found.overlay_rows)
        yield gauge("fogbank_store_log_fill_ratio", "Of the active segment.", found.log_fill)
        yield gauge(
            "fogbank_store_checkpoint_seconds", "What a checkpoint is expected to take.",
            found.checkpoint_s,
        )  # fmt: skip
        meaning = "Applying a segment of the log to the rows."
        yield Family(
            "fogbank_store_checkpoint_duration_seconds", "histogram", meaning,
            [({}, found.checkpoints)],
        )  # fmt: skip
        yield counter(
            "fogbank_store_first_runs_total",
            "Transactions that were first run in a thread, to read their rows from the disk.",
            found.first_runs,
        )
        yield gauge("fogbank_store_segments_sealed", "Segments not yet applied.", found.sealed)
        yield gauge("fogbank_store_file_bytes", "The size of the settled rows.", found.file_bytes)
        yield gauge(
            "fogbank_store_full", "1: there is no space to write to.", float(bool(found.full))
        )
        yield damaged(self._engine.damaged_reads)

    def _blobs(self, scrub: ScrubReport) -> Iterator[Family]:
        held = self._engine.blobs.held()
        if held is not None:
            yield gauge("fogbank_blobs", "Blobs on the disk.", held.blobs)
            yield gauge("fogbank_blob_bytes", "What their files take.", held.size_bytes)
        yield gauge(
            "fogbank_damaged", "Stored rows and blobs that are known to be damaged.",
            len(scrub.damage),
        )  # fmt: skip
        place = scrub.place
        if place is None:
            return
        yield gauge(
            "fogbank_scrub_frames", "Frames that the round of the scrub has read.", place.frames
        )
        yield gauge("fogbank_scrub_bytes", "Bytes that the round has read.", place.read_bytes)
        yield gauge(
            "fogbank_scrub_ended_timestamp_seconds", "When a round of the scrub last ended; 0: none has.",
            (place.ended_ms or place.last_ended_ms) / 1_000,
        )  # fmt: skip

    def _anew(self) -> Iterator[Family]:
        state = self._engine.anew.state
        yield gauge(
            "fogbank_sealed_anew", "1: nothing that is whole needs an older data key.",
            float(state.is_done),
        )  # fmt: skip
        meaning = "Sealed with the newest data key since it was made."
        counts = [({"kind": "row"}, state.rows), ({"kind": "blob"}, state.blobs)]
        yield Family("fogbank_sealed_anew_entries", "gauge", meaning, counts)

    def _archive(self) -> Iterator[Family]:
        state = self._engine.archive_state
        if state is None:
            return
        yield gauge(
            "fogbank_archive_backlog_bytes", "Of the log, on their way into the archive.",
            state.backlog_bytes,
        )  # fmt: skip
        yield gauge("fogbank_archive_failing", "1: the last try failed.", float(bool(state.error)))
        yield counter(
            "fogbank_archive_dropped_total", "Parts of the log that the archive will never have.",
            state.dropped,
        )  # fmt: skip

    def _invocations(self) -> Iterator[Family]:
        found = self._functions
        yield gauge("fogbank_function_environments", "Environments that stand.", found.environments)
        yield counter(
            "fogbank_function_cold_starts_total", "Environments that were started.",
            found.cold_starts,
        )  # fmt: skip
        yield Family(
            "fogbank_function_invocations_total",
            "counter",
            "Invocations that ended, by outcome.",
            [({"outcome": outcome}, count) for outcome, count in sorted(found.outcomes.items())],
        )

    # The state in words.

    def _state(self, look: _Look) -> dict[str, Any]:
        store, held = self._engine.figures(), self._engine.blobs.held()
        archive = self._engine.archive_state
        return {
            **self._edge.state(),
            "version": store.version,
            "durable": store.durable,
            "file_bytes": store.file_bytes,
            "overlay_rows": store.overlay_rows,
            "environments": self._functions.environments,
            "backlogs": dict(look.waiting.entries),
            "ages_s": dict(look.waiting.ages_s),
            "blobs": None if held is None else held._asdict(),
            "damaged_reads": self._engine.damaged_reads,
            "scrub": _scrub_state(look.scrub),
            "contributors": {
                rule.name: {each.name: each.times for each in counts}
                for rule, counts in self._contributors()
            },
            "anew": msgspec.to_builtins(self._engine.anew.state),
            "archive": None
            if archive is None
            else {
                "upto": archive.upto,
                "backlog_bytes": archive.backlog_bytes,
                "age_s": look.unarchived_s,
                "error": archive.error,
                "dropped": archive.dropped,
            },
        }

    def _degraded(self, look: _Look) -> Iterator[str]:
        """Yield what is not as it should be, in words."""
        engine, trail = self._engine, self._app.trail
        if full := engine.figures().full:
            yield f"the store takes nothing: {full}"
        if damage := look.scrub.damage:
            newest = max(damage, key=lambda each: each.found_ms)
            yield f"{len(damage)} stored rows or blobs are damaged, such as: {newest.message}"
        if engine.damaged_reads:
            yield f"{engine.damaged_reads} reads met damage since the start"
        yield from self._degraded_copies()
        if trail.is_failing:
            yield f"{trail.waiting} audit records wait for the store"
        if trail.lost:
            yield f"{trail.lost} audit records were lost"
        if letters := look.waiting.entries["dead_letters"]:
            yield f"{letters} events could not be delivered"
        if self._functions.level is Level.BARE:
            yield "functions are not isolated"

    def _degraded_copies(self) -> Iterator[str]:
        """Yield what is not as it should be with keys and archive."""
        anew, archive = self._engine.anew.state, self._engine.archive_state
        if anew.error:
            yield f"what is stored cannot be sealed anew: {anew.error}"
        if archive is not None and archive.error:
            yield f"the archive of the log fails: {archive.error}"
        if archive is not None and archive.dropped:
            yield f"the archive of the log lacks {archive.dropped} parts: take a new backup"


def _scrub_state(report: ScrubReport) -> Mapping[str, Any]:
    """Return what the scrub says: of the round under way, of the last one that ended, the damage."""
    place = report.place
    newest = sorted(report.damage, key=lambda each: each.found_ms, reverse=True)
    listed = [
        {"kind": each.kind, "name": each.name, "message": each.message, "found_ms": each.found_ms}
        for each in newest[:DAMAGE_SHOWN_MAX]
    ]
    told: dict[str, Any] = {"damaged": len(report.damage), "damage": listed}
    if place is None:
        return told
    is_over = bool(place.ended_ms)
    return {
        **told,
        "is_under_way": not is_over,
        "began_ms": place.began_ms,
        "frames": place.frames,
        "read_bytes": place.read_bytes,
        "last_ended_ms": place.ended_ms or place.last_ended_ms,
        "last_frames": place.frames if is_over else place.last_frames,
    }
