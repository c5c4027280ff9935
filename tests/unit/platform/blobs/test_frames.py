"""Bodies are gathered into frames whose memory is used again, and never under who looks at it."""

from __future__ import annotations

import asyncio

import pytest

from fogbank.platform.blobs import frames
from fogbank.platform.blobs.frames import frames_of
from fogbank.platform.blobs.port import FRAME_BYTES

BODY = bytes(range(256)) * (5 * FRAME_BYTES // 256) + b"the end"


class Pieces:
    """A stream that gives bytes in pieces."""

    def __init__(self, body: bytes, length: int | None) -> None:
        self.left = body
        self.length = length

    async def read(self, limit: int) -> bytes:
        piece, self.left = self.left[: min(limit, 300_000)], self.left[min(limit, 300_000) :]
        return piece


class Filling(Pieces):
    """A stream that puts bytes where they are wanted."""

    async def fill(self, room: memoryview) -> int:
        size = min(len(room), len(self.left))
        room[:size], self.left = self.left[:size], self.left[size:]
        return size


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the lengths of the buffers that are made."""
    lengths: list[int] = []

    class Noted(bytearray):
        def __init__(self, length: int) -> None:
            super().__init__(length)
            lengths.append(length)

    monkeypatch.setattr(frames, "bytearray", Noted, raising=False)
    return lengths


@pytest.mark.parametrize("kind", [Pieces, Filling])
@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, len(BODY)])
@pytest.mark.parametrize("known", [True, False])
def test_frames_are_whole_but_for_the_last_and_hold_the_body(
    kind: type[Pieces], size: int, known: bool
) -> None:
    async def run() -> list[bytes]:
        source = kind(BODY[:size], size if known else None)
        return [bytes(frame) async for frame in frames_of(source)]

    found = asyncio.run(run())
    assert b"".join(found) == BODY[:size]
    assert [len(frame) for frame in found[:-1]] == [FRAME_BYTES] * (len(found) - 1)


def test_a_buffer_is_filled_again_when_nobody_looks_at_it(made: list[int]) -> None:
    async def run() -> None:
        async for frame in frames_of(Pieces(BODY, len(BODY))):
            del frame

    asyncio.run(run())
    assert made == [FRAME_BYTES]


def test_bytes_stay_under_whoever_looks_at_them(made: list[int]) -> None:
    async def run() -> list[memoryview]:
        return [frame[10:] async for frame in frames_of(Pieces(BODY, len(BODY)))]

    kept = asyncio.run(run())
    whole = [BODY[at : at + FRAME_BYTES] for at in range(0, len(BODY), FRAME_BYTES)]
    assert [bytes(frame) for frame in kept] == [frame[10:] for frame in whole]
    assert made == [FRAME_BYTES] * len(whole)


def test_a_short_body_takes_no_more_room_than_it_needs(made: list[int]) -> None:
    async def run() -> list[bytes]:
        return [bytes(frame) async for frame in frames_of(Pieces(b"short", 5))]

    assert asyncio.run(run()) == [b"short"]
    assert made == [6]
