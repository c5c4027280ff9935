"""The heart of the embedded engine: commits, groups, and who waits for them.

Everything here runs on the event loop and never waits. A commit lays its writes over the active
generation at once, so that the next body sees them, and queues its record; when the log is idle,
all that is queued becomes one group. A caller gets its answer when the group that holds the newest
version it could have seen is durable.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Full, TransactionTooLarge, Unavailable
from fogbank.engines import bodies
from fogbank.engines.bodies import LIMITS
from fogbank.engines.embedded.checkpoint import LOG
from fogbank.engines.embedded.figures import StoreFigures
from fogbank.engines.embedded.gate import Gate
from fogbank.engines.embedded.hold import Hold
from fogbank.engines.embedded.layers import Layers
from fogbank.engines.embedded.log import RedoLog
from fogbank.engines.embedded.recover import Opened
from fogbank.engines.embedded.segment import (
    GROUP_BYTES_MAX,
    Writes,
    capacity,
    encode_writes,
    group_bytes,
)
from fogbank.engines.embedded.transaction import EmbeddedTransaction
from fogbank.engines.embedded.turnover import Parts, Settings, Turnover
from fogbank.engines.embedded.verifier import RowsVerifier
from fogbank.engines.embedded.warming import warming_of
from fogbank.engines.watch import Watchers
from fogbank.platform.crypto.keys import LOG as LOG_GROUPS
from fogbank.platform.store.engine import SYSTEM, Passengers, Stamp

PENDING_BYTES_MAX: Final = 8 << 20
"""Records that wait for the log; beyond, writers wait before they run."""
PENDING_MAX: Final = 20_000
REMOVAL_BYTES_MAX: Final = 16 << 10
"""What a transaction that removes may write besides, when there is no space."""
_NOTHING: Final = encode_writes({})
_LOG_FAILED: Final = "the log of the store failed"
_CLOSED: Final = "the store is closed"


class _Entry(msgspec.Struct, frozen=True, eq=False):
    """A transaction that waits for its group; a reader that waits has no writes."""

    record: bytes
    writes: Writes
    waiter: Future[Any]
    result: Any


class _Group(NamedTuple):
    """What is being made durable."""

    last: int
    entries: list[_Entry]

    @property
    def is_filled(self) -> bool:
        """Return whether it writes anything: an empty one only moves the log on."""
        return any(entry.writes for entry in self.entries)


class Core:
    """The state of one open store."""

    def __init__(
        self, opened: Opened, loop: AbstractEventLoop, settings: Settings, clock: Clock
    ) -> None:
        self.incarnation = opened.identity.incarnation
        self.layers = Layers(opened.env, opened.seals, clock.now_ms)
        self.watchers = Watchers()
        self.verifier = RowsVerifier(opened.env, opened.keys)
        self.warming = warming_of(opened, clock.now_ms, settings.warm_above_bytes)
        self.version = self.durable = self._first = opened.version
        self.written = opened.version
        """The newest version that wrote rows of domains."""
        self.filled = opened.version
        """The end of the last durable group that wrote anything."""
        self.refuses = ""
        """Why nothing is taken any more, if nothing is."""
        self.is_gated = False
        """A writer has to pass ``admit`` first."""
        self.passengers: Passengers | None = None
        self.groups = self.group_bytes = self._pending_bytes = 0
        self._loop = loop
        self._pending: list[_Entry] = []
        self._inflight: _Group | None = None
        self._is_flush_due = self._is_stalled = False
        size = settings.segment_bytes
        self._record_max = capacity(size) - group_bytes(0, sealed=True)
        self._group_max = min(GROUP_BYTES_MAX, self._record_max)
        series = opened.keys.series(LOG_GROUPS)
        folder, fatal = opened.root / LOG, settings.on_fatal
        self._log = RedoLog(folder, opened.segment, size, loop, fatal, series)
        self._gate = Gate(loop, self._fill, lambda: self._is_stalled or self._is_crowded())
        parts = Parts(loop, self._log, self.layers, self._gate)
        self.turnover = Turnover(opened, parts, settings, self._go_on, self._log_failed)
        self.hold = Hold(loop, self._go_on)

    def start(self) -> None:
        """Start the log, and make the segments that wait if they are not there."""
        self._log.start(self._group_ended, self._log_failed)
        self.turnover.make_waiting()

    def figures(self, file: Path) -> StoreFigures:
        """Return what operators are told of the store whose rows lie in a file."""
        return StoreFigures(
            version=self.version,
            durable=self.durable,
            groups=self.groups,
            commits=self.durable - self._first,
            group_bytes=self.group_bytes,
            syncs=self._log.syncs,
            overlay_rows=len(self.layers.active.rows),
            log_fill=self._fill(),
            checkpoint_s=self._gate.expected_s,
            checkpoints=self.turnover.checkpoints,
            sealed=self.turnover.sealed,
            file_bytes=file.stat().st_size,
            full=self.turnover.full,
            first_runs=self.warming.runs,
            checkpointer_pid=self.turnover.checkpointer_pid,
        )

    # Commits.

    def commit(self, tr: EmbeddedTransaction, result: Any) -> Future[Any]:
        """Take over the writes of a body; return what brings its result once they are durable.

        Raises:
            TransactionTooLarge: The writes pass the limits.
            Full: There is no space, and the transaction does not remove.
        """
        writes, entries = tr.writes, tr.entries
        version = self.version + 1
        if entries is not None:
            stamp = Stamp(self.incarnation, version, 0)
            bodies.lay_entries(writes, entries, stamp)
            record = self._record(tr)
            bodies.resolve_entries(entries, stamp)
        else:
            record = self._record(tr)
        self.version = version
        self.written = self.written if tr.domain is SYSTEM else version
        if tr.removes:
            self.layers.lay_removals(writes, version)
        else:
            self.layers.active.lay(writes)
        return self._queue(record, writes, result)

    def _record(self, tr: EmbeddedTransaction) -> bytes:
        """Return the record of the writes, if they may be written."""
        record = encode_writes(tr.writes)
        if len(record) > LIMITS.transaction_bytes_max:
            bodies.check_size(tr.writes)
        if len(record) > self._record_max:
            raise TransactionTooLarge("a transaction does not fit into a segment of the log")
        if self.turnover.full and not _removes(tr.writes):
            raise Full(self.turnover.full)
        return record

    def _queue(self, record: bytes, writes: Writes, result: Any) -> Future[Any]:
        """Queue an entry for the next group."""
        waiter = self._loop.create_future()
        self._pending.append(_Entry(record, writes, waiter, result))
        self._pending_bytes += len(record)
        if not self._is_flush_due and self._inflight is None:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)
        if self._is_crowded():
            self.is_gated = True
        return waiter

    def stand_still(self) -> Future[int]:
        """Return what brings the version of the rows once they hold all that is durable now.

        They stand still until ``turnover.let_go``; a transaction without writes moves the log on.
        """
        version = self.turnover.stand_still()
        self._move_on()
        return version

    def seal(self) -> None:
        """Have what is durable moved out of the active segment soon."""
        self.turnover.seal()
        self._move_on()

    def _move_on(self) -> None:
        """Have a group written, if one is waited for and none is under way."""
        if self.turnover.may_seal and not self._pending and not self.refuses:
            self.version += 1
            self._queue(_NOTHING, {}, None)

    def settled(self) -> Future[Any]:
        """Return what is done when everything that is committed now is durable."""
        if self._pending or self._inflight is None:
            return self._queue(b"", {}, None)
        self._inflight.entries.append(_Entry(b"", {}, self._loop.create_future(), None))
        return self._inflight.entries[-1].waiter

    def _is_crowded(self) -> bool:
        """Return whether so much waits for the log that writers must not add to it."""
        return self._pending_bytes > PENDING_BYTES_MAX or len(self._pending) > PENDING_MAX

    async def admit(self) -> None:
        """Return when a writer may run its body.

        Raises:
            Throttled: It would wait too long.
            Unavailable: The store is closed, or its log failed.
        """
        self.require_open()
        await self._gate.admit()
        self.require_open()
        self._set_gate()

    def require_open(self) -> None:
        """Raise ``Unavailable`` if nothing is taken any more."""
        if self.refuses:
            raise Unavailable(self.refuses)

    def _set_gate(self) -> None:
        """Decide whether writers must pass ``admit``."""
        self.is_gated = bool(self.refuses) or self._is_crowded() or self._gate.is_needed()

    def _fill(self) -> float:
        """Return which part of the active segment is used or spoken for."""
        return self._log.fill + self._pending_bytes / self._log.size

    # Groups.

    def _flush(self) -> None:
        """Give the log the next group, if it is idle; a bug here must not leave callers waiting."""
        try:
            self._begin_group()
        except Exception as error:  # noqa: BLE001 (the process ends)
            self.turnover.give_up(f"a group could not be begun: {error!r}")

    def _begin_group(self) -> None:
        """Give the log what is queued, or as much as a group takes."""
        self._is_flush_due = False
        if self._inflight is not None or self.refuses == _LOG_FAILED:
            return
        if self.hold.stops(can_cut=self.turnover.can_cut) or not self._pending:
            return
        if self.passengers is not None and not self.turnover.full:
            self._board(self.passengers)
        entries, record_bytes = self._next_entries()
        if self.turnover.is_due(record_bytes) and not self.turnover.rotate(
            self.durable, [entry.writes for entry in self._pending]
        ):
            self._is_stalled = self.is_gated = True
            return
        self._is_stalled = False
        del self._pending[: len(entries)]
        self._pending_bytes -= record_bytes
        records = [entry.record for entry in entries if entry.record]
        self._inflight = _Group(self.durable + len(records), entries)
        if records:
            self.group_bytes += record_bytes
            self._log.append(self.durable + 1, records, record_bytes)
        else:
            # Readers only; what they saw is durable by now.
            self._loop.call_soon(self._group_ended)

    def _board(self, passengers: Passengers) -> None:
        """Queue rows behind the commits that they ride with."""
        rows = passengers.rows()
        if not rows:
            return
        tr = EmbeddedTransaction(self.layers, SYSTEM)
        for prefix, value in rows:
            tr.append(prefix, value)
        waiter = self.commit(tr, None)
        waiter.add_done_callback(_heard)
        passengers.boarded(waiter)

    def _next_entries(self) -> tuple[list[_Entry], int]:
        """Return what the next group holds: a megabyte of records, or one transaction."""
        if self._pending_bytes <= self._group_max:
            return self._pending[:], self._pending_bytes
        size = 0
        for count, entry in enumerate(self._pending):
            if count and size + len(entry.record) > self._group_max:
                return self._pending[:count], size
            size += len(entry.record)
        return self._pending[:], size

    def _group_ended(self) -> None:
        """Answer for a durable group; a bug here must not leave callers waiting."""
        try:
            self._group_is_durable()
        except Exception as error:  # noqa: BLE001 (the process ends)
            self.turnover.give_up(f"a group could not be ended: {error!r}")

    def _group_is_durable(self) -> None:
        """Answer everybody who waited for the group, and begin the next one."""
        group, self._inflight = self._inflight, None
        if group is None:
            assert self.refuses == _LOG_FAILED, "a group was under way"
            return
        self.groups += 1
        self.durable = group.last
        self.filled = group.last if group.is_filled else self.filled
        self.layers.is_durable(group.last)
        self.turnover.group_is_durable()
        self._move_on()
        self._flush()
        for entry in group.entries:
            if not entry.waiter.done():
                entry.waiter.set_result(entry.result)
        if self.watchers:
            self.watchers.committed([key for entry in group.entries for key in entry.writes])
        self.layers.settle_early()
        if self.is_gated or self.turnover.has_sealed:
            self._set_gate()

    def _log_failed(self) -> None:
        """Refuse everything: what the disk holds is not known."""
        self.refuses = _LOG_FAILED
        self.is_gated = True
        self._answer_all(Unavailable(_LOG_FAILED))

    def _answer_all(self, error: Exception) -> None:
        """Refuse everybody who waits: nothing of theirs reached the log."""
        waiting = self._inflight.entries if self._inflight is not None else []
        for entry in [*waiting, *self._pending]:
            if not entry.waiter.done():
                entry.waiter.set_exception(error)
        self._inflight = None
        self._pending = []
        self._pending_bytes = 0

    def _go_on(self) -> None:
        """Look whether the log can go on now, who must wait for it, and how the rows grew."""
        self.warming.measure()
        if self._inflight is None:
            self._move_on()
            self._flush()
        self._set_gate()

    # The end.

    async def stop(self) -> None:
        """Take nothing more; return when what was taken is durable and the checkpointer idle."""
        self.refuses = self.refuses or _CLOSED
        self.is_gated = True
        while self._pending or self._inflight is not None:
            if self._is_stalled and self.turnover.full and not self.turnover.is_busy:
                self._answer_all(Full(self.turnover.full))
            else:
                await self.settled()
        await self.turnover.stop()
        await self.verifier.stop()
        await self.warming.stop()

    def close(self) -> bool:
        """End threads and processes; return whether the log may be applied in order. Blocks."""
        self.turnover.close()
        self._log.close()
        self.layers.close()
        return self.refuses != _LOG_FAILED and not self.turnover.full


def _heard(waiter: Future[Any]) -> None:
    """Take note of an error that those who wait for the same group are told."""
    if not waiter.cancelled():
        waiter.exception()


def _removes(writes: Writes) -> bool:
    """Return whether a transaction may pass without space: it removes, and writes little."""
    written = sum(len(key) + len(value) for key, value in writes.items() if value is not None)
    return None in writes.values() and written <= REMOVAL_BYTES_MAX
