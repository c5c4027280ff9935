"""Links between processes, over a real socket pair and virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fogbank.base.errors import (
    CommitUnknown,
    Conflict,
    Corrupt,
    NotBuilt,
    ServiceError,
    Throttled,
    Unavailable,
)
from fogbank.platform.link import caller, frames, port
from fogbank.platform.link.answerer import Answerer
from fogbank.platform.link.caller import Line, Link, dialling
from fogbank.platform.link.errors import error_of, value_of
from fogbank.platform.link.port import Answer, Asked, Handlers, LinkLost, RemoteBugError
from fogbank.testing.clock import VirtualClock

Lines = Callable[[Handlers], Any]


class ResourceGone(ServiceError):
    status = 410


class Source:
    """A body of so many pieces; counts how many were read."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self.pieces = list(pieces)
        self.length: int | None = sum(map(len, pieces))
        self.trailers = {"x-amz-checksum-crc32": "AAAAAA=="}
        self.reads = 0
        self._error = error

    async def read(self, limit: int) -> bytes:
        del limit
        self.reads += 1
        if not self.pieces and self._error is not None:
            raise self._error
        return self.pieces.pop(0) if self.pieces else b""


class Listening:
    """The answering side: a socket, and what was accepted on it."""

    def __init__(self, path: str, handlers: Handlers, group: asyncio.TaskGroup) -> None:
        self.accepted: list[Answerer] = []
        self._path, self._handlers, self._group = path, handlers, group
        self._server: asyncio.Server | None = None

    def _accept(self) -> Answerer:
        self.accepted.append(Answerer(self._handlers, self._group))
        return self.accepted[-1]

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._accept, self._path)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for each in self.accepted:
            each.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def linked(
    tmp_path: Any, handlers: Handlers, clock: VirtualClock | None = None
) -> AsyncIterator[tuple[Line, Listening]]:
    async with asyncio.TaskGroup() as group:
        path = str(tmp_path / "s")
        listening = Listening(path, handlers, group)
        await listening.start()
        line = Line(dialling(path), clock or VirtualClock())
        try:
            yield line, listening
        finally:
            line.close()
            await listening.stop()
            await asyncio.sleep(0)


async def turns() -> None:
    """Let both sides do all they can do now."""
    for _ in range(300):
        await asyncio.sleep(0)


async def echo(asked: Asked) -> Answer:
    return Answer(asked.value)


def test_values_come_back_as_they_were_said(tmp_path: Any) -> None:
    value = {"text": "ü", "bytes": b"\0\xff", "number": 1 << 60, "list": [1.5, None, True, {}]}

    async def run() -> None:
        async with linked(tmp_path, {"echo": echo}) as (line, _):
            assert (await line.call("echo", value)).value == value

    asyncio.run(run())


def test_what_is_said_in_one_turn_of_the_loop_leaves_in_one_frame(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    flush = frames.FrameProtocol._flush

    def counted(self: Any) -> None:
        if isinstance(self, Link):
            sizes.append(len(self._said))
        flush(self)

    monkeypatch.setattr(frames.FrameProtocol, "_flush", counted)

    async def run() -> None:
        async with linked(tmp_path, {"echo": echo}) as (line, _):
            await line.call("echo", 0)
            answers = await asyncio.gather(*(line.call("echo", n) for n in range(50)))
            assert [answer.value for answer in answers] == list(range(50))

    asyncio.run(run())
    assert sizes[:2] == [1, 50]


@pytest.mark.parametrize(
    "error",
    [
        ResourceGone("it is gone", Resource="it"),
        NotBuilt.operation("s3", "SelectObjectContent"),
        Conflict("again"),
        Throttled("slow"),
        Corrupt("a row"),
    ],
)
def test_an_error_arrives_as_what_it_is(tmp_path: Any, error: Exception) -> None:
    async def fail(_: Asked) -> Answer:
        raise error

    async def run() -> None:
        async with linked(tmp_path, {"fail": fail}) as (line, _):
            with pytest.raises(Exception, match=str(error)) as caught:
                await line.call("fail", None)
            raised = caught.value
            if isinstance(error, ServiceError):
                assert isinstance(raised, ServiceError)
                assert (raised.code, raised.status) == (error.code, error.status)
                assert raised.members == error.members
                assert isinstance(raised, NotBuilt) == isinstance(error, NotBuilt)
            else:
                assert type(raised) is type(error)

    asyncio.run(run())


def test_a_bug_of_the_other_side_arrives_as_one_without_its_words(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Asked) -> Answer:
        raise KeyError("secret")

    async def run() -> None:
        async with linked(tmp_path, {"fail": fail, "echo": echo}) as (line, _):
            with pytest.raises(RemoteBugError) as caught:
                await line.call("fail", None)
            assert "secret" not in str(caught.value)
            assert (await line.call("echo", 1)).value == 1

    asyncio.run(run())
    assert "secret" in caplog.text


def test_an_error_keeps_the_headers_of_its_reply() -> None:
    error = ServiceError("elsewhere", Bucket="b")
    error.headers["x-amz-bucket-region"] = "eu-west-1"
    back = error_of(value_of(error))
    assert isinstance(back, ServiceError)
    assert back.headers == error.headers
    assert back.members == error.members


def test_a_call_of_a_call_that_was_lost_is_not_known_to_have_failed() -> None:
    assert type(error_of(value_of(LinkLost("x")))) is CommitUnknown


def test_a_stream_is_read_only_as_the_other_side_reads_it(tmp_path: Any) -> None:
    piece = b"x" * port.PIECE_BYTES_MAX
    source = Source([piece] * 40)
    go_on = asyncio.Event()

    async def take(asked: Asked) -> Answer:
        assert asked.stream is not None
        assert asked.stream.length == 40 * len(piece)
        size = len(await asked.stream.read(10))
        await go_on.wait()
        while part := await asked.stream.read(1 << 20):
            size += len(part)
        return Answer([size, dict(asked.stream.trailers)])  # type: ignore[attr-defined]

    async def run() -> None:
        async with linked(tmp_path, {"take": take}) as (line, _):
            assert source.reads == 0
            taking = asyncio.ensure_future(line.call("take", None, source))
            await turns()
            assert 1 <= source.reads <= port.WINDOW_BYTES // len(piece) + 1
            go_on.set()
            assert (await taking).value == [40 * len(piece), source.trailers]

    asyncio.run(run())


def test_a_handler_that_answers_before_the_stream_reads_none_of_it(tmp_path: Any) -> None:
    source = Source([b"x"])

    async def refuse(_: Asked) -> Answer:
        raise ResourceGone("gone")

    async def run() -> None:
        async with linked(tmp_path, {"refuse": refuse}) as (line, _):
            with pytest.raises(ServiceError):
                await line.call("refuse", None, source)
            assert source.reads == 0

    asyncio.run(run())


def test_a_source_that_fails_fails_its_reader(tmp_path: Any) -> None:
    async def take(asked: Asked) -> Answer:
        assert asked.stream is not None
        while await asked.stream.read(100):
            pass
        return Answer(None)

    async def run() -> None:
        async with linked(tmp_path, {"take": take}) as (line, _):
            with pytest.raises(ServiceError, match="broke off") as caught:
                await line.call("take", None, Source([b"x"], ResourceGone("the client broke off")))
            assert caught.value.code == "ResourceGone"

    asyncio.run(run())


def test_a_streamed_answer_waits_for_its_reader_and_ends_when_it_leaves(tmp_path: Any) -> None:
    sent = 0
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        try:
            for _ in range(100):
                sent += 1
                yield b"x" * port.PIECE_BYTES_MAX
        finally:
            closed.set()

    async def give(_: Asked) -> Answer:
        return Answer("head", pieces())

    async def run() -> None:
        async with linked(tmp_path, {"give": give}) as (line, _):
            answer = await line.call("give", None)
            assert answer.value == "head"
            assert answer.stream is not None
            await turns()
            assert sent <= 1
            assert len(await anext(answer.stream)) == port.PIECE_BYTES_MAX
            await turns()
            assert sent <= port.WINDOW_BYTES // port.PIECE_BYTES_MAX + 3
            await answer.stream.aclose()  # type: ignore[attr-defined]
            await closed.wait()
            whole = await line.call("give", None)
            assert whole.stream is not None
            size = sum([len(piece) async for piece in whole.stream])
            assert size == 100 * port.PIECE_BYTES_MAX

    asyncio.run(run())


def test_an_error_in_a_streamed_answer_reaches_its_reader_behind_the_bytes(tmp_path: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        raise Corrupt("a frame of the blob")

    async def give(_: Asked) -> Answer:
        return Answer(None, pieces())

    async def run() -> None:
        async with linked(tmp_path, {"give": give}) as (line, _):
            stream = (await line.call("give", None)).stream
            assert stream is not None
            assert await anext(stream) == b"first"
            with pytest.raises(Corrupt):
                await anext(stream)

    asyncio.run(run())


def test_who_gives_up_cancels_what_runs_for_it(tmp_path: Any) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(_: Asked) -> Answer:
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()
        return Answer(None)

    async def run() -> None:
        async with linked(tmp_path, {"wait": wait}) as (line, listening):
            calling = asyncio.ensure_future(line.call("wait", None))
            await began.wait()
            calling.cancel()
            await cancelled.wait()
            await asyncio.sleep(0)
            assert listening.accepted[0]._calls == {}

    asyncio.run(run())


def test_a_link_that_breaks_fails_what_is_under_way_and_is_made_again(tmp_path: Any) -> None:
    began = asyncio.Event()

    async def wait(_: Asked) -> Answer:
        began.set()
        await asyncio.get_running_loop().create_future()
        return Answer(None)

    async def run() -> None:
        async with linked(tmp_path, {"wait": wait, "echo": echo}) as (line, listening):
            calling = asyncio.ensure_future(line.call("wait", None))
            await began.wait()
            listening.accepted[0].close()
            with pytest.raises(LinkLost):
                await calling
            assert (await line.call("echo", 1)).value == 1
            assert len(listening.accepted) == 2

    asyncio.run(run())


def test_who_is_not_there_is_waited_for_a_while_and_then_unavailable(tmp_path: Any) -> None:
    clock = VirtualClock()

    async def run() -> None:
        async with linked(tmp_path, {"echo": echo}, clock) as (line, listening):
            await listening.stop()
            (tmp_path / "s").unlink(missing_ok=True)
            calls = [asyncio.ensure_future(line.call("echo", n)) for n in range(3)]
            began = clock.monotonic()
            while not all(call.done() for call in calls):
                await asyncio.sleep(0.001)  # a socket is asked in between
                clock.advance_to(clock.now_ms() + 10)
            for call in calls:
                with pytest.raises(Unavailable):
                    call.result()
            assert (clock.monotonic() - began) * 1000 >= caller.CONNECT_WAIT_MS
            await listening.start()
            assert (await line.call("echo", 1)).value == 1

    asyncio.run(run())


def test_calls_under_way_are_bounded(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "CALLS_MAX", 2)
    go_on = asyncio.Event()

    async def wait(_: Asked) -> Answer:
        await go_on.wait()
        return Answer(None)

    async def run() -> None:
        async with linked(tmp_path, {"wait": wait}) as (line, _):
            calls = [asyncio.ensure_future(line.call("wait", None)) for _ in range(2)]
            await turns()
            with pytest.raises(Throttled):
                await line.call("wait", None)
            go_on.set()
            await asyncio.gather(*calls)

    asyncio.run(run())


def test_a_frame_of_absurd_length_ends_the_connection(tmp_path: Any) -> None:
    async def run() -> None:
        async with linked(tmp_path, {"echo": echo}) as (_, _listening):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            writer.write(b"\xff\xff\xff\xff")
            assert await reader.read() == b""
            writer.close()

    asyncio.run(run())


class Keeper(Source):
    """A source that can be told what to do with its bytes."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        super().__init__(pieces, error)
        self.orders: list[Any] = []
        self.is_over: Callable[[], bool] = lambda: False

    async def obey(self, order: Any, is_over: Callable[[], bool]) -> Any:
        self.orders.append(order)
        self.is_over = is_over
        size = 0
        while piece := await self.read(1 << 20):
            size += len(piece)
        return {"size": size}


async def divert(asked: Asked) -> Answer:
    stream: Any = asked.stream
    return Answer(await stream.divert(["keep", asked.value]))


def test_a_stream_can_be_dealt_with_where_it_is_and_none_of_it_is_sent(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[int] = []
    say = frames.FrameProtocol.say

    def counted(self: Any, *message: Any) -> None:
        kinds.append(message[1])
        say(self, *message)

    monkeypatch.setattr(frames.FrameProtocol, "say", counted)
    source = Keeper([b"x" * 100_000] * 7)

    async def run() -> None:
        async with linked(tmp_path, {"divert": divert}) as (line, _):
            assert (await line.call("divert", "there", source)).value == {"size": 700_000}
            assert source.orders == [["keep", "there"]]
            assert kinds == [frames.CALL, frames.ORDER, frames.DONE, frames.ANSWER]
            assert (await line.call("divert", "here", Keeper([]))).value == {"size": 0}

    asyncio.run(run())


def test_what_goes_wrong_with_a_diverted_stream_is_heard_as_its_end(tmp_path: Any) -> None:
    async def run() -> None:
        async with linked(tmp_path, {"divert": divert}) as (line, _):
            gone = ResourceGone("the client broke off")
            with pytest.raises(ServiceError, match="the client broke off") as caught:
                await line.call("divert", None, Keeper([b"x"], gone))
            assert caught.value.code == "ResourceGone"
            with pytest.raises(Throttled, match="slow"):
                await line.call("divert", None, Keeper([b"x"], Throttled("slow")))

    asyncio.run(run())


def test_who_deals_with_a_stream_sees_that_nobody_waits_any_more(tmp_path: Any) -> None:
    go_on = asyncio.Event()

    class Waiting(Keeper):
        async def read(self, limit: int) -> bytes:
            await go_on.wait()
            return await super().read(limit)

    source = Waiting([b"x"])

    async def run() -> None:
        async with linked(tmp_path, {"divert": divert}) as (line, listening):
            calling = asyncio.ensure_future(line.call("divert", None, source))
            await turns()
            assert source.orders
            assert not source.is_over()
            listening.accepted[0].close()
            await turns()
            assert source.is_over()
            go_on.set()
            with pytest.raises(LinkLost):
                await calling

    asyncio.run(run())
