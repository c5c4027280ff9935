"""Answers that are read while they are made: bounded, in order, and stopped by no reader."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fogbank.base.errors import Throttled, Unavailable
from fogbank.platform.runtime.answers import HELD_BYTES_MAX, AnswerStream
from fogbank.platform.runtime.port import Ending, Outcome

from .fakes import FakeSandbox, World, event, target  # noqa: TID252 (fakes of this folder)

MIB = 1 << 20
STREAMED = Outcome(Ending.RETURNED, b"", 5.0, 40)


def stream_of(bytes_max: int = 100 * MIB, whole_bytes_max: int = 6 * MIB) -> AnswerStream:
    return AnswerStream(bytes_max, whole_bytes_max)


def saying(*pieces: bytes, outcome: Outcome = STREAMED) -> object:
    async def behave(sandbox: FakeSandbox, request_id: str, payload: bytes) -> Outcome:
        assert sandbox.chunks is not None
        for piece in pieces:
            await sandbox.chunks(piece, "")
        return outcome

    return behave


async def told(world: World, answer: AnswerStream) -> list[bytes]:
    await world.placement.stream(target(), event(), world.cloud, answer)
    return [piece async for piece in answer.pieces()]


def test_a_streamed_answer_comes_piece_by_piece_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            world.runtime.behaviour = saying(b"a", b"", b"bc", b"d")  # type: ignore[assignment]
            answer = stream_of()
            assert await told(world, answer) == [b"a", b"bc", b"d"]
            assert (answer.run.failed, answer.run.report.duration_ms) == (False, 5.0)

    asyncio.run(story())


def test_an_answer_that_came_whole_is_one_piece(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            assert await told(world, stream_of()) == [b'"ok"']

    asyncio.run(story())


def test_a_reader_has_the_first_piece_before_the_second_is_made(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            going_on = asyncio.Event()

            async def behave(sandbox: FakeSandbox, request_id: str, payload: bytes) -> Outcome:
                assert sandbox.chunks is not None
                await sandbox.chunks(b"first", "")
                await going_on.wait()
                await sandbox.chunks(b"second", "")
                return STREAMED

            world.runtime.behaviour = behave
            answer = stream_of()
            await world.placement.stream(target(), event(), world.cloud, answer)
            pieces = answer.pieces()
            assert await anext(pieces) == b"first"
            going_on.set()
            assert [piece async for piece in pieces] == [b"second"]

    asyncio.run(story())


def test_a_slow_reader_holds_the_function_back_and_memory_stays_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            made = 0

            async def behave(sandbox: FakeSandbox, request_id: str, payload: bytes) -> Outcome:
                nonlocal made
                assert sandbox.chunks is not None
                for _ in range(64):
                    made += 1
                    await sandbox.chunks(bytes(MIB // 4), "")
                return STREAMED

            world.runtime.behaviour = behave
            answer = stream_of()
            await world.placement.stream(target(), event(), world.cloud, answer)
            await world.settle()
            assert made == HELD_BYTES_MAX // (MIB // 4)
            pieces = answer.pieces()
            await anext(pieces)
            await world.settle()
            assert made == HELD_BYTES_MAX // (MIB // 4) + 1
            assert sum([len(piece) async for piece in pieces]) == 63 * MIB // 4

    asyncio.run(story())


def test_a_function_whose_reader_has_left_runs_to_its_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            ended = asyncio.Event()

            async def behave(sandbox: FakeSandbox, request_id: str, payload: bytes) -> Outcome:
                assert sandbox.chunks is not None
                for _ in range(64):
                    await sandbox.chunks(bytes(MIB), "")
                ended.set()
                return STREAMED

            world.runtime.behaviour = behave
            answer = stream_of()
            await world.placement.stream(target(), event(), world.cloud, answer)
            pieces = answer.pieces()
            await anext(pieces)
            await pieces.aclose()
            await asyncio.wait_for(ended.wait(), 10)
            await world.settle()
            assert not answer.run.failed

    asyncio.run(story())


def test_what_goes_beyond_the_bound_is_dropped_and_said(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            world.runtime.behaviour = saying(b"12", b"345", b"6")  # type: ignore[assignment]
            answer = stream_of(bytes_max=4)
            assert await told(world, answer) == [b"12"]
            assert answer.passed == 4
            world.runtime.behaviour = None
            whole = stream_of(whole_bytes_max=3)
            assert await told(world, whole) == []
            assert whole.passed == 3

    asyncio.run(story())


def test_an_error_of_the_function_is_no_piece(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            raised = Outcome(Ending.RAISED, b'{"errorType":"E"}', 5.0, 40)
            world.runtime.behaviour = saying(b"begun", outcome=raised)  # type: ignore[assignment]
            answer = stream_of()
            assert await told(world, answer) == [b"begun"]
            assert (answer.run.failed, answer.run.payload) == (True, b'{"errorType":"E"}')

    asyncio.run(story())


def test_what_ends_an_invocation_before_its_answer_is_raised_at_once_and_later_in_it(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=128) as world:
            world.runtime.gate = asyncio.Event()
            running = world.begin()
            await world.started(1)
            with pytest.raises(Throttled):
                await told(world, stream_of())
            world.runtime.gate.set()
            await running

            async def behave(sandbox: FakeSandbox, request_id: str, payload: bytes) -> Outcome:
                assert sandbox.chunks is not None
                await sandbox.chunks(b"begun", "")
                raise Unavailable("the sandbox daemon is gone")

            world.runtime.behaviour = behave
            answer = stream_of()
            await world.placement.stream(target(), event(), world.cloud, answer)
            pieces = answer.pieces()
            assert await anext(pieces) == b"begun"
            with pytest.raises(Unavailable):
                await anext(pieces)

    asyncio.run(story())
