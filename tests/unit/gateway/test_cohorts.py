"""Requests that came together take their stages together, and what was proved stays true meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import pytest
from tests.unit.gateway.stub import ACCOUNT, KEY_ID, Gate, error_in

from fogbank.base.clock import SystemClock
from fogbank.gateway.bound import Bound
from fogbank.gateway.cohorts import COHORT_MIN
from fogbank.gateway.connection import Connection
from fogbank.gateway.listener import Listener
from fogbank.gateway.settings import ListenerSettings
from fogbank.platform.identity.records import ACCESS_KEYS
from fogbank.wire.http import HttpReply, HttpRequest

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
Handler = Callable[[HttpRequest], Awaitable[HttpReply]]


def turns_of(work: Coroutine[Any, Any, HttpReply]) -> tuple[int, HttpReply]:
    """Step some work by hand; return how often it gave way, and its reply."""
    turns = 0
    while True:
        try:
            assert work.send(None) is None, "it gives way and waits for nothing"
        except StopIteration as stop:
            return turns, stop.value
        turns += 1


@pytest.mark.parametrize(("in_cohort", "turns"), [(False, 0), (True, 2)])
def test_a_request_gives_way_between_its_stages_if_others_came_with_it(
    in_cohort: bool, turns: int
) -> None:
    gate = Gate()
    for service in ("s3", "dynamodb"):
        gate.handle(gate.request(service))  # what it takes is read and compiled by now
        request = gate.request(service)
        request.in_cohort = in_cohort
        took, reply = turns_of(cast("Any", gate.dispatcher.handle(request)))
        assert (took, reply.status) == (turns, 200)


def test_a_key_that_is_revoked_while_its_request_gives_way_is_refused() -> None:
    gate = Gate()
    gate.handle(gate.request("dynamodb"))
    calls = len(gate.stub.calls)
    request = gate.request("dynamodb")
    request.in_cohort = True
    work = cast("Coroutine[Any, Any, HttpReply]", gate.dispatcher.handle(request))
    assert work.send(None) is None  # behind the proof

    async def remove(tr: Any) -> None:
        ACCESS_KEYS.delete(tr, KEY_ID)

    asyncio.run(gate.identity.change(ACCOUNT, remove))
    _, reply = turns_of(work)
    assert isinstance(reply.body, bytes)
    assert error_in(reply, reply.body)[0] == "UnrecognizedClientException"
    assert len(gate.stub.calls) == calls


def test_only_answers_that_are_all_there_are_kept_waiting() -> None:
    catalogue = Gate().dispatcher.catalogue

    async def pieces() -> Any:
        yield b""

    def is_whole(service: str, operation: str, answer: dict[str, Any]) -> bool:
        bound: Bound | None = catalogue.find(service, operation)
        assert bound is not None
        return bound.is_whole(answer)

    assert is_whole("s3", "GetObject", {"Body": b"hello"})
    assert is_whole("s3", "HeadObject", {})
    assert is_whole("s3", "GetObject", {})
    assert not is_whole("s3", "GetObject", {"Body": pieces()})
    assert is_whole("lambda", "Invoke", {"Payload": b"{}"})
    assert not is_whole("lambda", "Invoke", {"Payload": pieces()})
    assert not is_whole("s3", "SelectObjectContent", {"Payload": pieces()})
    assert is_whole("dynamodb", "GetItem", {"Item": {}})


# Who came together.


class Pipe(asyncio.Transport):
    """A transport to nobody."""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def connected(listener: Listener, count: int) -> list[Connection]:
    """Return connections whose tasks wait for requests."""
    connections = [Connection(listener) for _ in range(count)]
    for each in connections:
        each.connection_made(Pipe())
    await asyncio.sleep(0)
    return connections


def run(scene: Callable[[Listener], Awaitable[None]], handler: Handler) -> None:
    async def whole() -> None:
        listener = Listener(handler, ListenerSettings(), SystemClock())
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(listener.serve([]))
            await asyncio.sleep(0)
            await scene(listener)
            serving.cancel()

    asyncio.run(whole())


def test_requests_that_come_in_one_turn_are_a_cohort_if_they_are_enough() -> None:
    seen: list[bool] = []

    async def handler(request: HttpRequest) -> HttpReply:
        seen.append(request.in_cohort)
        return HttpReply(200, [], b"")

    async def scene(listener: Listener) -> None:
        connections = await connected(listener, COHORT_MIN)
        for count in (1, COHORT_MIN - 1, COHORT_MIN):
            for each in connections[:count]:
                each.data_received(REQUEST)
            assert listener.untaken == count
            await turns(5)
            assert (listener.untaken, listener.in_flight) == (0, 0)

    run(scene, handler)
    # Each of these is answered before the next is taken up, so the last ones are alone.
    assert seen == [*[False] * COHORT_MIN, True, *[False] * (COHORT_MIN - 1)]


def test_requests_in_work_are_of_the_cohort_too() -> None:
    seen: list[bool] = []
    go_on = asyncio.Event()

    async def handler(request: HttpRequest) -> HttpReply:
        seen.append(request.in_cohort)
        await go_on.wait()
        return HttpReply(200, [], b"")

    async def scene(listener: Listener) -> None:
        for each in await connected(listener, COHORT_MIN):
            each.data_received(REQUEST)
            await asyncio.sleep(0)
        go_on.set()
        await turns(5)
        assert listener.in_flight == 0

    run(scene, handler)
    assert seen == [*[False] * (COHORT_MIN - 1), True]


def test_a_request_whose_client_broke_off_before_it_was_taken_up_is_not_counted_for_ever() -> None:
    async def handler(_request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], b"")

    async def scene(listener: Listener) -> None:
        for each in await connected(listener, 3):
            each.data_received(REQUEST)
            each.connection_lost(None)
        await turns(3)
        assert (listener.untaken, listener.in_flight) == (0, 0)

    run(scene, handler)
