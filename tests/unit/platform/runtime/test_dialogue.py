"""The talk between platform and runtime: what may be said when, and what it means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from fogbank.platform.runtime.dialogue import (
    RESPONSE_BYTES_MAX,
    WAITING_BYTES_MAX,
    Answer,
    Dialogue,
    Event,
    Phase,
    RefusedError,
    Turn,
)

EVENT = Event("id-1", b"1", 1000, {})


def told(work: Callable[[Dialogue], Awaitable[None]]) -> None:
    """Run a talk."""

    async def talk() -> None:
        await work(Dialogue())

    asyncio.run(talk())


def running(dialogue: Dialogue, *, streamed: bool = False) -> Turn:
    dialogue.ask()
    turn = dialogue.begin(EVENT, streamed=streamed)
    assert dialogue.take() == EVENT
    return turn


def test_an_event_waits_until_it_is_asked_for_and_is_given_once() -> None:
    async def talk(dialogue: Dialogue) -> None:
        turn = dialogue.begin(EVENT)
        assert dialogue.take() is None, "nobody has asked"
        assert not dialogue.started.done()
        dialogue.ask()
        assert await dialogue.started is None
        assert dialogue.take() == EVENT
        assert dialogue.take() is None
        dialogue.respond("id-1", b"2", "text/plain")
        assert await turn.answered(None) == Answer(b"2", failed=False, content_type="text/plain")
        dialogue.ask()
        assert dialogue.take() is None, "there is no other"

    told(talk)


@pytest.mark.parametrize("request_id", ["", "id-2"])
def test_an_answer_to_another_event_changes_nothing(request_id: str) -> None:
    async def talk(dialogue: Dialogue) -> None:
        turn = running(dialogue)
        for say in (dialogue.respond, dialogue.fail):
            with pytest.raises(RefusedError) as refused:
                say(request_id, b"x")
            assert refused.value.status == 400
        assert not turn.answer.done()
        assert dialogue.phase is Phase.RUNNING

    told(talk)


def test_an_answer_before_the_event_or_after_the_answer_is_refused() -> None:
    async def talk(dialogue: Dialogue) -> None:
        with pytest.raises(RefusedError):
            dialogue.respond("id-1", b"forged")
        turn = running(dialogue)
        dialogue.fail("id-1", b"{}")
        with pytest.raises(RefusedError) as refused:
            dialogue.respond("id-1", b"late")
        assert refused.value.status == 403
        assert await turn.answered(None) == Answer(b"{}", failed=True)

    told(talk)


def test_who_has_an_event_gets_no_other() -> None:
    async def talk(dialogue: Dialogue) -> None:
        running(dialogue)
        with pytest.raises(RefusedError) as refused:
            dialogue.ask()
        assert refused.value.kind == "InvalidStateTransition"

    told(talk)


def test_a_start_fails_once_and_only_before_it_is_done() -> None:
    async def talk(dialogue: Dialogue) -> None:
        dialogue.fail_start({"errorType": "X"})
        assert await dialogue.started == {"errorType": "X"}
        for say in (dialogue.ask, lambda: dialogue.fail_start({})):
            with pytest.raises(RefusedError):
                say()

    told(talk)


def test_a_response_over_the_limit_fails_the_event() -> None:
    async def talk(dialogue: Dialogue) -> None:
        turn = running(dialogue, streamed=True)
        with pytest.raises(RefusedError) as refused:
            dialogue.respond("id-1", bytes(RESPONSE_BYTES_MAX + 1))
        assert refused.value.status == 413
        answer = await turn.answer
        assert answer.failed
        kind = msgspec.json.decode(answer.payload)["errorType"]
        assert kind == "Function.ResponseSizeTooLarge"

    told(talk)


def test_pieces_reach_the_reader_in_order_before_the_answer() -> None:
    async def talk(dialogue: Dialogue) -> None:
        heard: list[tuple[bytes, str]] = []

        async def hear(piece: bytes, kind: str) -> None:
            heard.append((piece, kind))

        running(dialogue, streamed=True)
        turn = dialogue.stream("id-1", "text/plain")
        async with asyncio.TaskGroup() as group:
            answered = group.create_task(turn.answered(hear))
            for piece in (b"a", b"b"):
                turn.write(piece, lambda: None)
                await asyncio.sleep(0)
            dialogue.sent()
            turn.finish()
        assert heard == [(b"a", "text/plain"), (b"b", "text/plain")]
        assert answered.result() == Answer(b"", content_type="text/plain")

    told(talk)


def test_a_runtime_waits_while_its_reader_does_and_goes_on_after() -> None:
    async def talk(dialogue: Dialogue) -> None:
        rooms: list[str] = []
        reading = asyncio.Event()

        async def hear(_: bytes, __: str) -> None:
            await reading.wait()

        running(dialogue, streamed=True)
        turn = dialogue.stream("id-1")
        half = bytes(WAITING_BYTES_MAX // 2)
        async with asyncio.TaskGroup() as group:
            group.create_task(turn.answered(hear))
            assert turn.write(half, lambda: rooms.append("early"))
            assert turn.write(half, lambda: rooms.append("early"))
            assert not turn.write(b"x", lambda: rooms.append("room"))
            await asyncio.sleep(0)
            assert rooms == []
            reading.set()
            await asyncio.sleep(0)
            dialogue.sent()
            turn.finish()
        assert rooms == ["room"]

    told(talk)


def test_a_failure_half_way_comes_after_the_pieces_that_came() -> None:
    async def talk(dialogue: Dialogue) -> None:
        heard: list[bytes] = []

        async def hear(piece: bytes, _: str) -> None:
            heard.append(piece)

        running(dialogue, streamed=True)
        turn = dialogue.stream("id-1")
        turn.write(b"half", lambda: None)
        dialogue.sent()
        turn.fail(b"{}")
        assert await turn.answered(hear) == Answer(b"{}", failed=True)
        assert heard == [b"half"]

    told(talk)


def test_the_end_is_told_to_whoever_waits() -> None:
    async def talk(dialogue: Dialogue) -> None:
        turn = running(dialogue)
        dialogue.end(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await turn.answered(None)

    told(talk)
