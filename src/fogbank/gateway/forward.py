"""Operations on their way to the process that owns their domain, and their replies back.

Rule: what travels is the decoded, authenticated call: names and facts of the visit, and the request
by wire names, with its streamed member behind it. Authorization, the operation itself and the audit
entry are the owner's. With the call goes the epoch under which its caller's credential was read;
the owner compares it, so that a revocation that was acknowledged anywhere is in force for whatever
arrives later, and a stale proof is made again by whoever has the request.

Theory: one seam (``perform``), so the owner runs what it would run for a request of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final, cast

import msgspec

from fogbank.base.errors import Corrupt, Weather
from fogbank.base.types import Wire
from fogbank.contract.action import Point, Scope
from fogbank.contract.call import HttpFacts
from fogbank.gateway.audit import AuditEntry, Sink
from fogbank.gateway.bound import Bound
from fogbank.gateway.perform import Catalogue, Perform, StaleProof
from fogbank.gateway.visit import Visit
from fogbank.platform.blobs.frames import filled
from fogbank.platform.blobs.port import BlobLender, BlobRef, Keeper, Kept, Loan, Permit, Wanted
from fogbank.platform.identity.cache import Lru
from fogbank.platform.identity.principal import Principal
from fogbank.platform.link.port import (
    PIECE_BYTES_MAX,
    Answer,
    Asked,
    ByteSource,
    Diverted,
    Handlers,
    LinkLost,
    Peer,
    close_stream,
)
from fogbank.platform.metering.current import IN_WORK
from fogbank.platform.store.engine import Domain

PERFORM: Final = "gateway.perform"
"""(visit, epoch, request, streamed member) -> (reply, streamed member, whether its pieces are
marked: loans of blobs, or bytes); see ``_Parcel``."""
_BYTES: Final = b"\0"
_LOAN: Final = b"\1"
_GOES_ON: Final = b"\0"
_ENDS: Final = b"\1"
_EVENT_PIECE_BYTES: Final = PIECE_BYTES_MAX - 1
LOAN_TRIES: Final = 3
"""How often a call is performed again because a blob that was lent is gone already."""

OwnerOf = Callable[[Domain], Peer | None]
NOTE: Final = "gateway.note"
"""(entries) -> nothing: calls that a front has refused"""
PRINCIPALS_MAX: Final = 4_096
"""Callers that are remembered."""
NOTES_MAX: Final = 10_000
"""Entries that wait to be sent."""
_log: Final = logging.getLogger(__name__)

EpochOf = Callable[[str], int]


class _Parcel(msgspec.Struct, array_like=True):
    """A call as it travels."""

    service: str
    operation: str
    region: str
    request_id: str
    scope: Scope
    principal: msgspec.Raw
    http: HttpFacts
    now_ms: int
    context: dict[str, str]
    epoch: int
    """Under which the credential was read; -1 if nobody signed anything."""
    request: dict[str, Any]
    streamed: str
    """The member whose bytes follow, or ''."""
    keeps: bool = False
    """Whether who has these bytes can write blobs."""
    points: tuple[Point, ...] = ()
    domain: tuple[str, ...] = ()
    """Where the operation runs, if not where its request says; empty: it says so."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Parcel).decode
_decode_principal: Final = msgspec.msgpack.Decoder(Principal).decode
_decode_entries: Final = msgspec.msgpack.Decoder(list[AuditEntry]).decode


class _Order(msgspec.Struct, array_like=True):
    """What the store process wants done with a body that stays where it is."""

    permit: Permit
    wanted: Wanted


_decode_order: Final = msgspec.msgpack.Decoder(_Order).decode
_decode_loan: Final = msgspec.msgpack.Decoder(Loan).decode
_decode_kept: Final = msgspec.msgpack.Decoder(Kept).decode


class _NearBody:
    """A body in our hands, which its call's store process may have us write to its blobs."""

    def __init__(self, source: ByteSource, keeper: Keeper) -> None:
        self._source = source
        self._keeper = keeper
        self._is_over: Callable[[], bool] = lambda: False

    @property
    def length(self) -> int | None:
        """Return how many bytes there will be, or None if nobody knows."""
        return self._source.length

    @property
    def trailers(self) -> Mapping[str, str]:
        """Return what was said behind the last byte."""
        return getattr(self._source, "trailers", None) or {}

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end."""
        if self._is_over():
            raise LinkLost("the store process ended while it was asked")
        return await self._source.read(limit)

    async def fill(self, room: memoryview) -> int:
        """Fill the room, all of it but at the end; return how many bytes came."""
        if self._is_over():
            raise LinkLost("the store process ended while it was asked")
        return await filled(self._source, room)

    async def obey(self, order: bytes, is_over: Callable[[], bool]) -> bytes:
        """Keep the body as the store process says, as long as it is there."""
        self._is_over = is_over
        asked = _decode_order(order)
        return _encode(await self._keeper.keep(asked.permit, asked.wanted, self))


class _FarBody:
    """A body in the hands of the process that sent us its call; a ``BodyStream``."""

    def __init__(self, inflow: Diverted, lender: BlobLender) -> None:
        self._inflow = inflow
        self._lender = lender
        self._kept: Kept | None = None

    @property
    def length(self) -> int | None:
        """Return how many bytes there will be, or None if nobody knows."""
        return self._inflow.length

    @property
    def trailers(self) -> Mapping[str, str]:
        """Return what was said behind the last byte; complete at the end."""
        return self._inflow.trailers if self._kept is None else self._kept.trailers

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end."""
        return await self._inflow.read(limit)

    async def keep(self, wanted: Wanted, lock: bytes | None = None) -> Kept:
        """Have the body kept where it is; see ``BlobSource``."""
        order = _encode(_Order(self._lender.permit(wanted.ref, lock), wanted))
        kept = self._kept = _decode_kept(await self._inflow.divert(order))
        if kept.inline is None and kept.size <= wanted.bytes_max:
            await self._lender.adopt(wanted.ref, kept.size)
        return kept


class _LoanPiece(bytes):
    """A loan, in the place of the bytes that were lent."""

    __slots__ = ()


class _Lending:
    """Reads blobs for one reply: it yields one piece, the loan."""

    def __init__(self, lender: BlobLender) -> None:
        self._lender = lender

    async def read(
        self, ref: BlobRef, begin: int = 0, end: int | None = None, *, lock: bytes | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the loan of a half-open range."""
        yield _LoanPiece(_encode(await self._lender.lend(ref, begin, end, lock)))


async def _marked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces with a byte in front that tells loans from other bytes."""
    try:
        async for piece in pieces:
            if isinstance(piece, _LoanPiece):
                yield _LOAN + piece
                continue
            for at in range(0, len(piece), PIECE_BYTES_MAX - 1):
                yield _BYTES + piece[at : at + PIECE_BYTES_MAX - 1]
    finally:
        await close_stream(pieces)


async def _borrowed(keeper: Keeper, marked: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield bytes as they came, and those of the blobs that were lent."""
    try:
        async for raw in marked:
            if raw[:1] == _BYTES:
                yield raw[1:]
                continue
            pieces = keeper.read(_decode_loan(raw[1:]))
            try:
                async for piece in pieces:
                    yield piece
            finally:
                await close_stream(pieces)
    finally:
        await close_stream(marked)


async def _behind(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Yield a piece that was read already, and the others."""
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()


async def _parted(events: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    """Yield events as pieces, each with a byte in front that says whether its event ends with it."""
    try:
        async for event in events:
            raw = _encode(event)
            last = (len(raw) - 1) // _EVENT_PIECE_BYTES
            for at in range(last + 1):
                mark = _ENDS if at == last else _GOES_ON
                yield mark + raw[at * _EVENT_PIECE_BYTES : (at + 1) * _EVENT_PIECE_BYTES]
    finally:
        await close_stream(cast("AsyncIterator[bytes]", events))


async def _joined(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of such pieces."""
    try:
        parts: list[bytes] = []
        async for piece in pieces:
            parts.append(piece[1:])
            if piece[:1] == _ENDS:
                yield msgspec.msgpack.decode(b"".join(parts), type=dict[str, Any])
                parts.clear()
    finally:
        await close_stream(pieces)


def _packed(
    visit: Visit, bound: Bound, wire: Wire, keeper: Keeper | None
) -> tuple[bytes, ByteSource | None]:
    """Return a call as bytes, and the stream that follows it."""
    request, stream, streamed = wire, None, ""
    if bound.streams:
        for name, value in request.items():
            if hasattr(value, "read"):
                stream, streamed = cast("ByteSource", value), name
                request = {key: each for key, each in request.items() if key != name}
                break
    http = visit.http
    parcel = _Parcel(
        visit.service,
        visit.operation,
        visit.region,
        visit.request_id,
        visit.scope,
        msgspec.Raw(_encode(visit.principal)),
        msgspec.structs.replace(http, headers=dict(http.headers)),
        visit.now_ms,
        dict(visit.context),
        visit.epoch,
        request,
        streamed,
        keeper is not None,
        tuple(visit.points),
        () if visit.domain is None else visit.domain.name,
    )
    if stream is not None and keeper is not None:
        stream = _NearBody(stream, keeper)
    return _encode(parcel), stream


def _visit_of(parcel: _Parcel, principal: Principal) -> Visit:
    """Return the visit of a call that came."""
    visit = Visit(parcel.service, parcel.operation, parcel.region, parcel.request_id, parcel.http)
    visit.principal = principal
    visit.scope = parcel.scope
    visit.now_ms = parcel.now_ms
    visit.context = parcel.context
    visit.epoch = parcel.epoch
    visit.points = parcel.points
    visit.domain = Domain(*parcel.domain) if parcel.domain else None
    return visit


class Forwarder:
    """Performs calls here or where their domain lives.

    Args:
        local: Performs what is ours; None if nothing is (a front).
        owner_of: The process that owns a domain, or None if this one does.
        keeper: Writes bodies to the blobs of others; None: they are sent to whoever owns them.
    """

    def __init__(
        self, local: Perform | None, owner_of: OwnerOf, keeper: Keeper | None = None
    ) -> None:
        self._local = local
        self._keeper = keeper
        self._owner_of = owner_of

    async def perform(self, visit: Visit, bound: Bound, wire: Wire) -> Wire:
        """Perform a call; see ``Perform``.

        Raises:
            StaleProof: The caller's account has changed since it was proved who calls.
        """
        owner = self._owner_of(visit.domain or bound.domain_of(visit.scope, wire))
        if owner is None:
            assert self._local is not None, "who owns no store owns no domain"
            return await self._local(visit, bound, wire)
        parcel, stream = _packed(visit, bound, wire, self._keeper)
        for attempt in range(1, LOAN_TRIES + 1):
            answer = await owner.call(PERFORM, parcel, stream)
            if answer.value is None:
                raise StaleProof("the caller's account has changed")
            told = cast("tuple[Wire, str, bool, bool]", answer.value)
            reply, streamed, is_marked, visit.logged = told
            if streamed:
                assert answer.stream is not None, "the streamed member follows"
                if streamed == bound.model.event_stream_output:
                    reply[streamed] = _joined(answer.stream)
                    return reply
                try:
                    reply[streamed] = await self._body_of(answer.stream, is_marked=is_marked)
                except Corrupt:
                    # The object was replaced before we had opened its blob, or it is damaged.
                    if attempt == LOAN_TRIES:
                        raise
                    continue
            return reply
        raise AssertionError("the last attempt returns or raises")

    async def _body_of(
        self, stream: AsyncIterator[bytes], *, is_marked: bool
    ) -> AsyncIterator[bytes]:
        """Return the bytes of a reply's streamed member; of blobs that were lent, the first is open.

        Raises:
            Corrupt: A blob that was lent is gone, or damaged.
        """
        if not is_marked:
            return stream
        assert self._keeper is not None, "who says so reads blobs"
        pieces = _borrowed(self._keeper, stream)
        return _behind(await anext(pieces, b""), pieces)


class Arrivals:
    """Performs calls that come from other processes.

    Args:
        catalogue: What is built.
        perform: Performs them here.
        epoch_of: The current epoch of an account.
        sink: Where the entries of calls go that a front has refused.
        also: What else can be asked.
        lender: Lets their senders write blobs; None: all bytes come here.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        perform: Perform,
        epoch_of: EpochOf,
        sink: Sink,
        also: Handlers,
        lender: BlobLender | None = None,
    ) -> None:
        self._lender = lender
        self._catalogue = catalogue
        self._perform = perform
        self._epoch_of = epoch_of
        self._sink = sink
        self._also = also
        self._principals: Lru[bytes, Principal] = Lru(PRINCIPALS_MAX)

    def handlers(self) -> Handlers:
        """Return what can be asked."""
        return {PERFORM: self.perform, NOTE: self.note, **self._also}

    async def perform(self, asked: Asked) -> Answer:
        """Perform one call and answer its reply; None if the proof of its caller is stale."""
        parcel = _decode(asked.value)
        visit = _visit_of(parcel, self._principal_of(parcel.principal))
        if visit.epoch >= 0 and self._epoch_of(visit.principal.account) != visit.epoch:
            return Answer(None)
        bound = self._catalogue.require(visit.service, visit.operation)
        if parcel.keeps and self._lender is not None:
            visit.lending = _Lending(self._lender)
        wire = parcel.request
        if parcel.streamed:
            wire[parcel.streamed] = self._body_of(parcel, asked.stream)
        visit.performed = True
        IN_WORK.set(visit)  # and until its task ends: it has one of its own
        try:
            reply = await self._perform(visit, bound, wire)
        except StaleProof:
            return Answer(None)  # a third process, where it runs, knows more of the account
        marks, logged = visit.lending is not None, bool(visit.logged)
        return _answer_of(reply, bound.model.event_stream_output, marks=marks, logged=logged)

    def _body_of(self, parcel: _Parcel, stream: ByteSource | None) -> object:
        """Return the body of a call, which its sender may be able to keep."""
        if parcel.keeps and self._lender is not None and isinstance(stream, Diverted):
            return _FarBody(stream, self._lender)
        return stream

    def _principal_of(self, raw: msgspec.Raw) -> Principal:
        """Return a caller, one object for the same caller: what is remembered goes by it.

        Bytes say everything of a principal: of a change in its account, others come.
        """
        key = bytes(raw)
        found = self._principals.find(key)
        if found is None:
            found = _decode_principal(raw)
            self._principals.put(key, found)
        return found

    async def note(self, asked: Asked) -> Answer:
        """Take the entries of calls that a front has refused."""
        for entry in _decode_entries(asked.value):
            self._sink(entry)
        return Answer(None)


def _answer_of(reply: Wire, events: str | None, *, marks: bool, logged: bool) -> Answer:
    """Return a reply with its streamed member behind it, and whether it is to be logged."""
    for name, value in reply.items():
        if hasattr(value, "__aiter__"):
            rest = {key: each for key, each in reply.items() if key != name}
            if name == events:
                return Answer((rest, name, False, logged), _parted(value))
            stream = cast("AsyncIterator[bytes]", value)
            return Answer((rest, name, marks, logged), _marked(stream) if marks else stream)
    return Answer((reply, "", False, logged))


class Notes:
    """The entries of calls that this process has refused, on their way to a store process.

    Rule: a refusal does not wait for its entry. When entries come faster than they leave, the
    newest are counted and not kept.

    Args:
        peer: Who keeps the trail.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._waiting: list[AuditEntry] = []
        self._due = asyncio.Event()
        self.lost = 0
        """How many entries were not kept so far."""

    def __call__(self, entry: AuditEntry) -> None:
        """Take an entry."""
        if len(self._waiting) >= NOTES_MAX:
            if not self.lost:
                _log.error("refusals come faster than they can be recorded; some are only counted")
            self.lost += 1
            return
        self._waiting.append(entry)
        self._due.set()

    async def run(self) -> None:
        """Send entries, for ever."""
        while True:
            await self._due.wait()
            await self.flush()

    async def flush(self) -> None:
        """Send the entries that wait; those that cannot be sent are counted."""
        self._due.clear()
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            await self._peer.call(NOTE, _encode(waiting))
        except Weather as weather:
            self.lost += len(waiting)
            _log.warning("%d refusals are not in the audit trail: %s", len(waiting), weather)
