"""``Cloud()``: a whole cloud in this process, on virtual time, for tests.

``client("s3")`` gives a real boto3 client. Its requests are signed, serialized and parsed by
botocore as always; a handler on ``before-send`` hands them to the gateway instead of a socket
(moto uses the same hook), so authentication, authorisation, validation and every rule are the
server's own. The store is the memory engine, in its checking mode.

Time stands still until ``advance`` moves it; ``settle`` waits until background work has nothing
left to do now.
"""
# boto3 and botocore have no types:
# pyright: basic

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from botocore.awsrequest import AWSResponse
from botocore.config import Config as ClientConfig
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from fogbank.base.arn import AWS, arn_of
from fogbank.base.ids import Ids
from fogbank.contract.service import Service
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.identity.credentials import Credential
from fogbank.platform.runtime.functions import Functions
from fogbank.server.app import App, Parts
from fogbank.server.config import Config
from fogbank.server.roster import services as all_services
from fogbank.testing.attach import HOST, REGION, Keys, Proof, acting_as
from fogbank.testing.clock import VirtualClock
from fogbank.testing.faults import TRIP, Faults, Trip
from fogbank.testing.runtime import inline_functions
from fogbank.testing.sessions import new_session
from fogbank.testing.signing import close_signers, open_signers, sign_by
from fogbank.testing.sql import InlineSql
from fogbank.wire.http import BODY_WHOLE_BYTES_MAX, HttpReply, HttpRequest

T = TypeVar("T")

SETTLE_STEPS_MAX = 20_000
SETTLE_PAUSE_S = 0.001
ADVANCE_S_MAX = 600
"""In days of virtual time thousands wake, one after the other."""
HINTS_TRUSTED_MS = 3_600_000
"""Hints of a store in this process are not lost; looking each minute makes days of virtual time long."""


class _Body:
    """A request body given piece by piece, as a socket would."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)
        self.length: int | None = len(content)

    async def read(self, limit: int) -> bytes:
        """Return the next piece."""
        return self._file.read(min(limit, 64 << 10))


class _Raw(io.BytesIO):
    """A response body as botocore reads it: urllib3's ``stream`` beside a file's ``read``."""

    def stream(self, amount: int = 65_536) -> Iterator[bytes]:
        """Yield the rest in pieces."""
        while piece := self.read(amount):
            yield piece


def http_request_of(request: Any) -> HttpRequest:
    """Return botocore's prepared request as the listener would have read it."""
    rest = request.url.split("//", 1)[1]
    host, _, tail = rest.partition("/")
    path, _, query = tail.partition("?")
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    headers.setdefault("host", host)
    body: Any = request.body or b""
    content: bytes = body.read() if hasattr(body, "read") else body
    content = content.encode() if isinstance(content, str) else bytes(content)
    streamed = len(content) > BODY_WHOLE_BYTES_MAX or "chunked" in headers.get(
        "transfer-encoding", ""
    )
    return HttpRequest(
        request.method,
        f"/{path}",
        query,
        headers,
        b"" if streamed else content,
        _Body(content) if streamed else None,
        peer="127.0.0.1",
    )


class Cloud:
    """An in-process cloud; use it as a context manager, or call ``close``.

    Args:
        seed: Every id and secret of the run follows from it.
        replay: Run every transaction body again, and fail if it does not do the same.
        services: The services of this cloud; all by default.
        functions: Where functions run; in this process by default (tests only: no isolation).
        work_dir: Where code trees are unpacked; needed to create functions.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        replay: bool = False,
        services: Sequence[Service] | None = None,
        functions: Functions | None = None,
        work_dir: Path | None = None,
        config: Config | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.ids = Ids.seeded(seed)
        self.engine = MemoryEngine(check=True, replay=replay, seed=seed, clock=self.clock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cloud", daemon=True)
        self._thread.start()
        open_signers()
        self.run(self._build(services, functions, work_dir, config or Config()))

    async def _build(
        self,
        services: Sequence[Service] | None,
        functions: Functions | None,
        work_dir: Path | None,
        config: Config,
    ) -> None:
        """Wire the cloud and start its background work."""
        if functions is None:
            inline = await inline_functions(self.clock, self.ids, work_dir)
            inline.inline.adopt = self.adopt
            functions = inline
        parts = Parts(
            placement=self.engine,
            blobs=self.engine.blobs,
            functions=functions,
            clock=self.clock,
            ids=self.ids,
            sql=InlineSql(),
            hints_trusted_ms=HINTS_TRUSTED_MS,
        )
        self.faults = Faults(self.clock, all_services() if services is None else services)
        self.app = App(config, parts, self.faults.services)
        await self.app.identity.open()
        self.account = await self.app.identity.create_account("default")
        self._jobs = [
            asyncio.create_task(self.app.driver.run()),
            asyncio.create_task(self.app.trail.run()),
            asyncio.create_task(self.app.dispatcher.refusals.run()),
        ]

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float = 60) -> T:
        """Run a coroutine on the cloud's loop and return its result.

        Raises:
            TimeoutError: It took longer, by the machine's clock.
        """
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def client(  # noqa: PLR0913 (as boto3.client)
        self,
        service: str,
        *,
        credential: Proof | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        token: str | None = None,
        region: str = REGION,
        config: ClientConfig | None = None,
        host: str = HOST,
    ) -> Any:
        """Return a boto3 client of this cloud, as the account's root unless told otherwise."""
        account: Proof = credential or self.account
        options = ClientConfig(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        client = new_session().client(
            service,
            region_name=region,
            endpoint_url=f"http://{host}",
            aws_access_key_id=access_key or account.access_key_id,
            aws_secret_access_key=secret_key or account.secret_access_key,
            aws_session_token=token or account.session_token or None,
            config=options.merge(config) if config else options,
        )
        self.adopt(client)
        return client

    def create_account(
        self, name: str, account_id: str | None = None, *, partition: str = AWS
    ) -> Credential:
        """Make another account and return the keys of its root.

        Args:
            name: What operators call it.
            account_id: Twelve digits; drawn from the seed unless given.
            partition: The one whose regions it has, such as ``aws-cn``.
        """
        return self.run(
            self.app.identity.create_account(name, account_id=account_id, partition=partition)
        )

    def create_user(self, name: str, policy: Mapping[str, Any] | None = None) -> Keys:
        """Make a user with one inline policy, or none, and return an access key of it."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policy is not None:
            text = json.dumps(policy)
            iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=text)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(key["AccessKeyId"], key["SecretAccessKey"])

    def end_environments(self, function: str, *, region: str = REGION) -> None:
        """End the environments of a function of the account, so that its next run is a cold start."""
        account = self.account.principal.account
        arn = arn_of("lambda", region, account, f"function:{function}")
        self.run(self.app.parts.functions.retire(arn))

    def acting_as(self, proof: Proof) -> AbstractContextManager[None]:
        """Let clients that are made meanwhile sign as someone else: ``with fogbank.acting_as(...)``."""
        return acting_as(proof)

    def adopt(self, client: Any) -> None:
        """Let a boto3 client that someone else made reach this cloud, at its time."""
        sign_by(client, self.clock)
        send = partial(self._send, client.meta.config.read_timeout)
        client.meta.events.register("before-send", send)

    def _send(self, timeout_s: float, request: Any, **_: object) -> AWSResponse:
        """Answer a prepared request of botocore's, given by its handler."""
        return self.answer(request, timeout_s)

    def answer(self, request: Any, timeout_s: float) -> AWSResponse:
        """Answer a prepared request of botocore's from the gateway.

        Args:
            request: An ``AWSPreparedRequest``.
            timeout_s: How long its client waits for a reply, in virtual seconds.

        Raises:
            ReadTimeoutError: A fault made the call last that long.
            ConnectionClosedError: A fault took the reply.
        """
        reply, body, trip = self.run(self._trip(http_request_of(request)))
        if trip.delay_ms >= timeout_s * 1_000:
            raise ReadTimeoutError(endpoint_url=request.url)
        if trip.lost:
            raise ConnectionClosedError(endpoint_url=request.url)
        headers = dict(reply.headers)
        if reply.length is not None:
            headers["Content-Length"] = str(reply.length)
        raw = _Raw(b"" if request.method == "HEAD" else body)
        return AWSResponse(request.url, reply.status, headers, raw)

    async def _trip(self, request: HttpRequest) -> tuple[HttpReply, bytes, Trip]:
        """Answer a request, and say what faults did to it."""
        trip = Trip()
        TRIP.set(trip)
        reply, body = await self._handle(request)
        return reply, body, trip

    async def _handle(self, request: HttpRequest) -> tuple[HttpReply, bytes]:
        """Let the gateway answer and gather a streamed body."""
        reply = await self.app.dispatcher.handle(request)
        if isinstance(reply.body, bytes):
            return reply, reply.body
        pieces = [bytes(piece) async for piece in reply.body]
        return reply, b"".join(pieces)

    def handle(self, request: HttpRequest) -> tuple[HttpReply, bytes]:
        """Answer a raw request: for tests of what no SDK would send."""
        return self.run(self._handle(request))

    def advance(self, milliseconds: int) -> None:
        """Move virtual time forward, letting everyone who wakes in between do its work."""
        self.run(self._advance(self.clock.now_ms() + milliseconds), ADVANCE_S_MAX)

    async def _advance(self, until_ms: int) -> None:
        """Move from sleeper to sleeper until a time."""
        await self._settle()
        while self.clock.now_ms() < until_ms:
            self.clock.advance_to(until_ms)
            await self._settle()

    def settle(self) -> None:
        """Wait until background work has nothing left to do at this virtual time."""
        self.run(self._settle())

    async def _settle(self) -> None:
        """Let the loop run until the driver is quiet for a while."""
        quiet = 0
        for _ in range(SETTLE_STEPS_MAX):
            busy = self.app.driver.running > 0
            quiet = 0 if busy else quiet + 1
            if quiet > 50:  # noqa: PLR2004 (hops of a fact through outbox, list and attempt)
                return
            await asyncio.sleep(SETTLE_PAUSE_S if busy else 0)
        raise TimeoutError("background work does not come to rest")

    def close(self) -> None:
        """End background work and the loop."""
        close_signers()
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        """Cancel what runs."""
        for task in self._jobs:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.app.parts.functions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
