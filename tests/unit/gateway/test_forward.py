"""A front and the store process behind it: what is decided where, and what arrives.

The link between them is a fake, through which everything goes as MessagePack.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.gateway.stub import CALLS, REGION, Gate, StreamOf, module_of

from fogbank.base.errors import Corrupt, ServiceError, Throttled, Unavailable
from fogbank.base.ids import Ids
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.contract.quota import Quotas
from fogbank.contract.service import Service
from fogbank.gateway.audit import AuditEntry
from fogbank.gateway.dispatch import PROOFS_MAX, Dispatcher, Edge
from fogbank.gateway.forward import LOAN_TRIES, NOTES_MAX, Notes
from fogbank.platform.blobs.port import BlobRef, BlobSource, Kept, Loan, Permit, Wanted
from fogbank.platform.identity.records import ACCESS_KEYS
from fogbank.platform.link.errors import error_of, value_of
from fogbank.platform.link.port import Answer, Asked, ByteSource
from fogbank.wire.eventstream import Frames


class FakePeer:
    """Hands calls over as bytes, and errors as values."""

    def __init__(self, handlers: Any) -> None:
        self.calls = 0
        self.before: Callable[[], None] = lambda: None
        self._handlers = handlers

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        self.calls += 1
        self.before()
        packed = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
        try:
            answer = await self._handlers[method](Asked(packed, stream))
        except Exception as error:  # noqa: BLE001 (as a link does)
            raise error_of(value_of(error)) from None
        return Answer(msgspec.msgpack.decode(msgspec.msgpack.encode(answer.value)), answer.stream)


class Split(Gate):
    """A gate whose requests go through a front; the audit trail of both is kept."""

    def __init__(self, services: list[Service] | None = None) -> None:
        super().__init__(services=services)
        self.store = self.dispatcher
        self.peer = FakePeer(self.store.arrivals(self.identity.epoch_of).handlers())
        self.refused: list[Any] = []
        edge = Edge(self.identity, self.clock, Ids.seeded(8), Quotas())
        self.dispatcher = Dispatcher(
            services or self.stub.services(),
            edge,
            sink=self.refused.append,
            owner_of=lambda _: self.peer,  # type: ignore[arg-type]
        )


@pytest.fixture
def split() -> Split:
    return Split()


@pytest.mark.parametrize("service", CALLS)
def test_a_front_answers_with_what_the_store_process_says(split: Split, service: str) -> None:
    whole = Gate()
    reply, body = split.handle(split.request(service))
    alone, alone_body = whole.handle(whole.request(service))
    assert reply.status == alone.status == 200
    if service != "sts":  # its answer holds the request's own id
        assert len(body) == len(alone_body)
    assert split.peer.calls == 1
    call, _ = split.stub.calls[0]
    alone_call, _ = whole.stub.calls[0]
    assert call.principal == alone_call.principal
    assert replace(call.scope, request_id="") == replace(alone_call.scope, request_id="")
    assert call.http == replace(alone_call.http, headers=call.http.headers)
    assert dict(call.access_context) == dict(alone_call.access_context)
    assert call.operation == alone_call.operation


def test_a_caller_that_comes_again_is_one_object_by_which_decisions_are_remembered(
    split: Split,
) -> None:
    first, again = (split.handle(split.request("dynamodb"))[0].status for _ in range(2))
    assert first == again == 200
    one, same = (call.principal for call, _ in split.stub.calls)
    assert one is same
    other = asyncio.run(split.identity.create_account("other"))
    keys = {"key_id": other.access_key_id, "secret": other.secret_access_key}
    assert split.handle(split.request("dynamodb", **keys))[0].status == 200
    assert split.stub.calls[-1][0].principal == other.principal != one


def test_a_bad_signature_never_leaves_the_front(split: Split) -> None:
    status, code, _ = split.refusal(split.request("dynamodb", secret="wrong" * 8))
    assert (status, code) == (400, "InvalidSignatureException")
    assert split.peer.calls == 0
    assert [entry.error_code for entry in split.refused] == ["InvalidSignatureException"]


class ResourceGone(ServiceError):
    status = 410


def test_who_performs_a_call_records_it_and_the_front_does_not(split: Split) -> None:
    split.handle(split.request("dynamodb"))
    split.stub.fail = ResourceGone("it is gone")
    split.refusal(split.request("dynamodb"))
    assert split.refused == []


def test_the_entries_of_refused_calls_reach_a_store_process_and_are_bounded(split: Split) -> None:
    async def run() -> None:
        notes = Notes(split.peer)
        sending = asyncio.ensure_future(notes.run())
        entry = AuditEntry(5, "id", "s3", "GetObject", split.root.principal, REGION)
        for _ in range(NOTES_MAX + 3):
            notes(entry)
        assert notes.lost == 3
        for _ in range(20):
            await asyncio.sleep(0)
        assert split.store.recent.total == NOTES_MAX
        assert next(iter(split.store.recent)) == entry
        sending.cancel()

    asyncio.run(run())


def test_an_error_of_the_operation_is_rendered_as_if_it_had_been_raised_here(split: Split) -> None:
    split.stub.fail = ResourceGone("it is gone")
    assert split.refusal(split.request("logs")) == (410, "ResourceGone", "it is gone")
    split.stub.fail = Throttled("slow")
    assert split.refusal(split.request("dynamodb"))[1] == "ThrottlingException"
    split.stub.fail = KeyError("bug")
    assert split.refusal(split.request("dynamodb"))[:2] == (500, "InternalServerError")


def test_a_store_process_that_is_not_there_is_weather(split: Split) -> None:
    def fail() -> None:
        raise Unavailable("restarting")

    split.peer.before = fail
    assert split.refusal(split.request("s3"))[:2] == (503, "ServiceUnavailable")


def test_a_streamed_body_follows_its_call(split: Split) -> None:
    request = split.request("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": b"x" * 9_000})
    request.stream, request.body = StreamOf(request.body or b"x" * 9_000), b""
    assert split.handle(request)[0].status == 200
    assert split.stub.calls[0][1]["Body"] == b"x" * 9_000


def test_the_end_of_a_body_that_was_not_signed_is_refused_by_the_front(split: Split) -> None:
    request = split.request("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": b"x" * 9_000})
    request.headers["x-amz-content-sha256"] = "0" * 64
    assert split.handle(request)[0].status in {400, 403}
    assert split.stub.calls == []


def test_a_revocation_that_was_acknowledged_is_in_force_for_what_is_on_its_way(
    split: Split,
) -> None:
    first = split.request("dynamodb")
    assert split.handle(first)[0].status == 200

    async def revoke() -> None:
        await split.identity.change(split.root.principal.account, remove_key)

    async def remove_key(tr: Any) -> None:
        ACCESS_KEYS.delete(tr, split.root.access_key_id)

    def meanwhile() -> None:
        # Behind the front's back: after it has proved who calls, before the call arrives.
        split.peer.before = lambda: None
        revoking.append(asyncio.ensure_future(revoke()))

    revoking: list[Any] = []
    handlers = split.peer._handlers
    perform = handlers["gateway.perform"]

    async def late(asked: Asked) -> Answer:
        await asyncio.gather(*revoking)
        return await perform(asked)  # type: ignore[no-any-return]

    split.peer._handlers = {"gateway.perform": late}
    split.peer.before = meanwhile
    assert split.refusal(split.request("dynamodb"))[1] == "UnrecognizedClientException"
    assert len(split.stub.calls) == 1


def test_a_caller_whose_account_changed_otherwise_is_proved_again_and_let_in(
    split: Split,
) -> None:
    epochs = iter([-5, -5])
    arrivals = split.store.arrivals(
        lambda _: next(epochs, split.identity.epoch_of(split.root.principal.account))
    )
    split.peer._handlers = arrivals.handlers()
    assert split.handle(split.request("dynamodb"))[0].status == 200
    assert split.peer.calls == 3


def test_an_account_that_changes_all_the_time_is_told_to_slow_down(split: Split) -> None:
    split.peer._handlers = split.store.arrivals(lambda _: -5).handlers()
    assert split.refusal(split.request("dynamodb"))[1] == "ThrottlingException"
    assert split.peer.calls == PROOFS_MAX + 1
    assert split.stub.calls == []


class FarStream:
    """The store process's end of a stream that can be dealt with where it is."""

    def __init__(self, source: Any, over: bool) -> None:
        self.source, self.over = source, over
        self.length = source.length
        self.trailers: dict[str, str] = {}
        self.sent = 0

    async def read(self, limit: int) -> bytes:
        piece = await self.source.read(limit)
        self.sent += len(piece)
        return piece

    async def divert(self, order: Any) -> Any:
        return await self.source.obey(order, lambda: self.over)


class Blobs:
    """Lends and keeps blobs, on both sides."""

    def __init__(self) -> None:
        self.kept: dict[BlobRef, bytes] = {}
        self.adopted: dict[BlobRef, int] = {}

    def permit(self, ref: BlobRef, lock: bytes | None = None) -> Permit:
        assert lock is None
        return Permit("/blobs", ref, (1, b"salt", b"key of one blob"))

    async def adopt(self, ref: BlobRef, size: int) -> None:
        assert len(self.kept[ref]) == size
        self.adopted[ref] = size

    async def keep(self, permit: Permit, wanted: Wanted, source: Any) -> Kept:
        assert permit == self.permit(wanted.ref)
        body = b""
        while piece := await source.read(1_000):
            body += piece
        if len(body) <= wanted.inline_bytes_max:
            return Kept(len(body), {"MD5": b"of it"}, body, {"a": "b"})
        if len(body) <= wanted.bytes_max:
            self.kept[wanted.ref] = body
        return Kept(len(body), {"MD5": b"of it"}, None, {"a": "b"})


class Keeping(Split):
    """A front that keeps bodies, before an operation that asks for it."""

    def __init__(self, *, keeps: bool = True, lends: bool = True, over: bool = False) -> None:
        super().__init__()
        self.blobs, self.streams = Blobs(), list[FarStream]()
        self.bodies: list[Any] = []
        self.wanted = Wanted(BlobRef(1, 7), ("CRC32",), 10, 20_000)

        @operation(access=lambda _scope, _request: [])
        async def put_object(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            body = request["Body"]
            if isinstance(body, BlobSource):
                kept = await body.keep(self.wanted)
                self.bodies.append((kept, dict(body.trailers)))  # type: ignore[attr-defined]
            else:
                self.bodies.append(await body.read(1 << 20))
            return {"ETag": '"x"'}

        built = [Service(model="s3", operations=(module_of("s3", put_object=put_object),))]
        store = Dispatcher(built, self.facilities)
        lender = self.blobs if lends else None
        handlers = store.arrivals(self.identity.epoch_of, lender).handlers()

        streams = self.streams

        class Peer(FakePeer):
            async def call(self, method: str, value: Any, stream: Any = None) -> Answer:
                if stream is not None:
                    stream = FarStream(stream, over)
                    streams.append(stream)
                return await super().call(method, value, stream)

        peer = Peer(handlers)
        keeper = self.blobs if keeps else None
        edge = Edge(self.identity, self.clock, Ids.seeded(8), Quotas(), keeper)
        self.dispatcher = Dispatcher(built, edge, sink=self.refused.append, owner_of=lambda _: peer)

    def put(self, size: int) -> int:
        """Put an object of a size; return the status."""
        request = self.request("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": b"x" * size})
        request.stream, request.body = StreamOf(request.body or b"x" * size), b""
        return self.handle(request)[0].status


def test_the_front_keeps_a_body_where_the_store_process_says_and_sends_none_of_it() -> None:
    keeping = Keeping()
    assert keeping.put(9_000) == 200
    kept = Kept(9_000, {"MD5": b"of it"}, None, {"a": "b"})
    assert keeping.bodies == [(kept, {"a": "b"})]
    assert keeping.blobs.kept == {BlobRef(1, 7): b"x" * 9_000}
    assert keeping.blobs.adopted == {BlobRef(1, 7): 9_000}
    assert [stream.sent for stream in keeping.streams] == [0]


def test_a_short_body_and_one_that_is_too_long_are_no_blobs() -> None:
    keeping = Keeping()
    assert keeping.put(10) == 200
    assert keeping.bodies[0][0].inline == b"x" * 10
    assert keeping.put(20_001) == 200
    assert keeping.bodies[1][0].size == 20_001
    assert keeping.blobs.adopted == {}


@pytest.mark.parametrize(("keeps", "lends"), [(False, True), (True, False)])
def test_where_one_side_keeps_no_bodies_they_are_sent(*, keeps: bool, lends: bool) -> None:
    keeping = Keeping(keeps=keeps, lends=lends)
    assert keeping.put(9_000) == 200
    assert keeping.streams[0].sent > 0
    assert isinstance(keeping.bodies[0], bytes)
    assert keeping.blobs.kept == {}


def test_a_body_is_read_no_further_once_the_store_process_is_gone() -> None:
    keeping = Keeping(over=True)
    assert keeping.put(9_000) == 503
    assert keeping.bodies == []
    assert keeping.blobs.kept == {}


DOTS = b"." * 300_000


class Lending(Split):
    """A front that reads blobs, before an operation whose reply is two of them."""

    def __init__(self, *, keeps: bool = True, gone: int = 0) -> None:
        super().__init__()
        self.performed = 0
        self.gone = gone
        self.closed: list[str] = []

        @operation(access=lambda _scope, _request: [])
        async def get_object(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            self.performed += 1

            async def pieces() -> AsyncIterator[bytes]:
                try:
                    for ref in (BlobRef(1, 7), BlobRef(1, 8)):
                        async for piece in call.leaving.read(ref, 5, 9):
                            yield piece
                        yield DOTS
                finally:
                    self.closed.append("pieces")

            return {"Body": pieces(), "ContentLength": 600_008}

        self.facilities.blobs = self  # type: ignore[assignment]
        built = [Service(model="s3", operations=(module_of("s3", get_object=get_object),))]
        store = Dispatcher(built, self.facilities)
        peer = FakePeer(store.arrivals(self.identity.epoch_of, self).handlers())  # type: ignore[arg-type]
        keeper: Any = Reading(self) if keeps else None
        edge = Edge(self.identity, self.clock, Ids.seeded(8), Quotas(), keeper)
        self.dispatcher = Dispatcher(
            built,
            edge,
            sink=self.refused.append,
            owner_of=lambda _: peer,  # type: ignore[arg-type]
        )

    async def lend(
        self, ref: BlobRef, begin: int, end: int | None, lock: bytes | None = None
    ) -> Loan:
        assert lock is None
        return Loan("/blobs", ref, begin, end, ((1, b"salt", b"key"),))

    async def read(self, ref: BlobRef, begin: int, end: int) -> AsyncIterator[bytes]:
        """Read as the store process does."""
        yield b"sent"

    def get(self) -> tuple[int, bytes]:
        reply, body = self.handle(self.request("s3", "get_object", {"Bucket": "b", "Key": "k"}))
        return reply.status, body


class Reading:
    """Reads what is lent; the first few blobs are gone by then."""

    def __init__(self, lending: Lending) -> None:
        self.lending = lending

    async def read(self, loan: Loan) -> AsyncIterator[bytes]:
        assert loan == await self.lending.lend(loan.ref, 5, 9)
        try:
            if self.lending.gone:
                self.lending.gone -= 1
                raise Corrupt("the blob is missing")
            yield b"%d-" % loan.ref.number
            yield b"kb"
        finally:
            self.lending.closed.append("loan")


def test_the_front_reads_the_blobs_that_leave_with_a_reply() -> None:
    lending = Lending()
    assert lending.get() == (200, b"7-kb" + DOTS + b"8-kb" + DOTS)
    assert lending.closed == ["loan", "loan", "pieces"]


def test_the_blobs_of_a_reply_are_sent_to_who_reads_none() -> None:
    lending = Lending(keeps=False)
    assert lending.get() == (200, b"sent" + DOTS + b"sent" + DOTS)


def test_a_call_whose_blob_is_gone_before_it_was_opened_is_performed_again() -> None:
    lending = Lending(gone=LOAN_TRIES - 1)
    assert lending.get() == (200, b"7-kb" + DOTS + b"8-kb" + DOTS)
    assert lending.performed == LOAN_TRIES


def test_a_blob_that_stays_away_is_damage() -> None:
    lending = Lending(gone=LOAN_TRIES)
    assert lending.get()[0] == 500
    assert lending.performed == LOAN_TRIES


def test_a_stream_of_events_comes_through_the_front_event_by_event() -> None:
    long = bytes(range(256)) * 3_000

    async def events() -> AsyncIterator[dict[str, Any]]:
        yield {"PayloadChunk": {"Payload": b"one"}}
        yield {"PayloadChunk": {"Payload": long}}
        yield {"InvokeComplete": {"ErrorCode": "E"}}
        raise Throttled("later")

    @operation(access=lambda _scope, _request: [])
    async def invoke_with_response_stream(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"StatusCode": 200, "EventStream": events()}

    module = module_of("lambda", invoke_with_response_stream=invoke_with_response_stream)
    split = Split(services=[Service(model="lambda", operations=(module,))])
    asked = split.request("lambda", "invoke_with_response_stream", {"FunctionName": "f"})
    reply, body = split.handle(asked)
    assert reply.status == 200
    messages = list(Frames().feed(body))
    assert [each.payload for each in messages[:2]] == [b"one", long]
    assert messages[2].payload == b'{"ErrorCode":"E"}'
    assert messages[3].headers[":message-type"] != "event"
