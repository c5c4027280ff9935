"""``InlineRuntime``: runs Python handlers in threads of the test process. For tests only.

Nothing is isolated, limited or measured here: a handler sees the test's own process, memory and
files. What it keeps of the real thing is what the floors above can see: imports, errors and log
lines in the forms of AWS's Python runtime, an environment of its own, one invocation at a time.

A handler's ``boto3`` clients carry its role's credentials, and ``adopt`` is given each of them, so
that they reach the cloud under test.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import io
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any, Final, TypeVar, cast

import botocore.session

from fogbank.base.clock import Clock
from fogbank.base.ids import Ids
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
)

T = TypeVar("T")

RUNTIMES: Final = tuple(f"python3.{minor}" for minor in range(8, 15))
THREADS_MAX: Final = 64
MEMORY_BUDGET_BYTES: Final = 8 << 30
MAX_MEMORY_MB: Final = 30
"""What every report says was used: nothing is measured here."""

Adopt = Callable[[Any], None]


class _Running:
    """What the process-wide doubles look up: whose code this thread is running."""

    def __init__(
        self, runtime: InlineRuntime, environment: dict[str, str], write: Callable[[str], None]
    ) -> None:
        self.runtime = runtime
        self.environment = environment
        self.write = write


_running: contextvars.ContextVar[_Running | None] = contextvars.ContextVar("running", default=None)


class _Output(io.TextIOBase):
    """A standard stream that goes to the log of whoever writes."""

    def __init__(self, before: Any) -> None:
        super().__init__()
        self._before = before

    def write(self, text: str) -> int:
        """Write to the running function's log, or where the stream went before."""
        running = _running.get()
        if running is None:
            return int(self._before.write(text))
        running.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass a flush on."""
        if _running.get() is None:
            self._before.flush()


class _Environ(MutableMapping[str, str]):
    """``os.environ`` that shows each function its own variables."""

    def __init__(self, before: MutableMapping[str, str]) -> None:
        self._before = before

    def _now(self) -> MutableMapping[str, str]:
        running = _running.get()
        return self._before if running is None else running.environment

    def __getitem__(self, name: str) -> str:
        return self._now()[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._now()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._now()))

    def __len__(self) -> int:
        return len(self._now())

    def copy(self) -> dict[str, str]:
        """Return the variables as ``os.environ.copy`` does."""
        return dict(self._now())


class _Doubles:
    """Puts the doubles in place while any handler runs.

    They are held here too: CPython's ``print`` may use ``sys.stdout`` without a reference of its
    own, and who captures output, as pytest does, replaces it in the midst of that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: tuple[Any, Any, Any] = (None, None, None)
        self._ours: tuple[Any, Any, Any] = (None, None, None)

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                before = self._before = (sys.stdout, sys.stderr, os.environ)
                self._ours = _Output(before[0]), _Output(before[1]), _Environ(before[2])
                sys.stdout, sys.stderr, os.environ = self._ours

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                sys.stdout, sys.stderr, os.environ = self._before


_doubles: Final = _Doubles()
_importing: Final = threading.Lock()


def _load(spec: SandboxSpec, name: str) -> ModuleType:
    """Import a module of a code tree, and forget it, so that others may have the same name."""
    folders = (spec.code_dir, f"{spec.layers_dir}/python") if spec.layers_dir else (spec.code_dir,)
    with _importing:
        before = set(sys.modules)
        sys.path[:0] = folders
        importlib.invalidate_caches()
        try:
            return importlib.import_module(name.replace("/", "."))
        finally:
            for folder in folders:
                sys.path.remove(folder)
            for other in set(sys.modules) - before:
                file = getattr(sys.modules[other], "__file__", None) or ""
                if file.startswith(folders):
                    del sys.modules[other]


def _handler_of(spec: SandboxSpec) -> tuple[Callable[..., Any] | None, dict[str, object] | None]:
    """Return the handler, or AWS's error if there is none."""
    name, dot, function = spec.handler.rpartition(".")
    if not dot:
        reason = "not enough values to unpack (expected 2, got 1)"
        return None, _error(
            "Runtime.MalformedHandlerName", f"Bad handler '{spec.handler}': {reason}"
        )
    try:
        module = _load(spec, name)
    except ImportError as error:
        return None, _error(
            "Runtime.ImportModuleError", f"Unable to import module '{name}': {error}"
        )
    except SyntaxError as error:
        message = f"Syntax error in module '{name}': {error}"
        return None, _error("Runtime.UserCodeSyntaxError", message)
    except Exception as error:  # noqa: BLE001 (a stranger's module may raise anything)
        return None, _raised(error, "")
    found: Callable[..., Any] | None = getattr(module, function, None)
    if found is None:
        message = f"Handler '{function}' missing on module '{name}'"
        return None, _error("Runtime.HandlerNotFound", message)
    return found, None


def _error(kind: str, message: str) -> dict[str, object]:
    """Return an error in AWS's shape."""
    return {"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": []}


def _raised(error: BaseException, request_id: str) -> dict[str, object]:
    """Return a raised exception in AWS's shape."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(frames),
    }


def _context_of(
    spec: SandboxSpec, request_id: str, remaining_ms: Callable[[], int], facts: Mapping[str, str]
) -> Any:
    """Return the context object of a handler."""
    client = facts.get("client_context")
    return SimpleNamespace(
        aws_request_id=request_id,
        function_name=spec.function_name,
        function_version=spec.version,
        invoked_function_arn=facts.get("invoked_function_arn", spec.function_arn),
        memory_limit_in_mb=str(spec.memory_mb),
        log_group_name=spec.log_group,
        log_stream_name=spec.log_stream,
        client_context=json.loads(client) if client else None,
        identity=None,
        get_remaining_time_in_millis=remaining_ms,
    )


def in_thread(threads: ThreadPoolExecutor, work: Callable[[], T]) -> asyncio.Future[T]:
    """Run work in a thread, in a context of its own."""
    context = contextvars.copy_context()
    return asyncio.get_running_loop().run_in_executor(threads, lambda: context.run(work))


class InlineSandbox:
    """One environment: a handler and its variables."""

    def __init__(self, runtime: InlineRuntime, spec: SandboxSpec, log: LogSink) -> None:
        self._runtime = runtime
        self._spec = spec
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._environment = dict(spec.environment)
        self._handler: Callable[..., Any] | None = None
        self._request_id = ""
        self.init = InitReport(0.0, None)
        self.tell = None
        # It is this process, and takes nothing more.
        self.look = lambda: Look(-1, 0, 0, frozen=False)
        self.closed = False

    def load(self) -> None:
        """Import the handler; runs in a thread."""
        with _doubles:
            _running.set(_Running(self._runtime, self._environment, self._write))
            self._handler, error = _handler_of(self._spec)
            if error is not None:
                print(f"[ERROR] {error['errorType']}: {error['errorMessage']}")  # noqa: T201 (the log of the function is where it prints)
            self.init = InitReport(0.0, error)

    def _write(self, text: str) -> None:
        """Pass output on to the loop, in order."""
        self._loop.call_soon_threadsafe(self._log, self._request_id, text.encode())

    async def invoke(
        self,
        request_id: str,
        payload: bytes,
        deadline_ms: int,
        context: Mapping[str, str],
        chunks: Chunks | None = None,
    ) -> Outcome:
        """Run the handler once; one that outlives its deadline in real time is left behind."""
        del chunks  # AWS: Python's own runtime makes no pieces
        assert not self.closed, "the sandbox is closed"
        clock = self._runtime.clock
        begun = clock.monotonic()
        self._request_id = request_id
        facts = _context_of(
            self._spec, request_id, lambda: max(0, deadline_ms - clock.now_ms()), context
        )
        work = in_thread(self._runtime.threads, lambda: self._run(payload, facts))
        done, _ = await asyncio.wait({work}, timeout=(deadline_ms - clock.now_ms()) / 1000)
        spent_ms = (clock.monotonic() - begun) * 1000
        if not done:
            self.closed = True
            return Outcome(Ending.TIMED_OUT, b"", spent_ms, MAX_MEMORY_MB)
        ending, said = work.result()
        self.closed = self.closed or ending is Ending.EXITED
        return Outcome(ending, said, spent_ms, MAX_MEMORY_MB)

    def _run(self, payload: bytes, context: Any) -> tuple[Ending, bytes]:
        """Run the handler; runs in a thread."""
        assert self._handler is not None, "the start failed"
        with _doubles:
            _running.set(_Running(self._runtime, self._environment, self._write))
            try:
                answer = self._handler(json.loads(payload), context)
            except SystemExit:
                return Ending.EXITED, b""
            except Exception as error:  # noqa: BLE001 (a stranger's handler may raise anything)
                told = _raised(error, context.aws_request_id)
                trace = "".join(cast("list[str]", told["stackTrace"]))
                text = f"[ERROR] {told['errorType']}: {error}\nTraceback (most recent call last):\n"
                print(text + trace, end="")  # noqa: T201 (the log of the function is where it prints)
                return Ending.RAISED, json.dumps(told).encode()
            try:
                return Ending.RETURNED, json.dumps(answer).encode()
            except TypeError as error:
                message = f"Unable to marshal response: {error}"
                told = _error("Runtime.MarshalError", message)
                return Ending.RAISED, json.dumps(told).encode()

    async def credentials(self, credentials: Credentials) -> None:
        """Replace the credentials in the environment."""
        self._environment.update(variables_of(credentials))

    async def close(self) -> None:
        """Forget the handler."""
        self.closed = True


def variables_of(credentials: Credentials) -> dict[str, str]:
    """Return credentials as environment variables."""
    return {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
    }


class InlineRuntime:
    """Starts inline sandboxes; its ``started`` counts them.

    Args:
        clock: The time that handlers' deadlines and reports are in.
    """

    level = Level.BARE

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.threads = ThreadPoolExecutor(THREADS_MAX, "inline-function")
        self.started: list[SandboxSpec] = []
        self.adopt: Adopt | None = None
        """Given each boto3 client that a handler makes."""
        self._sessions: Any = botocore.session.Session
        self._create_client = self._sessions.create_client
        self._sessions.create_client = self._double_of(self._create_client)

    def _double_of(self, create_client: Callable[..., Any]) -> Any:
        """Return a ``create_client`` that gives handlers clients of their own."""

        def create(session: Any, *args: Any, **options: Any) -> Any:
            running = _running.get()
            if running is None or running.runtime is not self:
                return create_client(session, *args, **options)
            given = running.environment
            for option, name in (
                ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
                ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
                ("aws_session_token", "AWS_SESSION_TOKEN"),
                ("region_name", "AWS_REGION"),
                ("endpoint_url", "AWS_ENDPOINT_URL"),
            ):
                options[option] = options.get(option) or given.get(name)
            client = create_client(session, *args, **options)
            if self.adopt is not None:
                self.adopt(client)
            return client

        return create

    def runtimes(self) -> Mapping[str, str]:
        """Return the Python runtimes, all run by this interpreter."""
        return dict.fromkeys(RUNTIMES, sys.executable)

    def missing(self, runtime: str) -> str:
        """Return that nothing but Python runs here."""
        return f"{runtime} cannot run in a test process: only Python can."

    def stands_in(self, runtime: str) -> str:
        """Return that nothing stands in for another runtime: this interpreter is all of them."""
        del runtime
        return ""

    def expect(self, runtime: str) -> None:
        """Do nothing: this interpreter is warm."""

    async def start(
        self, spec: SandboxSpec, credentials: Credentials, log: LogSink
    ) -> InlineSandbox:
        """Import a handler."""
        self.started.append(spec)
        sandbox = InlineSandbox(self, spec, log)
        await sandbox.credentials(credentials)
        await in_thread(self.threads, sandbox.load)
        return sandbox

    async def close(self) -> None:
        """Take the doubles back; handlers that still run are left behind."""
        self._sessions.create_client = self._create_client
        self.threads.shutdown(wait=False, cancel_futures=True)


class InlineFunctions(FunctionPlacement):
    """A placement over an inline runtime; see ``inline_functions``."""

    def __init__(self, clock: Clock, ids: Ids, work_dir: Path, endpoint: str) -> None:
        self.inline = InlineRuntime(clock)
        super().__init__(
            self.inline,
            Packages(work_dir, lambda _: None),
            clock=clock,
            ids=ids,
            limits=PlacementLimits(MEMORY_BUDGET_BYTES, together_ms=0),
            variables={"AWS_ENDPOINT_URL": endpoint},
        )
        self._folder: TemporaryDirectory[str] | None = None

    def keep(self, folder: TemporaryDirectory[str]) -> None:
        """Own the temporary folder in which the code lies."""
        self._folder = folder

    async def close(self) -> None:
        """End everything and remove what was unpacked."""
        await super().close()
        await self.inline.close()
        if self._folder is not None:
            self._folder.cleanup()


async def inline_functions(
    clock: Clock, ids: Ids, work_dir: Path | None, endpoint: str = "http://127.0.0.1:4566"
) -> InlineFunctions:
    """Return an open placement that runs functions in this process.

    Args:
        clock: The time.
        ids: Names of log streams.
        work_dir: Where code is unpacked; a temporary folder if None.
        endpoint: What handlers find as ``AWS_ENDPOINT_URL``.
    """
    folder = TemporaryDirectory(prefix="fogbank-code-") if work_dir is None else None
    functions = InlineFunctions(
        clock, ids, Path(folder.name) if folder else work_dir or Path(), endpoint
    )
    if folder is not None:
        functions.keep(folder)
    await functions.open()
    return functions
