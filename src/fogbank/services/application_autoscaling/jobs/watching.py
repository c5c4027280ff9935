"""Background work: looking each minute at what is consumed of a target, and what its policies want of it.

A consumer for each target that has policies reads what the resource's service has written of the last
minutes, decides, and gives an order in the same transaction that says so. Looking costs no commit. Minutes before
this process looked first count for nothing: while it was down nobody could consume anything.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Facilities
from fogbank.contract.job import Memory, consumer
from fogbank.platform.metering import consumption
from fogbank.platform.metering.consumption import MINUTE_MS, ConsumptionRecord
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.application_autoscaling import quotas
from fogbank.services.application_autoscaling.rules import activities, tracking
from fogbank.services.application_autoscaling.rules.dimensions import (
    consumed_domain,
    dimension_of,
)
from fogbank.services.application_autoscaling.rules.tracking import Move, Seen
from fogbank.services.application_autoscaling.schema import (
    ActivityRecord,
    OrderRecord,
    PolicyRecord,
    TargetRecord,
)
from fogbank.services.application_autoscaling.state import activities as activity_rows
from fogbank.services.application_autoscaling.state import orders
from fogbank.services.application_autoscaling.state import policies as policy_rows
from fogbank.services.application_autoscaling.state import targets as rows
from fogbank.services.application_autoscaling.state.acting import Actor

log = logging.getLogger("fogbank.application-autoscaling")

STEPS_AT_ONCE: Final = 32
GRACE_MS: Final = 10_000
"""So long after its end a minute is looked at: it is written by then."""
CAPACITY_MS: Final = 300_000
"""For so long what a resource has is not asked again, where nothing is consumed that would tell."""


@consumer(policy_rows.WATCHED, steps_max=STEPS_AT_ONCE)
async def watch(entry: Consumer, facilities: Facilities, memory: Memory) -> int:
    """Look at the last minutes of a target; return when the next one is over."""
    over = (facilities.clock.now_ms() - GRACE_MS) // MINUTE_MS
    memory.setdefault("since", over)
    await _Watch(entry, facilities, memory).look(over - 1)
    return (over + 1) * MINUTE_MS + GRACE_MS


class _Watch:
    """One look at one target.

    Args:
        entry: Who looks.
        facilities: The cloud.
        memory: What earlier looks have left.
    """

    def __init__(self, entry: Consumer, facilities: Facilities, memory: Memory) -> None:
        self._about = activity_rows.decode_due(entry.payload)
        self._facilities = facilities
        self._memory = memory
        self._store = facilities.placement.store_of(Domain(*entry.domain))
        _, self._account, self._region = entry.domain
        self._now_ms = facilities.clock.now_ms()

    async def look(self, last: int) -> None:
        """Decide by the minutes up to one, the last that is over, and order what is wanted."""
        found = await self._store.read(self._find)
        if found is None:
            return
        target, policies = found
        if target.pending or self._now_ms < target.retry_ms:
            return
        record = await self._consumption()
        capacity = consumption.provisioned_at(record, last) or await self._capacity(target)
        if not capacity:
            return
        since: int = self._memory["since"]
        minutes = range(max(since, last - tracking.LOW_MINUTES + 1), last + 1)
        consumed = consumption.consumed_in(record, minutes)
        moves: list[Move | None] = []
        for policy in policies:
            settled = last - policy.changed_ms // MINUTE_MS
            seen = Seen(capacity, consumed, settled, self._now_ms)
            moves.append(tracking.move_of(policy, target, seen))
        move = tracking.chosen(moves)
        if move is not None:
            ids = self._facilities.ids.uuid()
            await self._store.transact(partial(self._order, target, move, capacity, ids))

    async def _find(self, tr: Transaction) -> tuple[TargetRecord, list[PolicyRecord]] | None:
        """Return the target and its policies, or None if it is gone."""
        target = await rows.find(tr, self._about.place)
        if target is None or target.id != self._about.name:
            return None
        return target, await policy_rows.list_of(tr, target.place)

    async def _consumption(self) -> ConsumptionRecord | None:
        """Return what the resource's service has written down."""
        place = self._about.place
        resource, measure = dimension_of(place).consumed_of(place[1])
        domain = consumed_domain(place, self._account, self._region)

        async def body(tr: Transaction) -> ConsumptionRecord | None:
            return await consumption.find(tr, resource, measure)

        return await self._facilities.placement.store_of(domain).read(body)

    async def _capacity(self, target: TargetRecord) -> int:
        """Return what the resource has, as it says; 0: nothing, or it does not say."""
        known = self._memory.get("capacity")
        if known is not None:
            asked_ms, of, capacity = known
            if of == target and self._now_ms < asked_ms + CAPACITY_MS:
                return int(capacity)
        dimension, resource = dimension_of(target.place), target.place[1]
        actor = Actor(self._facilities, target, self._account, self._region)
        try:
            reply = await actor.ask(dimension.look(resource))
            capacity = dimension.capacity_in(resource, reply) or 0
        except ServiceError as error:
            log.info("%s: its %s are not told: %s", resource, dimension.words, error)
            capacity = 0
        self._memory["capacity"] = (self._now_ms, target, capacity)
        return capacity

    async def _order(
        self, seen: TargetRecord, move: Move, capacity: int, activity_id: str, tr: Transaction
    ) -> None:
        """Order what a policy wants, or say why nothing is done, unless the target has changed."""
        target = await rows.find(tr, seen.place)
        policy = await policy_rows.find(tr, seen.place, move.policy.name)
        if target != seen or policy is None or policy != move.policy:
            return
        cause = activities.cause_of(
            activities.monitor_of(seen.place, policy.id, is_high=move.is_high), policy.name
        )
        if move.reason:
            await self._tell(tr, seen, move, activity_id, cause)
            return
        activity = activities.of_policy(seen.place, activity_id, move.capacity, cause, self._now_ms)
        await self._add(tr, activity)
        rows.put(tr, orders.begun(seen, activity_id))
        order = OrderRecord(
            target_id=seen.id,
            place=seen.place,
            capacity=move.capacity,
            policy=policy.name,
            before=capacity,
        )
        orders.give(tr, order, activity_id, self._now_ms)

    async def _tell(
        self, tr: Transaction, target: TargetRecord, move: Move, activity_id: str, cause: str
    ) -> None:
        """Say why nothing is done, unless that is what was said last."""
        last = await activity_rows.find_last(tr, target.place)
        if last is not None and last.reason == move.reason:
            return
        activity = activities.not_scaled(
            target.place, activity_id, cause, move.reason, move.reached, self._now_ms
        )
        await self._add(tr, activity)

    async def _add(self, tr: Transaction, activity: ActivityRecord) -> None:
        limit = self._facilities.quotas.value(quotas.ACTIVITIES)
        await activity_rows.add(tr, self._facilities.timers, activity, limit)
