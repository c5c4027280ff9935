"""Background work: scheduled actions, capacities that are to be set, and activities that are over.

A scheduled action takes effect in the transaction of its occurrence, and so once, whatever dies. Setting a
capacity is an attempt that may be made again: it looks at what the resource has before it asks for
anything. Orders of one store are carried out one after another, since reads and writes of a table are
set by one request that names both.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, schedule, timer, worklist
from fogbank.platform.scheduler.schedules import Occurrence
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.application_autoscaling import quotas
from fogbank.services.application_autoscaling.rules import activities, targets, tracking
from fogbank.services.application_autoscaling.rules.actions import SCHEDULE, done
from fogbank.services.application_autoscaling.rules.dimensions import dimension_of
from fogbank.services.application_autoscaling.schema import (
    ActivityRecord,
    OrderRecord,
    TargetRecord,
)
from fogbank.services.application_autoscaling.state import actions as action_rows
from fogbank.services.application_autoscaling.state import activities as activity_rows
from fogbank.services.application_autoscaling.state import orders
from fogbank.services.application_autoscaling.state import policies as policy_rows
from fogbank.services.application_autoscaling.state import targets as rows
from fogbank.services.application_autoscaling.state.acting import Actor

log = logging.getLogger("fogbank.application-autoscaling")

HOLD_MS: Final = 60_000
AT_ONCE: Final = 1
PAUSE_MS: Final = 15_000
ATTEMPTS_MAX: Final = 20
_PASSING: Final = frozenset({"ResourceInUseException", "ThrottlingException"})
"""What the resource's service says while something else is done to it."""


@timer(activity_rows.FORGET)
async def forget_activity(tr: Transaction, due: Timer, facilities: Facilities) -> None:
    """Remove an activity that is six weeks old."""
    await activity_rows.forget(tr, facilities.timers, due)


@schedule(SCHEDULE)
async def take_effect(tr: Transaction, occurrence: Occurrence, facilities: Facilities) -> None:
    """Give a target the bounds of a scheduled action, and order what follows of them."""
    about = activity_rows.decode_due(occurrence.schedule.payload)
    target = await rows.find(tr, about.place)
    action = await action_rows.find(tr, about.place, about.name)
    if target is None or action is None or target.suspended_schedules:
        return
    now_ms = facilities.clock.now_ms()
    after = done(action, target)
    rows.put(tr, after)
    ids = (action.id, occurrence.scheduled_ms)
    activity = activities.of_action(
        about.place, action, activities.derived_id("done", *ids), now_ms
    )
    limit = facilities.quotas.value(quotas.ACTIVITIES)
    await activity_rows.add(tr, facilities.timers, activity, limit)
    orders.give_bounds(tr, after, activities.derived_id("order", *ids), now_ms)


@worklist(orders.ORDERS, concurrency_max=AT_ONCE, hold_ms=HOLD_MS)
async def carry_out(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Set a capacity, and say in its activity what came of it."""
    return await _Order(entry, facilities).carried_out()


class _Order:
    """One attempt at one order.

    Args:
        entry: The order.
        facilities: The cloud.
    """

    def __init__(self, entry: WorkEntry, facilities: Facilities) -> None:
        self._entry = entry
        self._facilities = facilities
        self._order: OrderRecord = orders.decode_order(entry.payload)
        self._store = facilities.placement.store_of(Domain(*entry.domain))
        self._dimension = dimension_of(self._order.place)

    async def carried_out(self) -> Verdict:
        """Set the capacity; an order whose target is gone is void."""
        target = await self._store.read(self._find_target)
        if target is None:
            return Verdict()
        _, account, region = self._entry.domain
        actor, resource = Actor(self._facilities, target, account, region), self._order.place[1]
        wanted, refusal = self._order.capacity or target.min_capacity, None
        try:
            reply = await actor.ask(self._dimension.look(resource))
            capacity = self._dimension.capacity_in(resource, reply) or 0
            wanted = self._order.capacity or targets.bounded(target, capacity)
            if capacity and capacity != wanted:
                await self._store.transact(partial(self._begin, target, wanted))
                await actor.ask(self._dimension.change(resource, wanted, reply))
        except ServiceError as error:
            if error.code in _PASSING and self._entry.attempt < ATTEMPTS_MAX:
                return Verdict(retry_at_ms=self._facilities.clock.now_ms() + PAUSE_MS)
            log.info("%s: %s stay as they are: %s", resource, self._dimension.words, error)
            await self._store.transact(partial(self._begin, target, wanted))
            refusal = error
        return Verdict(settle=partial(self._end, wanted, refusal))

    async def _find_target(self, tr: Transaction) -> TargetRecord | None:
        """Return the target, unless it is gone or another has taken its place."""
        target = await rows.find(tr, self._order.place)
        return target if target is not None and target.id == self._order.target_id else None

    async def _find_activity(self, tr: Transaction) -> ActivityRecord | None:
        entry = self._entry
        return await activity_rows.find(tr, self._order.place, entry.created_ms, entry.id)

    async def _begin(self, target: TargetRecord, wanted: int, tr: Transaction) -> None:
        """Say that a capacity is being set, unless that was said."""
        if await self._find_activity(tr) is not None:
            return
        entry = self._entry
        activity = activities.of_bounds(target, entry.id, wanted, entry.created_ms)
        limit = self._facilities.quotas.value(quotas.ACTIVITIES)
        await activity_rows.add(tr, self._facilities.timers, activity, limit)

    async def _end(self, wanted: int, refusal: ServiceError | None, tr: Transaction) -> None:
        """Say what came of it, in the transaction that removes the order."""
        now_ms, activity = self._facilities.clock.now_ms(), await self._find_activity(tr)
        if activity is not None:
            ended = (
                activities.fulfilled(activity, wanted, now_ms)
                if refusal is None
                else activities.failed(activity, wanted, refusal, now_ms)
            )
            activity_rows.put(tr, ended)
        target = await self._find_target(tr)
        if target is None or target.pending != self._entry.id:
            return
        retry_ms = now_ms + tracking.pause_ms(target.failures)
        rows.put(tr, orders.settled(target, well=refusal is None, retry_ms=retry_ms))
        policy = await policy_rows.find(tr, self._order.place, self._order.policy)
        if policy is not None and refusal is None:
            order = self._order
            after = tracking.moved(policy, order.before, order.capacity, now_ms)
            policy_rows.put(tr, order.place, after)
