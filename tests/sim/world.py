"""A whole cloud in one process under a seed: virtual time, a machine that fails, and its restarts.

Everything runs on one loop of one thread, so that the seed decides the run: the time, every id,
when a sync ends, what the store refuses, when the process dies, who is next.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import json
import random
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple

from botocore.awsrequest import AWSResponse
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from fogbank.base.ids import Ids
from fogbank.contract.service import Service
from fogbank.engines.simulated import QUIET, Faults, SimulatedEngine
from fogbank.platform.metering.report import Report
from fogbank.platform.runtime.functions import Invocation, Run, Target
from fogbank.platform.runtime.port import Level
from fogbank.server.app import App, Parts
from fogbank.server.config import Config
from fogbank.server.roster import services
from fogbank.testing.attach import HOST, REGION
from fogbank.testing.clock import VirtualClock
from fogbank.testing.cloud import _Raw, http_request_of
from fogbank.testing.sessions import new_session
from fogbank.testing.signing import sign_by

FAULTS: Final = Faults(weather=0.02, death=0.015, turns_max=6)
QUIET_TURNS: Final = 60
LOST_STATUS: Final = 500
"""From here on an answer says nothing about what was done."""
WEATHER: Final = {
    "ConcurrentModification",
    "OperationAborted",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
"""Nor do these: the store refused one of the transactions of the call, which need not be the first."""


class Unknown(Exception):
    """Nobody can say whether a call was done: no answer came, or one that says nothing."""


class SimLoop(asyncio.SelectorEventLoop):
    """A loop without threads: what would go to one is done at once."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (the future's)
            future.set_exception(error)
        return future


class SimClock(VirtualClock):
    """Virtual time whose sleepers may wake late, all at once."""

    def stall(self, milliseconds: int) -> None:
        """Let time pass while nobody wakes."""
        self._now_ms += milliseconds
        while self._sleepers and self._sleepers[0][0] <= self._now_ms:
            wake = heapq.heappop(self._sleepers)[2]
            if not wake.done():
                wake.set_result(None)


class Reply(NamedTuple):
    """What came back over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Captured(BaseException):
    """No error: it carries a request that botocore was about to send past its handlers."""

    def __init__(self, request: Any) -> None:
        self.request = request


class Client:
    """A boto3 client whose requests are signed by it and carried by us."""

    def __init__(self, world: World, service: str, key_id: str, secret: str) -> None:
        self._world = world
        self._reply: Reply | None = None
        self._client = new_session().client(
            service,
            region_name=REGION,
            endpoint_url=f"http://{HOST}",
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=ClientConfig(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        sign_by(self._client, world.clock)
        self._client.meta.events.register("before-send", self._send)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        if self._reply is None:
            raise _Captured(request)
        reply, self._reply = self._reply, None
        return AWSResponse(request.url, reply.status, reply.headers, _Raw(reply.body))

    async def call(self, operation: str, **given: Any) -> Any:
        """Return the reply of a call.

        Raises:
            ClientError: It was refused, and so has done nothing.
            Unknown: It may have been done, or not.
        """
        method = getattr(self._client, operation)
        try:
            method(**given)
        except _Captured as captured:
            request = http_request_of(captured.request)
        reply = await self._world.carried(request)
        self._world.note(f"{operation} {reply.status}")
        if reply.status >= LOST_STATUS:
            raise Unknown(operation)
        self._reply = reply
        try:
            return method(**given)
        except ClientError as error:
            if error.response["Error"]["Code"] in WEATHER:
                raise Unknown(operation) from None
            raise


class SimFunctions:
    """Functions that take virtual time, write a row to a table, and sometimes die with the process."""

    level = Level.BARE
    architecture = "x86_64"

    def __init__(self, world: World) -> None:
        self._world = world

    def runtimes(self) -> dict[str, str]:
        return {"python3.12": "python"}

    def stands_in(self, runtime: str) -> str:
        del runtime
        return ""

    def missing(self, runtime: str) -> str:
        return f"{runtime} is not simulated"

    async def prepare(self, *_: Any) -> int:
        """Take any package, of whatever size."""
        return 0

    def sample(self, _function_arn: str) -> bool:
        return False

    async def check_role(self, *_: Any) -> None:
        """Take any role."""

    async def run(self, target: Target, invocation: Invocation, around: Any, **_: Any) -> Run:
        """Tell what the function is told, and write a row for it unless there is one."""
        world = self._world
        for record in json.loads(invocation.payload)["Records"]:
            etag = record["s3"]["object"]["eTag"]
            world.runs[etag].add(invocation.request_id)
            await world.clock.sleep_until(world.clock.now_ms() + world.random.randint(0, 900))
            request = {
                "TableName": "seen",
                "Item": {"k": {"S": etag}, "by": {"S": invocation.request_id}},
                "ConditionExpression": "attribute_not_exists(k) OR #b = :b",
                "ExpressionAttributeNames": {"#b": "by"},
                "ExpressionAttributeValues": {":b": {"S": invocation.request_id}},
            }
            await around.calls.call(
                "dynamodb", "PutItem", request, principal=world.root.principal, region=REGION
            )
        report = Report(invocation.request_id, 1.0, 1, target.memory_mb, 30)
        return Run(b"null", failed=False, report=report, tail=b"")

    @property
    def provisions(self) -> Any:
        """Have nothing ready."""
        raise AssertionError("nothing is provisioned")

    async def retire(self, *_: Any, **__: Any) -> None:
        """Keep no environments."""

    async def close(self) -> None:
        """Keep nothing."""


class World:
    """The machine, the cloud on it, and the time.

    Args:
        seed: Decides the run.
        extra: A service of the simulation's own.
    """

    def __init__(self, seed: int, extra: Service) -> None:
        self.random = random.Random(seed)
        self.clock = SimClock()
        self.engine = SimulatedEngine(
            clock=self.clock, chance=self.random.random, replay=seed % 2 == 0
        )
        self.runs: defaultdict[str, set[str]] = defaultdict(set)
        """By entity tag of an upload, the requests in which a function was told of it."""
        self.trail = hashlib.blake2b(digest_size=16)
        """Of everything that was answered, in order: two runs of one seed have the same."""
        self.app: App
        self.root: Any
        self._ids = Ids.seeded(seed)
        self._services = [*services(), extra]
        self._jobs: list[asyncio.Task[Any]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._clients: dict[tuple[str, ...], Client] = {}
        self._alive = asyncio.Event()

    def note(self, what: str) -> None:
        """Add to the trail."""
        self.trail.update(f"{self.clock.now_ms()} {what}\n".encode())

    # Lives.

    async def begin(self) -> None:
        """Begin the first life, on a machine that does not fail yet."""
        await self._boot()
        self.root = await self.app.identity.create_account("default")

    async def _boot(self) -> None:
        parts = Parts(
            placement=self.engine,
            blobs=self.engine.blobs,
            functions=SimFunctions(self),
            clock=self.clock,
            ids=self._ids,
        )
        self.app = App(Config(), parts, self._services)
        await self.app.identity.open()
        loop = asyncio.get_running_loop()
        for work in (self.app.driver, self.app.trail, self.app.dispatcher.refusals):
            self._jobs.append(loop.create_task(work.run()))
        self._alive.set()

    def _require_jobs(self) -> None:
        """Raise what ended background work: nothing may."""
        for job in self._jobs:
            if job.done() and not self.engine.is_dead:
                raise AssertionError("background work has ended") from job.exception()

    async def _bury(self) -> None:
        """End what a death left running."""
        tasks, self._tasks, self._jobs = [*self._tasks, *self._jobs], [], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def rise(self) -> None:
        """End what a death left running, and begin the next life."""
        self._alive.clear()
        await self._bury()
        self.note(f"death {self.engine.deaths}")
        self.engine.reopen()
        faults, self.engine.faults = self.engine.faults, QUIET
        await self._boot()
        self.engine.faults = faults

    async def end(self) -> None:
        """End the last life."""
        self.engine.die()
        await self._bury()

    # Work in a life.

    async def lived(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return the result of work inside the process.

        Raises:
            Unknown: The process died over it.
        """
        loop = asyncio.get_running_loop()
        task, death = loop.create_task(work), loop.create_task(self.engine.died())
        self._tasks.append(task)
        try:
            await asyncio.wait((task, death), return_when=asyncio.FIRST_COMPLETED)
        finally:
            death.cancel()
        if not task.done() or task.cancelled():
            raise Unknown
        if task in self._tasks:
            self._tasks.remove(task)
        return task.result()

    async def carried(self, request: Any) -> Reply:
        """Carry a request to the gateway and its answer back."""

        async def handle() -> Reply:
            reply = await self.app.dispatcher.handle(request)
            body = reply.body
            if not isinstance(body, bytes):
                body = b"".join([bytes(piece) async for piece in body])
            headers = dict(reply.headers)
            if reply.length is not None:
                headers["Content-Length"] = str(reply.length)
            return Reply(reply.status, headers, b"" if request.method == "HEAD" else body)

        await self._alive.wait()
        return await self.lived(handle())

    def client(self, service: str, key_id: str = "", secret: str = "") -> Client:
        """Return a client, of the account's root unless told otherwise."""
        key_id = key_id or self.root.access_key_id
        secret = secret or self.root.secret_access_key
        if (service, key_id) not in self._clients:
            self._clients[service, key_id] = Client(self, service, key_id, secret)
        return self._clients[service, key_id]

    # Time.

    async def pace(self, turns: int = 40) -> None:
        """Let the loop turn, then let some time pass, sometimes with everybody asleep."""
        for _ in range(self.random.randint(1, turns)):
            await asyncio.sleep(0)
        self._require_jobs()
        jump_ms = self.random.choice((1, 1, 10, 50, 200, 1_000, 5_000))
        if self.random.random() < 0.02:
            self.clock.stall(self.random.choice((10_000, 70_000, 200_000)))
        else:
            self.clock.advance_to(self.clock.now_ms() + jump_ms)

    async def settle(self, milliseconds: int) -> None:
        """Let time pass from sleeper to sleeper; what is due is done in between."""
        until_ms = self.clock.now_ms() + milliseconds
        while self.clock.now_ms() < until_ms:
            for _ in range(QUIET_TURNS):
                await asyncio.sleep(0)
            self._require_jobs()
            self.clock.advance_to(until_ms)


__all__ = ["FAULTS", "ClientError", "SimLoop", "Unknown", "World"]
