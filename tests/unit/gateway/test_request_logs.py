"""Records and counts of requests, where the resource lies in another process than the client's socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from fogbank.base.errors import Unavailable
from fogbank.contract.call import HttpFacts
from fogbank.contract.request_log import RequestFacts, RequestLogs
from fogbank.gateway.request_logs import LogBook
from fogbank.gateway.visit import Visit
from fogbank.platform.link.port import Answer, Asked
from fogbank.platform.store.engine import Domain
from fogbank.wire.http import HttpReply, HttpRequest

WHERE = Domain("s3", "photos")


class Book:
    """What a store process keeps and counts."""

    def __init__(self, *, measures: bool = True, refuses: bool = False) -> None:
        self.kept: list[RequestFacts] = []
        self.counted: list[RequestFacts] = []
        self.measures = measures
        self.refuses = refuses

    async def keep(self, _tr: Any, facts: RequestFacts, _facilities: Any) -> bool:
        if self.refuses:
            raise Unavailable("full")
        self.kept.append(facts)
        return self.measures

    async def measure(self, _store: Any, facts: RequestFacts, _facilities: Any) -> None:
        self.counted.append(facts)
        if self.refuses:
            raise Unavailable("full")


class Store:
    """Runs bodies at once."""

    async def transact(self, body: Any) -> Any:
        return await body(self)


class Clock:
    """A second of its own time at each look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 1.0
        return self.seconds

    def now_ms(self) -> int:
        return 1


def book_of(book: Book, owner: Any = None) -> LogBook:
    """Return the log book of a store process, or of a front whose owner answers."""
    facet = RequestLogs(lambda params, _: WHERE, book.keep, book.measure)
    service: Any = SimpleNamespace(model="s3", logs=facet)
    resolver: Any = SimpleNamespace(resource_of=lambda *_: {}, guess=lambda *_: "GetObject")
    placement = SimpleNamespace(store_of=lambda _: Store())
    here: Any = None if owner is not None else SimpleNamespace(placement=placement)
    clock: Any = Clock()
    return LogBook([service], resolver, clock, here, None if owner is None else lambda _: owner)


class Owner:
    """A link to a store process."""

    def __init__(self, book: LogBook) -> None:
        self.handlers = book.handlers()

    async def call(self, name: str, value: bytes) -> Answer:
        answer = self.handlers[name](Asked(value, None))
        return await answer  # type: ignore[misc]


async def pieces(*found: bytes) -> AsyncIterator[bytes]:
    for each in found:
        yield each


async def noted(book: LogBook, reply: HttpReply) -> HttpReply:
    visit = Visit("s3", "GetObject", "us-east-1", "R", HttpFacts())
    target: Any = SimpleNamespace(params={"Bucket": "photos", "Key": "k"})
    request = HttpRequest("GET", "/photos/k", "", {"content-length": "7"})
    await book.note(visit, (target, request), reply, None)
    return reply


@pytest.mark.parametrize("far", [False, True])
def test_a_whole_answer_is_kept_and_counted_at_once(far: bool) -> None:
    book = Book()
    here = book_of(book)
    asked = book_of(book, Owner(here)) if far else here
    asyncio.run(noted(asked, HttpReply(200, [], b"12345")))
    assert [each.key for each in book.kept] == ["k"]
    ((counted),) = book.counted
    assert (counted.bytes_sent, counted.bytes_received) == (5, 7)
    assert counted.whole_micros is None


@pytest.mark.parametrize("far", [False, True])
def test_an_answer_that_streams_is_counted_when_it_is_over(far: bool) -> None:
    book = Book()
    here = book_of(book)
    asked = book_of(book, Owner(here)) if far else here

    async def story() -> None:
        reply = await noted(asked, HttpReply(200, [], pieces(b"12", b"345"), 5))
        assert not isinstance(reply.body, bytes)
        assert book.counted == []
        assert [piece async for piece in reply.body] == [b"12", b"345"]
        await reply.body.aclose()  # type: ignore[attr-defined]

    asyncio.run(story())
    ((counted),) = book.counted
    assert counted.bytes_sent == 5
    assert counted.whole_micros is not None
    assert counted.whole_micros > 0


def test_an_answer_that_breaks_off_is_counted_with_what_has_left() -> None:
    book = Book()
    closed: list[bool] = []

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"12"
            yield b"345"
        finally:
            closed.append(True)

    async def story() -> None:
        reply = await noted(book_of(book), HttpReply(200, [], body(), 5))
        assert not isinstance(reply.body, bytes)
        await anext(reply.body)
        await reply.body.aclose()  # type: ignore[attr-defined]

    asyncio.run(story())
    assert closed == [True]
    assert [each.bytes_sent for each in book.counted] == [2]


def test_what_is_not_measured_is_not_counted() -> None:
    book = Book(measures=False)

    async def story() -> None:
        body = pieces(b"12")
        reply = await noted(book_of(book), HttpReply(200, [], body, 2))
        assert reply.body is body
        await body.aclose()  # type: ignore[attr-defined]

    asyncio.run(story())
    assert len(book.kept) == 1
    assert book.counted == []


def test_a_store_that_refuses_leaves_the_answer_alone(caplog: pytest.LogCaptureFixture) -> None:
    book = Book(refuses=True)
    reply = asyncio.run(noted(book_of(book), HttpReply(200, [], b"12345")))
    assert reply.status == 200
    assert "is not in its log" in caplog.text
