"""Pieces are worked on in order, beside the loop, and never more of them wait than is said."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any

import pytest

from fogbank.base.lane import DEPTH, Lane

PATIENCE_S = 20


class Gate:
    """Work that goes on when it is let."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.done: list[int] = []

    def work(self, piece: int) -> None:
        assert self.let.acquire(timeout=PATIENCE_S)
        if piece < 0:
            raise ValueError(piece)
        self.done.append(piece)


def test_pieces_are_worked_on_in_order_and_the_end_waits_for_all() -> None:
    gate = Gate()

    async def run() -> None:
        lane = Lane(gate.work)
        for piece in range(20):
            gate.let.release()
            await lane.put(piece)
        await lane.end()
        assert gate.done == list(range(20))
        await lane.end()

    asyncio.run(run())


def test_who_brings_too_many_waits_until_one_is_done() -> None:
    gate = Gate()

    async def run() -> None:
        lane = Lane(gate.work)
        for piece in range(DEPTH):
            await lane.put(piece)
        one_more = asyncio.ensure_future(lane.put(DEPTH))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not one_more.done()
        gate.let.release()
        await one_more
        assert gate.done == [0]
        for _ in range(DEPTH):
            gate.let.release()
        await lane.end()
        assert gate.done == list(range(DEPTH + 1))

    asyncio.run(run())


def test_an_error_is_raised_where_the_next_piece_is_put_and_later_ones_are_left() -> None:
    gate = Gate()

    async def run() -> None:
        lane = Lane(gate.work)
        await lane.put(-1)
        await lane.put(2)
        for _ in range(2):
            gate.let.release()
        with pytest.raises(ValueError, match="-1"):
            await lane.end()
        with pytest.raises(ValueError, match="-1"):
            await lane.put(3)
        assert gate.done == []

    asyncio.run(run())


class Piece:
    """Something that can be looked for."""


def test_a_piece_is_let_go_of_before_the_loop_hears_that_it_is_done() -> None:
    async def run() -> None:
        loop, let = asyncio.get_running_loop(), threading.Semaphore(0)
        lane: Lane[Piece] = Lane(lambda _: let.acquire(timeout=PATIENCE_S))
        pieces, was_gone = [Piece()], []
        left, tell = weakref.ref(pieces[0]), loop.call_soon_threadsafe

        def heard(*told: Any, **context: Any) -> Any:
            was_gone.append(left() is None)
            return tell(*told, **context)

        setattr(loop, "call_soon_threadsafe", heard)  # noqa: B010 (methods are not assigned)
        await lane.put(pieces.pop())
        let.release()
        await lane.end()
        assert was_gone[0]

    asyncio.run(run())
