"""A whole cloud in this process, asked without sockets: what a request costs our own code.

It is wired as a store process is: the embedded engine, encrypted; every call signed, authorised,
metered and audited; the loop that times its steps. Only the transport is a double: a request is
bytes handed to a connection's protocol, an answer the bytes that it writes. So nothing that the
kernel does for sockets is in a figure.
"""

from __future__ import annotations

import asyncio
import gc
import json
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from generator import BadAnswer
from load import signed, signed_json

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keys import Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.gateway.connection import Connection
from fogbank.gateway.listener import Listener
from fogbank.platform.crypto.keyring import Secret
from fogbank.server.app import App, Parts
from fogbank.server.bounds import listener_settings
from fogbank.server.config import Config
from fogbank.server.roster import services
from fogbank.server.steps import Steps, WatchedLoop
from fogbank.testing.runtime import inline_functions

T = TypeVar("T")
CONNECTIONS = 64
REGION = "us-east-1"
TABLE = "bench"
KEY_BYTES = 32


class _Pipe(asyncio.Transport):
    """A transport to nobody: what is written goes to who asked."""

    def __init__(self, wrote: Callable[[bytes], None]) -> None:
        super().__init__()
        self.write = wrote  # type: ignore[method-assign]
        self._is_closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Have no buffer."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._is_closing

    def abort(self) -> None:
        self._is_closing = True

    close = abort

    def pause_reading(self) -> None:
        """Hold nothing back."""

    resume_reading = pause_reading


class _Client:
    """One connection that asks again as soon as it has its answer."""

    def __init__(self, load: _Load, connection: Connection) -> None:
        self._load = load
        self._left = 0
        self.connection = connection
        connection.connection_made(_Pipe(self._wrote))

    def ask(self) -> None:
        """Send the next request, as a socket that has become readable would."""
        request = self._load.next()
        if request is not None:
            self._load.call_soon(self.connection.data_received, request)

    def _wrote(self, data: bytes) -> None:
        """Take an answer, or a piece of one."""
        if self._left:
            self._left -= len(data)
        else:
            head, _, body = data.partition(b"\r\n\r\n")
            if head[9:12] != b"200":
                self._load.fail(BadAnswer(data[:300]))
                return
            length = head.find(b"Content-Length: ")
            if length >= 0 and not self._load.heads_only:
                self._left = int(head[length + 16 :].partition(b"\r")[0]) - len(body)
        if not self._left:
            self.ask()


class _Load:
    """Some requests, each asked once, over several connections."""

    def __init__(self, listener: Listener, requests: Sequence[bytes], *, heads_only: bool) -> None:
        self._requests = deque(requests)
        self._listener = listener
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._working = 0
        self.heads_only = heads_only
        self.call_soon = asyncio.get_running_loop().call_soon

    def next(self) -> bytes | None:
        """Return the next request; None, and in the end tell, if there is none."""
        if self._requests:
            return self._requests.popleft()
        self._working -= 1
        if not self._working and not self._ended.done():
            self._ended.set_result(None)
        return None

    def fail(self, error: BadAnswer) -> None:
        """End the load with an error."""
        if not self._ended.done():
            self._ended.set_exception(error)

    async def run(self, connections: int) -> float:
        """Ask everything; return the processor time of this process in seconds."""
        clients = [
            _Client(self, Connection(self._listener))
            for _ in range(min(connections, len(self._requests)))
        ]
        await asyncio.sleep(0)
        self._working = len(clients)
        began = time.process_time()
        for client in clients:
            client.ask()
        await self._ended
        used = time.process_time() - began
        for client in clients:
            client.connection.connection_lost(None)
        return used


class InProcess:
    """The cloud; made by ``opened``."""

    endpoint = "http://127.0.0.1:9999"
    port = 9999

    def __init__(self, app: App, listener: Listener, engine: EmbeddedEngine) -> None:
        self.app = app
        self.listener = listener
        self.engine = engine
        self.said: Mapping[str, str] = {}

    def environment(self) -> Mapping[str, str]:
        """Return its keys and region under the names that SDKs read."""
        return self.said

    def processes(self) -> Mapping[int, str]:
        """Return none: it is this one."""
        return {}

    @property
    def log_thread(self) -> int:
        """Return the thread that makes groups durable."""
        [found] = [each for each in threading.enumerate() if each.name == "fogbank-log"]
        assert found.ident is not None, "an open store has its log"
        return found.ident

    def client(self, service: str) -> Any:
        """Refuse: it has no socket."""
        raise NotImplementedError(service)

    async def ask(
        self,
        requests: Sequence[bytes],
        connections: int = CONNECTIONS,
        *,
        heads_only: bool = False,
    ) -> float:
        """Ask each of some requests once; return the processor time of one, in microseconds.

        Raises:
            BadAnswer: One was not answered with 200.
        """
        load = _Load(self.listener, requests, heads_only=heads_only)
        return await load.run(connections) / len(requests) * 1e6

    async def create_table(self) -> None:
        """Make a table of one text key."""
        body = {
            "TableName": TABLE,
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        await self.ask([signed_json(self, "CreateTable", json.dumps(body).encode())])

    def s3(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """Return a signed request to S3."""
        return signed(self, "s3", method, path, dict(headers), body)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncGenerator[InProcess]:
    """Open the cloud, with an account."""
    clock, ids = SystemClock(), Ids()
    encryption = Encryption(Secret("file", ids.random_bytes(KEY_BYTES)), ids.random_bytes)
    engine = await EmbeddedEngine.open(folder, clock=clock, encryption=encryption)
    try:
        functions = await inline_functions(clock, ids, None)
        parts = Parts(
            placement=engine, blobs=engine.blobs, functions=functions, clock=clock, ids=ids
        )
        app = App(Config(), parts, services())
        dispatcher = app.dispatcher
        await app.identity.open()
        account = await app.identity.create_account("default")
        listener = Listener(dispatcher.handle, listener_settings(Config()), clock, dispatcher.busy)
        cloud = InProcess(app, listener, engine)
        cloud.said = {
            "AWS_ACCESS_KEY_ID": account.access_key_id,
            "AWS_SECRET_ACCESS_KEY": account.secret_access_key,
            "AWS_REGION": REGION,
        }
        async with asyncio.TaskGroup() as group:
            work: list[Coroutine[Any, Any, None]] = [
                app.driver.run(), app.trail.run(), dispatcher.refusals.run(), listener.serve([])
            ]  # fmt: skip
            tasks = [group.create_task(each) for each in work]
            await asyncio.sleep(0)
            yield cloud
            for task in tasks:
                task.cancel()
    finally:
        await engine.close()


def run(measure: Callable[[InProcess], Coroutine[Any, Any, T]]) -> T:
    """Open a cloud, measure, close it; return what was measured."""

    async def whole() -> T:
        with tempfile.TemporaryDirectory() as folder:
            async with _opened(Path(folder)) as cloud:
                return await measure(cloud)

    loop = WatchedLoop(Steps(time.monotonic))
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(whole())
    finally:
        loop.close()


def settle_garbage() -> None:
    """Do as a server does once it serves: nothing is collected in the middle of a request."""
    gc.collect()
    gc.freeze()
    gc.disable()
