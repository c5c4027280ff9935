"""The turnover of segments: active, sealed, applied to the rows, ready again.

Theory: a *segment* is active, then sealed and applied by the checkpointer, then ready again as the
spare. The generation of the overlay changes with the segment, so a generation can be dropped when
its segment is applied. One more segment is reserved: it is used only when the checkpointer has no
space, and only transactions that remove get that far.

Rule: a segment is applied only after the next one was begun durably, so that the log never ends in
nothing. What blocks runs in one thread, one job after the other; the state belongs to the loop.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, wrap_future
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future as Job
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.engines.cuts import AGE_MS_MAX
from fogbank.engines.embedded.checkpoint import LOG, Answer, Order, Reseal
from fogbank.engines.embedded.child import Checkpointer
from fogbank.engines.embedded.files import NO_SPACE
from fogbank.engines.embedded.gate import Gate
from fogbank.engines.embedded.layers import Layers
from fogbank.engines.embedded.log import RedoLog, end_process
from fogbank.engines.embedded.overlay import Generation
from fogbank.engines.embedded.recover import Opened
from fogbank.engines.embedded.rows import CHUNK_KEYS
from fogbank.engines.embedded.segment import RESERVE, SEGMENT_BYTES, SPARE, Writes, make_ready
from fogbank.engines.embedded.spool import ArchiveSettings
from fogbank.platform.crypto.keys import LOG as LOG_GROUPS
from fogbank.platform.crypto.keys import DataKeys
from fogbank.platform.metering.meters import Histogram

GENERATION_KEYS_MAX: Final = 100_000
"""A generation with more keys is frozen at the next chance: larger ones pause the loop."""
_WAITING: Final = (SPARE, RESERVE)
_RETRY_S: Final = 1.0
_FREE_PAUSE_S: Final = 0.001


class Settings(msgspec.Struct, frozen=True):
    """What may differ between stores; the format does not depend on it."""

    segment_bytes: int = SEGMENT_BYTES
    generation_keys_max: int = GENERATION_KEYS_MAX
    chunk_keys: int = CHUNK_KEYS
    cut_age_ms_max: int = AGE_MS_MAX
    cut_growth_bytes_max: int = 4 << 30
    """How much the file of the rows may grow while a cut holds its old pages."""
    archive: ArchiveSettings | None = None
    """Where the log is archived, if it is."""
    keeps_spool: bool = False
    """Without an archive, leave alone what waits for one: a command beside the server may not know
    of it."""
    warm_above_bytes: int | None = None
    """How large the file of the rows may be before bodies are first run in a thread; None: ever."""
    on_fatal: Callable[[str], Any] = end_process


class _Stop(NamedTuple):
    """A wish that the rows stand still once a segment is applied."""

    number: int
    version: Future[int]


class _Sealed(NamedTuple):
    """A segment that waits to be applied, or is being."""

    number: int
    floor: int
    last: int


class Parts(NamedTuple):
    """What the turnover works on."""

    loop: AbstractEventLoop
    log: RedoLog
    layers: Layers
    gate: Gate


class Turnover:
    """Seals segments and has them applied.

    Args:
        opened: The data directory.
        parts: What it works on.
        settings: Sizes, and what to do when all is lost.
        go_on: Called when the log may be able to go on.
        failed: Called when nothing can be acknowledged any more.
    """

    def __init__(
        self,
        opened: Opened,
        parts: Parts,
        settings: Settings,
        go_on: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self.full = ""
        """Why there is no space, if there is none."""
        self.checkpoints = Histogram()
        """How long the checkpoints took that were applied."""
        self._folder = opened.root / LOG
        self._loop, self._log, self._layers, self._gate = parts
        self._settings = settings
        self._go_on = go_on
        self._failed = failed
        self._floor = opened.version
        self._ready = [name for name in _WAITING if (self._folder / name).exists()]
        self._sealed: deque[_Sealed] = deque()
        self._is_begun = True
        self._is_held = False
        self._wanted = 0
        """The segment that is to be sealed at the next group, full or not."""
        self._stop: _Stop | None = None
        self._is_checkpointing = False
        self._is_making = False
        self._is_over = False
        self._checkpointer = Checkpointer(opened.root, opened.checkpointer_lock, opened.keys)
        self._thread = ThreadPoolExecutor(1, "fogbank-checkpoint")

    @property
    def is_busy(self) -> bool:
        """Return whether something is under way that may free a segment."""
        return self._is_checkpointing or self._is_making

    @property
    def has_sealed(self) -> bool:
        """Return whether a segment waits to be applied."""
        return bool(self._sealed)

    @property
    def sealed(self) -> int:
        """Return how many segments wait to be applied."""
        return len(self._sealed)

    @property
    def checkpointer_pid(self) -> int | None:
        """Return the process id of the checkpointer, while there is one."""
        return self._checkpointer.pid

    # Rotation.

    def is_due(self, record_bytes: int) -> bool:
        """Return whether a group needs the next segment, or that one should be begun now."""
        if record_bytes == 0:
            return False
        if not self._log.has_room(record_bytes) or self.may_seal:
            return True
        is_large = len(self._layers.active.rows) > self._settings.generation_keys_max
        return is_large and not self._log.is_empty and not self._sealed and SPARE in self._ready

    @property
    def may_seal(self) -> bool:
        """Return whether somebody waits for the active segment to be sealed, and it can be."""
        wanted = self._wanted if self._stop is None else max(self._wanted, self._stop.number)
        if wanted != self._log.number or self._log.is_empty:
            return False
        return self.can_cut

    @property
    def can_cut(self) -> bool:
        """Return whether the next group could begin a segment, with nothing unapplied before it."""
        return self._next_ready() == SPARE

    def seal(self) -> None:
        """Have the active segment sealed at the next group, full or not."""
        self._wanted = self._log.number

    def rotate(self, durable: int, pending: Iterable[Writes]) -> bool:
        """Seal the active segment and begin the next; return whether one was ready.

        Args:
            durable: The last version in the segment.
            pending: The writes that are not in a segment yet.
        """
        name = self._next_ready()
        if name is None:
            return False
        self._ready.remove(name)
        self._sealed.append(_Sealed(self._log.number, self._floor, durable))
        self._floor = durable
        self._is_begun = False
        self._log.rotate(name)
        self._layers.freeze(pending)
        return True

    def _next_ready(self) -> str | None:
        """Return the segment to use next, if one may be used."""
        spare = SPARE in self._ready and not self._sealed and not self._is_making
        if spare:
            return SPARE
        return RESERVE if self.full and RESERVE in self._ready else None

    # Checkpoints.

    def group_is_durable(self) -> None:
        """Note that the active segment holds a group, and so was begun durably."""
        self._is_begun = True
        self.checkpoint()

    def checkpoint(self) -> None:
        """Have the oldest sealed segment applied, unless one is or the next one is not begun."""
        if self._is_over or self._is_held or self._is_checkpointing or not self._sealed:
            return
        if len(self._sealed) == 1 and not self._is_begun:
            return
        sealed = self._sealed[0]
        order = Order(
            number=sealed.number,
            floor=sealed.floor,
            last=sealed.last,
            ready=RESERVE if RESERVE not in self._ready else SPARE,
            size=self._settings.segment_bytes,
            chunk_keys=self._settings.chunk_keys,
        )
        self._is_checkpointing = True
        self._gate.checkpoint_began()
        job = self._thread.submit(self._checkpointer.settle, order)
        self._when_done(job, lambda: self._checkpoint_ended(order, job.result()))

    def _when_done(self, job: Job[Any], then: Callable[[], None]) -> None:
        """Call back on the loop when a job of the thread is done; a bug there is fatal."""

        def guarded() -> None:
            try:
                then()
            except Exception as error:  # noqa: BLE001 (the process ends)
                self.give_up(f"a checkpoint could not be ended: {error!r}")

        job.add_done_callback(lambda _: self._loop.call_soon_threadsafe(guarded))

    def _checkpoint_ended(self, order: Order, answer: Answer) -> None:
        """Drop the generation of an applied segment; try again later if there is no space."""
        self._is_checkpointing = False
        took_s = self._gate.checkpoint_ended()
        if answer.error == "full":
            self._try_again(answer.message, self.checkpoint)
            return
        if answer.error:
            self.give_up(f"the checkpointer failed: {answer.message}")
            return
        self.full = ""
        self.checkpoints.add(int(took_s * 1_000_000))
        self._sealed.popleft()
        self._ready.append(order.ready)
        self._free(self._layers.thaw())
        if self._stop is not None and order.number >= self._stop.number:
            self._hold(order.last)
        self.checkpoint()
        self._go_on()

    # Rows that stand still.

    def stand_still(self) -> Future[int]:
        """Return what brings the version that the rows hold, once they hold all that is durable now.

        From then on they do not change until ``let_go``. One at a time; the caller sees to it that
        groups are written meanwhile: the active segment can only be sealed before a group.
        """
        assert self._stop is None, "one at a time"
        future: Future[int] = self._loop.create_future()
        self._stop = _Stop(self._log.number, future)
        if self._log.is_empty and not self._sealed:
            self._hold(self._floor)
        elif self._log.is_empty:
            self._stop = _Stop(self._log.number - 1, future)
        return future

    def _hold(self, version: int) -> None:
        """Let the rows stand still, and tell who asked."""
        assert self._stop is not None
        if not self._stop.version.done():
            self._is_held = True
            self._stop.version.set_result(version)

    def let_go(self) -> None:
        """Let the rows change again."""
        if self._stop is not None:
            self._stop.version.cancel()
        self._stop = None
        self._is_held = False
        self.checkpoint()
        self._go_on()

    def _free(self, generation: Generation) -> None:
        """Free a dropped generation in slices, so that none holds the loop for long."""
        if generation.free_some():
            self._loop.call_later(_FREE_PAUSE_S, self._free, generation)

    def _try_again(self, message: str, again: Callable[[], None]) -> None:
        """Note that there is no space, and look again in a while."""
        self.full = f"there is no space left for the store: {message}"
        self._loop.call_later(_RETRY_S, again)
        self._go_on()

    def give_up(self, message: str) -> None:
        """End the process; in tests, only the store."""
        self._is_over = True
        self._settings.on_fatal(message)
        self._failed()

    # Segments that wait.

    def make_waiting(self) -> None:
        """Make the spare and the reserved segment in the background, if they are not there."""
        missing = [name for name in _WAITING if name not in self._ready]
        if self._is_over or not missing:
            return
        if self._sealed:
            # The sealed segment is one of the missing ones.
            self._loop.call_later(_RETRY_S, self.make_waiting)
            return

        def make() -> None:
            for name in missing:
                if not (self._folder / name).exists():
                    make_ready(self._folder, name, self._settings.segment_bytes)

        self._is_making = True
        job = self._thread.submit(make)
        self._when_done(job, lambda: self._waiting_made(missing, job))

    def _waiting_made(self, missing: list[str], job: Job[None]) -> None:
        """Use the segments; without space, refuse what does not remove and try again."""
        self._is_making = False
        self._ready += [name for name in missing if (self._folder / name).exists()]
        error = job.exception()
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            self._try_again(str(error), self.make_waiting)
        elif error is not None:
            self.give_up(f"a segment of the log could not be made: {error!r}")
        else:
            self.full = ""
            self._go_on()

    async def reseal(self) -> Answer:
        """Have some settled rows sealed anew; the caller sees to it that nobody holds the rows."""
        assert not self._is_held, "rows that stand still are not written"
        job = self._thread.submit(self._checkpointer.settle, Reseal())
        answer = await wrap_future(job, loop=self._loop)
        self._layers.renew()
        return answer

    async def renew_keys(self, keys: DataKeys) -> None:
        """Seal groups with the newest key, and rows that are applied once this has returned."""
        self._log.series = keys.series(LOG_GROUPS)
        # A fresh process is told the keys as they are then.
        await wrap_future(self._thread.submit(self._checkpointer.close), loop=self._loop)

    # The end.

    async def stop(self) -> None:
        """Begin nothing more, and return when the thread is idle."""
        self._is_over = True
        if self._stop is not None:
            self._stop.version.cancel()
        while self.is_busy:
            # The thread takes one job after the other: when this one is done, theirs are.
            await wrap_future(self._thread.submit(lambda: None), loop=self._loop)

    def close(self) -> None:
        """End the checkpointer and the thread. Blocks."""
        self._thread.submit(self._checkpointer.close).result()
        self._thread.shutdown()
