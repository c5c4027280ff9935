"""A runtime, a cloud around it and a loop in virtual time, for the tests of placement."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, Self

from fogbank.base.errors import ServiceError
from fogbank.base.ids import Ids
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.identity.credentials import Credential
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.metering.metrics import Metrics
from fogbank.platform.runtime.functions import Invocation, Package, Target
from fogbank.platform.runtime.pace import Pace
from fogbank.platform.runtime.packages import Packages
from fogbank.platform.runtime.placement import FunctionPlacement, PlacementLimits
from fogbank.platform.runtime.port import (
    Chunks,
    Credentials,
    Ending,
    InitReport,
    Level,
    LogSink,
    Look,
    Outcome,
    SandboxSpec,
    Tell,
)
from fogbank.testing.clock import VirtualClock

ARN = "arn:aws:lambda:us-east-1:111122223333:function:f"
ROLE = "arn:aws:iam::111122223333:role/service-role/r"
RETURNED = Outcome(Ending.RETURNED, b'"ok"', 12.34, 40)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


CODE = zipped({"app.py": "def handler(event, context): return event"})


class FakeSandbox:
    def __init__(self, runtime: FakeRuntime, spec: SandboxSpec, log: LogSink) -> None:
        self.runtime = runtime
        self.spec = spec
        self.log = log
        self.init = runtime.init
        self.tell: Tell | None = None
        self.closed = False
        self.seen = Look(-1, 0, 0, frozen=False)
        self.events: list[bytes] = []
        self.chunks: Chunks | None = None

    async def invoke(
        self,
        request_id: str,
        payload: bytes,
        deadline_ms: int,
        context: Mapping[str, str],
        chunks: Chunks | None = None,
    ) -> Outcome:
        assert not self.closed
        self.chunks = chunks
        self.events.append(payload)
        outcome = await self.runtime.behave(self, request_id, payload)
        self.closed = self.closed or outcome.ending not in (Ending.RETURNED, Ending.RAISED)
        return outcome

    def look(self) -> Look:
        return self.seen

    async def credentials(self, credentials: Credentials) -> None:
        raise AssertionError("environments are retired instead")

    async def close(self) -> None:
        self.closed = True


class FakeRuntime:
    level = Level.FULL

    def __init__(self) -> None:
        self.sandboxes: list[FakeSandbox] = []
        self.init = InitReport(7.0, None)
        self.nearest = ""
        self.expected: list[str] = []
        self.gate: asyncio.Event | None = None
        self.behaviour: Callable[[FakeSandbox, str, bytes], Awaitable[Outcome]] | None = None

    async def behave(self, sandbox: FakeSandbox, request_id: str, payload: bytes) -> Outcome:
        if self.behaviour is not None:
            return await self.behaviour(sandbox, request_id, payload)
        if self.gate is not None:
            await self.gate.wait()
        return RETURNED

    def runtimes(self) -> Mapping[str, str]:
        return {"python3.11": "/usr/bin/python3"}

    def missing(self, runtime: str) -> str:
        return f"install {runtime}"

    def stands_in(self, runtime: str) -> str:
        return self.nearest

    def expect(self, runtime: str) -> None:
        self.expected.append(runtime)

    async def start(self, spec: SandboxSpec, credentials: Credentials, log: LogSink) -> FakeSandbox:
        sandbox = FakeSandbox(self, spec, log)
        self.sandboxes.append(sandbox)
        return sandbox

    async def close(self) -> None:
        for sandbox in self.sandboxes:
            await sandbox.close()


class Refused(ServiceError):
    code = "AccessDeniedException"


class NotThere(ServiceError):
    code = "ResourceNotFoundException"


class FakeCloud:
    """Answers AssumeRole, keeps log events, serves one code package."""

    def __init__(self, clock: VirtualClock, code: bytes = CODE) -> None:
        self.clock = clock
        self.code = code
        self.blobs = SimpleNamespace(read=self.read)
        self.calls = self
        self.identity = self
        self.metrics = Metrics(clock)
        self.assumable = True
        self.may_log = True
        self.groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.principals: list[str] = []
        self.fail: list[Exception] = []
        self.sessions = 0

    async def read(self, ref: BlobRef, *, lock: bytes | None = None) -> AsyncIterator[bytes]:
        yield self.code

    async def call(
        self,
        service: str,
        operation: str,
        request: Any,
        *,
        principal: Any,
        region: str,
        account: str = "",
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        if operation == "AssumeRole":
            return self.assume(request, principal)
        if self.fail:
            raise self.fail.pop(0)
        self.principals.append(principal.arn)
        if not self.may_log:
            raise Refused("no")
        group = self.groups.get(request["logGroupName"])
        if operation == "CreateLogGroup":
            self.groups[request["logGroupName"]] = {}
            return {}
        if group is None:
            raise NotThere("no group")
        if operation == "CreateLogStream":
            group[request["logStreamName"]] = []
            return {}
        group[request["logStreamName"]] += request["logEvents"]
        return {}

    def assume(self, request: Any, principal: Any) -> dict[str, Any]:
        assert principal.arn == "lambda.amazonaws.com"
        if not self.assumable:
            raise Refused("no")
        self.sessions += 1
        name = request["RoleSessionName"]
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA{self.sessions}",
                "SecretAccessKey": "s",
                "SessionToken": name,
            },
        }

    async def credential(self, key_id: str, token: str = "") -> Credential:
        principal = Principal(
            kind=PrincipalKind.SESSION,
            account="111122223333",
            arn=f"arn:aws:sts::111122223333:assumed-role/r/{token}",
        )
        return Credential(
            access_key_id=key_id,
            secret_access_key="s",
            principal=principal,
            session_token=token,
            expires_ms=self.clock.now_ms() + 3_600_000,
        )

    def lines(self) -> list[str]:
        return [
            event["message"]
            for group in self.groups.values()
            for stream in group.values()
            for event in stream
        ]


def target(name: str = "f", **changes: Any) -> Target:
    values: dict[str, Any] = {
        "account": "111122223333",
        "region": "us-east-1",
        "function_arn": ARN.removesuffix("f") + name,
        "function_name": name,
        "version": "$LATEST",
        "revision": "1",
        "runtime": "python3.11",
        "handler": "app.handler",
        "role_arn": ROLE,
        "package": Package(hashlib.sha256(CODE).hexdigest(), BlobRef(1, 1)),
        "environment": {"A": "1"},
        "memory_mb": 128,
        "timeout_ms": 3_000,
        "log_group": f"/aws/lambda/{name}",
    }
    return Target(**{**values, **changes})


def event(request_id: str = "r-1", payload: bytes = b"{}") -> Invocation:
    return Invocation(request_id, payload, {"invoked_function_arn": ARN})


class World:
    """A placement over fakes; ``async with`` opens and closes it."""

    def __init__(
        self, tmp_path: Any, *, budget_mb: int = 1024, pace: Pace | None = None, **limits: int
    ) -> None:
        self.clock = VirtualClock()
        self.runtime = FakeRuntime()
        self.cloud = FakeCloud(self.clock)
        self.placement = FunctionPlacement(
            self.runtime,
            Packages(tmp_path, lambda _: None),
            clock=self.clock,
            ids=Ids.seeded(1),
            limits=PlacementLimits(budget_mb << 20, **{"together_ms": 0, **limits}),
            variables={"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
            pace=pace,
        )

    async def __aenter__(self) -> Self:
        await self.placement.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.runtime.gate is not None:
            self.runtime.gate.set()
        await self.placement.close()

    def begin(self, what: Target | None = None, **options: Any) -> asyncio.Task[Any]:
        run = self.placement.run(what or target(), event(), self.cloud, **options)
        return asyncio.create_task(run)

    async def run(self, what: Target | None = None, **options: Any) -> Any:
        return await self.placement.run(what or target(), event(), self.cloud, **options)

    async def started(self, count: int) -> None:
        """Wait until so many sandboxes have an event; unpacking happens in a thread."""
        for _ in range(2_000):
            if sum(map(len, (box.events for box in self.runtime.sandboxes))) >= count:
                return
            await asyncio.sleep(0.001)
        raise AssertionError("they do not start")

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def advance(self, milliseconds: int) -> None:
        until = self.clock.now_ms() + milliseconds
        await self.settle()
        while self.clock.now_ms() < until:
            self.clock.advance_to(until)
            await self.settle()


def payload_of(run: Any) -> Any:
    return json.loads(run.payload)
