from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fogbank.base.errors import AccessDenied
from fogbank.base.ids import Ids
from fogbank.base.types import Wire
from fogbank.contract.action import Access, Scope
from fogbank.contract.call import Call, Facilities, HttpFacts
from fogbank.contract.quota import Quotas
from fogbank.engines.memory import MemoryEngine
from fogbank.gateway.authorize import Circumstances
from fogbank.gateway.confirmed import ConfirmedStore
from fogbank.platform.blobs import rows
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.bus.reader import OutboxWriter, decode_delivery
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.timers import Timers, decode_timer
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import DIRECTORY, SYSTEM, Domain
from fogbank.platform.store.keyspace import OUTBOX, PARTITIONS, TIMERS, system_prefix
from fogbank.services.s3 import SERVICE
from fogbank.services.s3.jobs import run_task
from fogbank.services.s3.quotas import PART_BYTES_MIN
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.state.tasks import TASKS
from fogbank.testing.clock import VirtualClock
from fogbank.wire.model import load

OWNER = "111111111111"
OTHER = "222222222222"
LARGE = bytes(range(256)) * 1024  # 256 KiB: a blob
BIG = b"p" * PART_BYTES_MIN
REQUEST_IDS = "REQUEST"


class Denials:
    """Allows everything but the actions it is told to deny."""

    def __init__(self) -> None:
        self.actions: set[str] = set()
        self.resources: set[str] = set()

    async def require(self, _call: Call, accesses: list[Access]) -> None:
        for access in accesses:
            if access.action in self.actions or access.resource in self.resources:
                raise AccessDenied("Access Denied")

    async def again(self, _call: Call, _domain: Domain) -> None:
        """Let no other account in: no bucket here says otherwise."""
        raise AccessDenied("Access Denied")


class FakeCalls:
    """Stands for Lambda: knows which functions S3 may invoke."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        self.asked: list[tuple[str, Wire, Principal]] = []

    async def call(
        self, service: str, operation: str, request: Wire, *, principal: Principal, **_: Any
    ) -> Wire:
        self.asked.append((f"{service}:{operation}", request, principal))
        if request["FunctionName"] not in self.functions:
            raise AccessDenied("no")
        return {"StatusCode": 204}


class World:
    """S3 alone over an engine, one in memory by default: operations take decoded requests."""

    def __init__(self, *, replay: bool = False, engine: Any = None, seed: int = 1) -> None:
        self.engine = engine or MemoryEngine(check=True, replay=replay)
        self.clock = VirtualClock()
        self.denials = Denials()
        self.calls = FakeCalls()
        self.facilities = Facilities(
            placement=self.engine,
            blobs=self.engine.blobs,
            clock=self.clock,
            ids=Ids.seeded(seed),
            identity=None,  # type: ignore[arg-type]
            quotas=Quotas(),
            outbox=OutboxWriter(),
            timers=Timers(),
            functions=None,  # type: ignore[arg-type]
        )
        self.facilities.calls = self.calls
        self._model = load("s3")
        self._requests = 0

    async def call(
        self,
        operation: str,
        account: str = OWNER,
        *,
        region: str = "us-east-1",
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Wire:
        modelled = self._model.by_function[operation]
        assert request.keys() <= set(modelled.input.members)
        declared = SERVICE.functions[operation]
        self._requests += 1
        request_id = f"{REQUEST_IDS}{self._requests:09}"
        scope = Scope(account, region, request_id, (), self.clock.now_ms())
        assert declared.domain is not None
        assert declared.access is not None
        http = HttpFacts(source_ip="192.0.2.7", headers=headers or {})
        principal = Principal(
            kind=PrincipalKind.ROOT,
            account=account,
            arn=f"arn:aws:iam::{account}:root",
            unique_id=account,
        )
        call = Call(
            service="s3",
            operation=modelled.name,
            scope=scope,
            principal=principal,
            domain=declared.domain(scope, request),
            bare_store=self.engine.store_of(declared.domain(scope, request)),
            facilities=self.facilities,
            authorizer=self.denials,
            http=http,
            access_context=Circumstances(principal, scope.region, http, 0, {}),
            confirming=ConfirmedStore,
        )
        await self.denials.require(call, declared.access(scope, request))
        reply = await declared.function(call, request)
        assert reply.keys() <= set(modelled.output.members if modelled.output else ())
        return reply

    async def put(self, key: str, body: Any = b"", bucket: str = "bucket", **more: Any) -> Wire:
        return await self.call("put_object", Bucket=bucket, Key=key, Body=body, **more)

    async def get(self, key: str, bucket: str = "bucket", **more: Any) -> bytes:
        return await body_of(await self.call("get_object", Bucket=bucket, Key=key, **more))

    async def tasks(self) -> int:
        """Do every task that is due, until none is; return how many attempts that took."""
        (store,) = self.engine.system_stores()
        attempts = 0
        while True:
            found = []
            for partition in range(PARTITIONS):
                found += await worklist.claim(
                    store,
                    TASKS,
                    partition,
                    now_ms=self.clock.now_ms(),
                    hold_ms=60_000,
                    holder="test",
                    limit=10,
                )
            if not found:
                return attempts
            for entry in found:
                attempts += 1
                verdict = await run_task.attempt(entry, self.facilities)

                async def settle(tr: Any, entry: Any = entry, verdict: Any = verdict) -> None:
                    if verdict.retry_at_ms is None:
                        await worklist.remove(tr, entry)
                    else:
                        worklist.put_back(tr, entry, verdict.retry_at_ms)

                await self.engine.store_of(Domain(*entry.domain)).transact(settle)

    async def advance(self, milliseconds: int) -> None:
        self.clock.advance_to(self.clock.now_ms() + milliseconds)
        await self.tasks()

    async def blobs(self) -> int:
        """Return how many blobs are there once every queued deletion is done."""
        (store,) = self.engine.system_stores()
        await rows.drain_deletions(store, self.engine.blobs, 10_000)
        return len(await self.engine.blobs.list(None, 100_000))

    async def keys_of(self, bucket: str) -> int:
        """Return how many keys a bucket's domain has."""
        return await self._count(domain_of(bucket))

    async def _count(self, domain: Domain) -> int:
        async def body(tr: Any) -> int:
            end = tuples.after_prefix(domain.prefix)
            return len(await tr.range(domain.prefix, end, limit=10_000))

        return await self.engine.store_of(domain).read(body)

    async def directory_keys(self) -> int:
        return await self._count(DIRECTORY)

    async def _system(self, subspace: int) -> list[bytes]:
        async def body(tr: Any) -> list[bytes]:
            found: list[bytes] = []
            for partition in range(PARTITIONS):
                prefix = system_prefix(subspace, partition)
                page = await tr.range(prefix, tuples.after_prefix(prefix), limit=10_000)
                found += [value for _, value in page]
            return found

        return await self.engine.store_of(SYSTEM).read(body)

    async def deliveries(self) -> list[Delivery]:
        return [decode_delivery(raw) for raw in await self._system(OUTBOX)]

    async def timers(self) -> list[Any]:
        return [decode_timer(raw) for raw in await self._system(TIMERS)]


class Stream:
    """A request body that comes in pieces, with what a signed stream may bring at its end."""

    def __init__(
        self,
        content: bytes,
        *,
        piece: int = 100_000,
        length: int | None = -1,
        trailers: dict[str, str] | None = None,
        error: Exception | None = None,
    ) -> None:
        self._content = content
        self._at = 0
        self._piece = piece
        self._error = error
        self._last = trailers or {}
        self.trailers: dict[str, str] = {}
        self.length = len(content) if length == -1 else length

    async def read(self, limit: int) -> bytes:
        await asyncio.sleep(0)
        found = self._content[self._at : self._at + min(limit, self._piece)]
        self._at += len(found)
        if not found:
            if self._error is not None:
                raise self._error
            self.trailers = self._last
        return found


async def body_of(reply: Wire) -> bytes:
    body = reply["Body"]
    if isinstance(body, bytes):
        return body
    return b"".join([piece async for piece in body])


def run(work: Any) -> Any:
    return asyncio.run(work)


async def made(world: World, name: str = "bucket", **more: Any) -> World:
    await world.call("create_bucket", Bucket=name, **more)
    return world


async def upload(world: World, *parts: bytes, key: str = "k", **more: Any) -> tuple[str, list[Any]]:
    begun = await world.call("create_multipart_upload", Bucket="bucket", Key=key, **more)
    listed = []
    for number, part in enumerate(parts, start=1):
        reply = await world.call(
            "upload_part",
            Bucket="bucket",
            Key=key,
            UploadId=begun["UploadId"],
            PartNumber=number,
            Body=part,
        )
        listed.append({"PartNumber": number, "ETag": reply["ETag"]})
    return begun["UploadId"], listed


async def complete(
    world: World, upload_id: str, parts: list[Any], key: str = "k", **more: Any
) -> Any:
    return await world.call(
        "complete_multipart_upload",
        Bucket="bucket",
        Key=key,
        UploadId=upload_id,
        MultipartUpload={"Parts": parts},
        **more,
    )
