"""Room for what becomes many times its bytes: taken first, by turns, and always given back."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import pytest
from tests.unit.gateway.stub import Gate, module_of

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.contract.quota import Quota, Quotas
from fogbank.contract.service import Service
from fogbank.gateway.room import Room
from fogbank.gateway.settings import GatewaySettings


def test_who_finds_no_room_waits_its_turn() -> None:
    async def work() -> None:
        room, order = Room(100, Quotas()), []

        async def one(name: str, weight: int) -> int:
            taken = await room.enter(weight)
            order.append(name)
            return taken

        first = await one("first", 80)
        tasks = [asyncio.create_task(one(*each)) for each in (("large", 50), ("small", 10))]
        await asyncio.sleep(0)
        assert order == ["first"]  # the small one does not overtake
        room.leave(first)
        await asyncio.gather(*tasks)
        assert order == ["first", "large", "small"]
        assert room.taken == 60

    asyncio.run(work())


def test_what_wants_more_than_all_has_the_room_to_itself() -> None:
    async def work() -> None:
        room = Room(100, Quotas())
        taken = await room.enter(1_000)
        assert (taken, room.taken) == (100, 100)
        room.leave(taken)
        assert room.taken == 0

    asyncio.run(work())


@pytest.mark.parametrize("when", ["waiting", "let in"])
def test_who_goes_away_keeps_no_room(when: str) -> None:
    async def work() -> None:
        room = Room(100, Quotas())
        held = await room.enter(100)
        leaving = asyncio.create_task(room.enter(100))
        behind = asyncio.create_task(room.enter(10))
        await asyncio.sleep(0)
        if when == "let in":
            room.leave(held)  # its turn came, and it does not know yet
            leaving.cancel()
        else:
            leaving.cancel()
            await asyncio.sleep(0)
            room.leave(held)
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await behind == room.taken == 10

    asyncio.run(work())


def test_no_more_long_replies_are_made_at_once_than_there_is_room_for() -> None:
    inside: list[int] = []
    running = 0

    async def list_tables(_call: Call, _request: dict[str, Any]) -> dict[str, Any]:
        nonlocal running
        running += 1
        inside.append(running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1
        return {"TableNames": []}

    quota = Quota("dynamodb.page_bytes_max", 1 << 20, "for this test")
    declared = operation(reply=quota)(list_tables)
    service = Service(
        model="dynamodb",
        operations=(module_of("dynamodb", list_tables=declared),),
        access_denied="AccessDeniedException",
    )
    gate = Gate(GatewaySettings(work_bytes_max=4 << 20), [service])

    async def work() -> list[int]:
        asked = [gate.dispatcher.handle(gate.request("dynamodb")) for _ in range(6)]
        return [reply.status for reply in await asyncio.gather(*asked)]

    assert asyncio.run(work()) == [200] * 6
    assert max(inside) == 2
    assert gate.dispatcher._room.taken == 0


@pytest.mark.parametrize(("took_s", "turns"), [(1.0, [0, 2, 3, 4]), (0.0, [0, 0, 0, 0])])
def test_after_one_that_took_long_the_next_begins_when_the_loop_has_turned(
    took_s: float, turns: list[int]
) -> None:
    async def work() -> None:
        room, began, turn, now = Room(100, Quotas()), list[int](), 0, 0.0
        loop = asyncio.get_running_loop()

        def count() -> None:
            nonlocal turn
            turn += 1
            loop.call_soon(count)

        async def one() -> None:
            nonlocal now
            taken = await room.enter(10)
            began.append(turn)
            now += took_s
            room.leave(taken)

        with mock.patch.object(loop, "time", side_effect=lambda: now):
            tasks = [asyncio.create_task(one()) for _ in turns]
            loop.call_soon(count)
            for _ in range(20):
                await asyncio.sleep(0)
            assert [each.done() for each in tasks] == [True] * 4
        assert began == turns
        assert room.taken == 0

    asyncio.run(work())
