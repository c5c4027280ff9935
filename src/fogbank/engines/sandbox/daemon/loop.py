"""sandboxd's main loop: one thread, one client, fixed messages in and out.

Rule: nothing a sandbox does can hold the loop: it reads no file of a sandbox's making without a
bound, waits for no process that is not already dead, and never for a socket. When the client is
gone everything ends.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections import deque
from typing import NamedTuple

from fogbank.engines.sandbox.daemon import messages, watch, zygotes
from fogbank.engines.sandbox.daemon.ahead import Ahead
from fogbank.engines.sandbox.daemon.cells import Cell, Cells, read_only_trees
from fogbank.engines.sandbox.daemon.config import Config
from fogbank.engines.sandbox.daemon.messages import Message
from fogbank.engines.sandbox.daemon.nursery import Nursery, Zygote
from fogbank.engines.sandbox.daemon.stems import OUTLETS, bind, paths_behind, require_room

WATCH_SECONDS = 0.05
"""How often memory is looked at where no control group limits it."""
TICK_SECONDS = 0.2
SWEEP_SECONDS = 2.0
"""How soon left-overs of dead daemons are looked for again: one may have been dying when we started."""
REST_SECONDS = 60.0
"""How seldom they are looked for, and zygotes looked after, when for long there was nothing to do."""
CHECKS_PER_TICK_MAX = 64
BACKLOG_PACKETS_MAX = 4096
_ORDERS = {"settle", "freeze", "thaw", "kill", "measure"}
_KILLED = ("signalled", 9)


class Machine(NamedTuple):
    """What this machine allows, found by trying."""

    identity: zygotes.Identity
    level: int
    cgroup: str
    reasons: str


class Sandboxd:
    """The daemon: one per machine."""

    def __init__(
        self, client: socket.socket, config: Config, machine: Machine, cells: Cells
    ) -> None:
        client.settimeout(0)
        self._client = client
        self._config = config
        self._machine = machine
        self._cells = cells
        self._steps = cells.steps
        self._ahead = Ahead(cells)
        self._selector = selectors.DefaultSelector()
        self._selector.register(client, selectors.EVENT_READ)
        self._backlog: deque[bytes] = deque()
        self._zygote_of: dict[int, Zygote] = {}
        self._next_check = 0
        self._serving = True
        self._tick_at = self._sweep_at = 0.0
        self._sweep_pause = SWEEP_SECONDS
        self.nursery: Nursery

    def serve(self, nursery: Nursery) -> None:
        """Serve until the client is gone."""
        self.nursery = nursery
        identity, level, cgroup, reasons = self._machine
        self._tell("hello", level=level, uid=identity.uid, cgroup=cgroup, reasons=reasons)
        while self._serving:
            now = time.monotonic()
            if now >= self._tick_at:
                self._tick(now)
                self._tick_at = now + self._pause(now)
            wake_at = min(self._tick_at, nursery.fork_ahead_at())
            for key, events in self._selector.select(max(0.0, wake_at - time.monotonic())):
                self._on_event(key, events)
            for zygote in nursery.lacking(time.monotonic()):
                self._ahead.order(zygote)
        for zygote in list(self.nursery.all):
            self.nursery.forget(zygote)
        self._end_orphans()

    def adopt(self, zygote: Zygote) -> None:
        """Listen to a new zygote."""
        self._selector.register(zygote.born.control, selectors.EVENT_READ, zygote)

    def _end_orphans(self) -> None:
        """End what a dead zygote's sandboxes left, where no pid namespace ended it with them."""
        if self._cells.bare:
            zygotes_left = [zygote.born.pid for zygote in self.nursery.all]
            watch.end_orphans([*zygotes_left, *self._cells.removers])

    def _pause(self, now: float) -> float:
        """Return how long until limits and zygotes want a look."""
        if not self._cells.living:
            busy = self._cells.bare or self._cells.removers or self._cells.emptied
            wake_at = min(self.nursery.due(), self._sweep_at)
            return min(SWEEP_SECONDS if busy else REST_SECONDS, max(TICK_SECONDS, wake_at - now))
        return TICK_SECONDS if self._cells.groups is not None else WATCH_SECONDS

    def _on_event(self, key: selectors.SelectorKey, events: int) -> None:
        zygote: Zygote | None = key.data
        if zygote is not None:
            self._on_zygote(zygote)
            return
        if events & selectors.EVENT_WRITE:
            self._flush()
        if events & selectors.EVENT_READ:
            self._on_client()

    def _on_client(self) -> None:
        try:
            message = messages.receive(self._client)
        except BlockingIOError:
            return
        except messages.Malformed:
            message = None  # a client that speaks nonsense is no client
        if message is None:
            self._serving = False
            return
        try:
            if message.op == "start":
                self._start(message)
            elif message.op == "bind":
                self._bind(message)
            elif message.op == "expect" and message.text("runtime") in self._config.runtimes:
                self.nursery.expect(message.text("runtime"))
                self._tick_at = 0.0
            elif message.op in _ORDERS and message.number("id") in self._cells.living:
                self._obey(message.op, self._cells.living[message.number("id")])
        finally:
            messages.close_all(message.fds)

    def _tell(self, op: str, **fields: int | str) -> None:
        """Send the client a message, in order; a client that reads nothing is given up."""
        self._backlog.append(messages.encode(op, **fields))
        if len(self._backlog) > BACKLOG_PACKETS_MAX:
            self._serving = False
        self._flush()

    def _flush(self) -> None:
        events = selectors.EVENT_READ
        try:
            while self._backlog:
                messages.send(self._client, self._backlog[0])
                self._backlog.popleft()
        except BlockingIOError:
            events |= selectors.EVENT_WRITE
        except OSError:
            self._serving = False
            return
        self._selector.modify(self._client, events)

    def _start(self, message: Message) -> None:
        """Have a sandbox forked; whatever goes wrong is told as its end."""
        number = message.number("id")
        try:
            require_room(message, self._cells, self._config)
            runtime = message.text("runtime")
            forked_by = self._config.runtimes[runtime].zygote or runtime
            zygote = self.nursery.zygote_for(forked_by, message.text("account"))
            self._fork(zygote, message)
            now = time.monotonic()
            self._tick_at = min(self._tick_at, now + self._pause(now))
        except (OSError, messages.Malformed) as error:
            self._tell(
                "ended", id=number, cause="refused", status=0, peak_mb=0, note=str(error)[:1000]
            )

    def _fork(self, zygote: Zygote, message: Message) -> None:
        """Have the oldest spare of a zygote, or a new child, become the sandbox that is asked for.

        Raises:
            OSError: What it holds cannot be made, or the zygote does not listen.
        """
        slot = self.nursery.slot_of(zygote)
        spare = next(iter(zygote.spares), 0)
        group = zygote.spares.pop(spare, None)
        cell: Cell | None = None
        try:
            cell = self._cells.create(message, self.nursery.owner_of(zygote, slot), group)
            self._spawn(zygote, cell, slot, spare, message)
        except (OSError, messages.Malformed):
            if cell is not None:
                self._cells.remove(cell)
            if spare:
                self._ahead.give_up(zygote, spare)
            raise

    def _spawn(self, zygote: Zygote, cell: Cell, slot: int, spare: int, message: Message) -> None:
        """Pass a sandbox's descriptors on to the zygote that forks it."""
        passed, trees = message.fds[:OUTLETS], message.fds[OUTLETS:]
        bare = self._cells.bare
        paths = paths_behind(trees)
        opened: list[int] = []
        try:
            with self._steps("open trees"):
                if not bare:
                    opened.append(self._cells.tmp_tree(cell))
                    opened += read_only_trees(paths, trees)
                attached = len(opened)
            opened += [] if cell.group is None else cell.group.entries()
            packet = messages.encode(
                "spawn",
                id=cell.number,
                spare=spare,
                uid=slot,
                processes=self._config.processes_max,
                file_mb=cell.tmp_mb,
                name=cell.name,
                code=paths[0] if bare else "",
                layers="".join(paths[1:]),
                tmp=str(cell.tmp) if bare else "",
                api=message.number("api"),
                trees=attached,
            )
            with self._steps("ask for fork"):
                messages.send(zygote.born.control, packet, [*passed, *opened])
        finally:
            messages.close_all(opened)
        zygote.cells.add(cell.number)
        self._zygote_of[cell.number] = zygote

    def _bind(self, message: Message) -> None:
        """Give a stem its function; one that has ended is told of already."""
        number = message.number("id")
        cell = self._cells.living.get(number)
        if cell is None:
            return
        try:
            with self._steps("bind"):
                bind(cell, message, self._cells, self._config)
                self._zygote_of[number].attach(number, message.fds)
        except (OSError, messages.Malformed) as error:
            self._tell("bound", id=number, note=str(error)[:1000])

    def _obey(self, order: str, cell: Cell) -> None:
        """Do what the client wants done with a living sandbox."""
        with contextlib.suppress(OSError), self._steps(order):
            if order == "kill":
                cell.kill("killed")
            elif order == "freeze":
                cell.freeze()
            elif order == "thaw":
                cell.thaw()
            elif order == "measure":
                self._tell("measured", id=cell.number, peak_mb=cell.resident_peak_mb())
            elif cell.group is not None:  # from now on the share that the memory buys
                cell.group.settle(cell.memory_mb, strict=self._config.strict_cpu)

    def _on_zygote(self, zygote: Zygote) -> None:
        try:
            message = messages.receive(zygote.born.control)
        except BlockingIOError:
            return
        except messages.Malformed:
            message = None  # a zygote that speaks nonsense is ended
        if message is None:
            self._on_zygote_gone(zygote)
        elif message.op == "ready":
            self.nursery.warmed(zygote)
        elif message.op == "spawned":
            self._on_spawned(message)
        elif message.op == "dropped":
            self._ahead.lost(zygote, message.number("id"))
        elif message.op == "attached":
            with self._steps("hear of function"):
                self._tell("bound", id=message.number("id"), note=message.text("note")[:1000])
        elif message.op == "exited":
            self._on_exited(message.number("id"), message.number("status"))

    def _on_spawned(self, message: Message) -> None:
        cell = self._cells.living.get(message.number("id"))
        if cell is None or not message.fds:
            messages.close_all(message.fds)
            if cell is not None:
                self._finish(cell, "refused", 0, message.text("note"))
            return
        with self._steps("hear of fork"):
            cell.pidfd = message.fds[0]
            messages.close_all(message.fds[1:])
            cell.pid = watch.pid_behind(cell.pidfd)
        if cell.cause:
            cell.kill(cell.cause)

    def _on_exited(self, number: int, status: int) -> None:
        cell = self._cells.living.get(number)
        if cell is None:
            return
        code = os.waitstatus_to_exitcode(status)
        with self._steps("hear of end"):
            self._finish(cell, "exited" if code >= 0 else "signalled", abs(code), "")

    def _on_zygote_gone(self, zygote: Zygote) -> None:
        """Its pid namespace is dead with it, and so are its sandboxes."""
        self._selector.unregister(zygote.born.control)
        self.nursery.forget(zygote)
        self._end_orphans()
        self._ahead.end(zygote)
        self._tick_at = 0.0  # another may be wanted
        for number in sorted(zygote.cells):
            cell = self._cells.living.get(number)
            if cell is not None:
                self._finish(cell, "lost", 0, "its zygote ended")

    def _finish(self, cell: Cell, cause: str, status: int, note: str) -> None:
        """Free what a dead sandbox held and tell the client why it died."""
        if cell.group is not None and cell.group.oom_kills():
            cell.cause = "memory"
        with self._steps("remove cell"):
            self._cells.remove(cell)
        if (cause, status) != _KILLED and cell.cause == "killed":
            cell.cause = ""  # it had ended by itself already
        zygote = self._zygote_of.pop(cell.number, None)
        if zygote is not None:
            zygote.cells.discard(cell.number)
        number, cause, peak_mb = cell.number, cell.cause or cause, cell.peak_mb
        self._tell("ended", id=number, cause=cause, status=status, peak_mb=peak_mb, note=note)

    def _tick(self, now: float) -> None:
        """Look after limits (some sandboxes at a time), removals and zygotes."""
        living = list(self._cells.living.values())
        if self._cells.groups is not None and len(living) > CHECKS_PER_TICK_MAX:
            first = self._next_check % len(living)
            self._next_check = first + CHECKS_PER_TICK_MAX
            living = (living + living)[first : first + CHECKS_PER_TICK_MAX]
        for cell in living:
            cell.check()
        self._cells.tidy()
        self._end_orphans()
        with contextlib.suppress(OSError):
            if now >= self._sweep_at:
                self._sweep_at = now + self._sweep_pause
                self._sweep_pause = min(2 * self._sweep_pause, REST_SECONDS)
                self._cells.sweep()
            self.nursery.tick(now)
