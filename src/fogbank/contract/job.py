"""Background work: reconcilers, work lists, timers and schedules, run by one driver.

A *reconciler* is idempotent and takes no input: it looks at what stands, does one bounded step and
says how it went. It is woken by a signal and by its period alike; input would make the two paths
differ (Omicron, ``app/background``). A *timer* is a durable wake-up: it runs in the transaction
that removes it. A *schedule* repeats one. A *consumer* reads a log of another domain under a durable
cursor (``platform/scheduler/consumers``), step by step, as long as it is registered. A *work list* runs durable entries (``platform/scheduler/worklist``), several at a
time: an attempt that a crash cut short is repeated at once after the restart.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from fogbank.contract.call import Facilities
from fogbank.contract.quota import Quota
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.scheduler.schedules import Occurrence
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction


class Progress(enum.Enum):
    """How a step of a reconciler went."""

    BUSY = "busy"
    """There is more to do now."""
    THROTTLED = "throttled"
    """There is more to do, later: something was full."""
    IDLE = "idle"
    """Nothing to do until the next signal or period."""
    DONE = "done"
    """Nothing to do ever again in this process."""


class Rest(NamedTuple):
    """A step of a reconciler found nothing to do until a time, unless something wakes it before.

    It is not woken oftener than its period, however often something does. A consumer whose kind says
    what wakes it is left alone for longer, until a commit there; another looks again at that time.
    """

    until_ms: int
    gather_ms: int = 0
    """How long a consumer that a commit wakes waits for more, to read it together."""


Step = Callable[[Facilities], Awaitable[Progress | Rest]]
Wakened = Callable[[Facilities, Callable[[], None]], None]
"""Is handed what wakes a reconciler."""
Wake = Callable[[Transaction, Timer, Facilities], Awaitable[None]]
Settle = Callable[[Transaction], Awaitable[None]]
Ring = Callable[[Transaction, Occurrence, Facilities], Awaitable[None]]
F = TypeVar("F", bound=Callable[..., Any])


class Reconciler(NamedTuple):
    """A declared reconciler."""

    name: str
    step: Step
    period_ms: Quota | int
    """How long it rests; where a setting says so, the quota that has it."""
    signal: int | None = None
    """A system subspace (``platform/store/keyspace``) whose commits wake it."""
    wakened: Wakened | None = None
    """Is handed what wakes it, to be called when there is something to do."""


class TimerKind(NamedTuple):
    """A declared kind of timer and what it does when it is due."""

    kind: str
    wake: Wake


class ScheduleKind(NamedTuple):
    """A declared kind of schedule and what it does at each of its occurrences."""

    kind: str
    ring: Ring


class Verdict(NamedTuple):
    """What becomes of an entry after an attempt.

    ``settle``, if given, runs in the transaction that removes the entry or puts it back.
    """

    retry_at_ms: int | None = None
    """When to try again; None: the entry is done."""
    settle: Settle | None = None
    uncounted: bool = False
    """The attempt did not take place (no environment was free): do not count it."""


Memory = dict[str, Any]
"""What the steps of a consumer leave each other in this process; it is empty after a start."""
ConsumerStep = Callable[[Consumer, Facilities, Memory], Awaitable[int | Rest]]
"""Reads some, and returns when to read on; a rest ends before if there may be more to read."""
Watched = Callable[[Consumer, Facilities], Awaitable[Sequence[AsyncIterator[None]]]]
"""Returns watches of stores (``Store.watch``): what is committed there may be for the consumer."""
Attempt = Callable[[WorkEntry, Facilities], Awaitable[Verdict]]


class WorkList(NamedTuple):
    """A declared work list and what an attempt at one of its entries does."""

    name: str
    attempt: Attempt
    concurrency_max: int
    hold_ms: int
    """How long a claim hides an entry; longer than any attempt may last."""


def worklist(name: str, *, concurrency_max: int, hold_ms: int) -> Callable[[Attempt], WorkList]:
    """Declare a work list; the driver claims entries and runs attempts side by side."""

    def declare(attempt: Attempt) -> WorkList:
        return WorkList(name, attempt, concurrency_max, hold_ms)

    return declare


def reconciler(
    *, period_ms: Quota | int, signal: int | None = None, wakened: Wakened | None = None
) -> Callable[[Step], Reconciler]:
    """Declare a reconciler; the driver runs a step at start, by period and when it is woken."""

    def declare(step: Step) -> Reconciler:
        name = f"{step.__module__.removeprefix('fogbank.')}.{getattr(step, '__name__', 'step')}"
        return Reconciler(name, step, period_ms, signal, wakened)

    return declare


def timer(kind: str) -> Callable[[Wake], TimerKind]:
    """Declare what a kind of durable timer does; it runs in the transaction that removes it."""

    def declare(wake: Wake) -> TimerKind:
        return TimerKind(kind, wake)

    return declare


def schedule(kind: str) -> Callable[[Ring], ScheduleKind]:
    """Declare what a kind of schedule does when it is due.

    It runs in the transaction that also sets the next occurrence, so each occurrence takes effect
    exactly once; what it starts leaves through the outbox.
    """

    def declare(ring: Ring) -> ScheduleKind:
        return ScheduleKind(kind, ring)

    return declare


class ConsumerKind(NamedTuple):
    """A declared kind of consumers and what one step of one of them does."""

    name: str
    step: ConsumerStep
    steps_max: int
    """So many steps of all its consumers are under way at once."""
    watched: Watched | None = None
    """What wakes a consumer that rests; None: time alone does."""


def consumer(
    kind: str, *, steps_max: int, watched: Watched | None = None
) -> Callable[[ConsumerStep], ConsumerKind]:
    """Declare a kind of consumers; the driver runs the steps of each, one after another."""

    def declare(step: ConsumerStep) -> ConsumerKind:
        return ConsumerKind(kind, step, steps_max, watched)

    return declare


Job = Reconciler | TimerKind | ScheduleKind | WorkList | ConsumerKind
"""Whatever a service may list in its ``jobs``."""
