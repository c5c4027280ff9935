"""Runs the user's handler as AWS's Python runtime does: frames in, frames and output out.

Rule: names, messages and shapes are those of AWS's own runtime interface client (awslambdaric
4.2), because people match on them. Everything from here on shares the process with user code and
can be forged by it; nothing here decides about limits or identity.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import os
import resource
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, BinaryIO, NamedTuple, NoReturn, cast

from fogbank.engines.sandbox.daemon.steps import Steps
from fogbank.engines.sandbox.inside import frames, keeper, logs, program
from fogbank.engines.sandbox.inside.context import LambdaContext, Malformed, context_of

_FRAMES_FD = 3
_OURS = "fogbank"
_OURS_FOLDER = "/fogbank/engines/sandbox/"
_PRELOADED = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six"}
_KEPT: list[ModuleType] = []
"""Modules taken off the import table; freeing them would only copy pages."""
_INIT_FAILED = 1
_DEBUG_PORT = "_FOGBANK_DEBUG_PORT"
_ASCII_UNTIL = (3, 12)


class Fault(Exception):
    """An error of the runtime's own, with AWS's type and words."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


class _Encoder(json.JSONEncoder):
    """JSON as AWS writes it: Decimals as numbers; ASCII only before Python 3.12."""

    def __init__(self) -> None:
        super().__init__(ensure_ascii=sys.version_info < _ASCII_UNTIL)

    def default(self, o: Any) -> Any:
        """Return a number for a Decimal."""
        if isinstance(o, Decimal):
            whole = o.is_finite() and o == o.to_integral_value() and o.as_tuple().exponent == 0
            return int(o) if whole else float(o)
        return super().default(o)


def error_of(
    message: str, kind: str, trace: list[str] | None, request_id: str = ""
) -> dict[str, Any]:
    """Return an error as Lambda sends it to the caller."""
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": trace or [],
    }


def trace_of(trace: TracebackType | None) -> list[str]:
    """Return the frames below ours, formatted as AWS formats them."""
    found = traceback.extract_tb(trace)
    while found and _OURS_FOLDER in found[0].filename:
        del found[0]
    # AWS: plain tuples, so that no carets are printed below a line.
    return traceback.format_list([(f.filename, f.lineno or 0, f.name, f.line) for f in found])


def error_of_exception(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """Return the error that an exception of the user's code becomes."""
    if isinstance(error, Fault):
        return error_of(str(error), error.kind, error.trace, request_id)
    if isinstance(error, Malformed):
        return error_of(str(error), "Runtime.LambdaContextUnmarshalError", None, request_id)
    return error_of(str(error), type(error).__name__, trace_of(error.__traceback__), request_id)


def find_handler(name: str) -> Any:
    """Import the module of ``package/module.function`` and return the function.

    Raises:
        Fault: The name or the module is at fault, in AWS's words.
    """
    module_name, dot, function = name.rpartition(".")
    if not dot:
        why = "not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': {why}")
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            f"Cannot use built-in module {module_name} as a handler module",
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        ) from None
    except SyntaxError as error:
        where = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            f"Syntax error in module '{module_name}': {error}",
            [where],
        ) from None
    try:
        return getattr(module, function)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module_name}'"
        ) from None


class Place(NamedTuple):
    """Where a function runs."""

    task: str
    """Where its code lies."""
    opt: str
    """Where its layers lie."""
    runtime: str
    """Where preinstalled libraries lie, if not in ``/var/runtime``."""
    tmp: str
    """A folder for its files where ``/tmp`` is not its own; or nothing."""
    report: socket.socket
    """At which a keeper would speak with the platform."""


class Bootstrap:
    """Reads frames and answers them until the other end closes."""

    def __init__(self, place: Place, steps: Steps) -> None:
        self._steps = steps
        # Unbuffered for the first frame: the next may be for a program that takes our place.
        self._in: BinaryIO = io.FileIO(_FRAMES_FD, closefd=False)
        self._task, self._opt, self._tmp = place.task, place.opt, place.tmp
        self._runtime = place.runtime or "/var/runtime"
        self._report = place.report
        self._handler: Any = None
        self._encoder = _Encoder()

    def run(self) -> NoReturn:
        """Take the assignment, import the handler, then serve invocations."""
        assignment = self._read()
        if assignment.kind == frames.EXTEND:
            keeper.keep(assignment.head, self._report)
            assignment = self._read()
        self._report.close()
        with self._steps("import handler"):
            if assignment.kind == frames.EXECUTE:
                self._execute(assignment.head)
            assert assignment.kind == frames.ASSIGN
            self._assign(assignment.head)
            try:
                _listen_for_debugger()
                self._handler = find_handler(os.environ["_HANDLER"])
            except Exception as error:  # noqa: BLE001 (user code may raise anything)
                self._fail_init(error)
        self._in = io.BufferedReader(cast("io.FileIO", self._in))
        self._flush()
        with self._steps("first frame"):
            self._write(frames.INIT, {"maxrss_kb": maxrss_kb()})
        while True:
            frame = self._read()
            if frame.kind == frames.INVOKE:
                self._invoke(frame)
            elif frame.kind == frames.CREDENTIALS:
                os.environ.update(frame.head["environment"])

    def _execute(self, head: dict[str, Any]) -> NoReturn:
        """Give this process to a program; what may follow in the socket is the program's."""
        try:
            head["arguments"] = [w.replace("{runtime}", self._runtime) for w in head["arguments"]]
            program.execute(head, self._task, self._tmp)
        except program.NoEntryError as error:
            result = {"errorType": "Runtime.InvalidEntrypoint", "errorMessage": f"Error: {error}"}
            self._write(frames.INIT, {"maxrss_kb": maxrss_kb(), "error": result})
            os._exit(_INIT_FAILED)

    def _assign(self, head: dict[str, Any]) -> None:
        """Take on the function's environment, paths and logging."""
        if not head["executed"]:
            os.environ.clear()
            os.environ.update(head["environment"])
        if self._tmp:
            os.environ["TMPDIR"] = self._tmp  # no mount can put it where AWS has it
        time.tzset()
        os.umask(0o022)
        os.chdir(self._task)
        self._set_path()
        _forget_shipped((self._task, f"{self._opt}/python"))
        logs.install()

    def _set_path(self) -> None:
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        standard = [p for p in sys.path if _OURS not in p and p != self._runtime]
        layers = [f"{self._opt}/python/lib/{version}/site-packages", f"{self._opt}/python"]
        sys.path[:] = [self._task, *layers, self._runtime, *standard]
        sys.argv[:] = [""]

    def _fail_init(self, error: Exception) -> NoReturn:
        result = error_of_exception(error)
        logging.getLogger().warning(logs.UNHANDLED_WARNING)
        logs.write_error(result)
        self._flush()
        self._write(frames.INIT, {"maxrss_kb": maxrss_kb(), "error": result})
        os._exit(_INIT_FAILED)

    def _invoke(self, frame: frames.Frame) -> None:
        head = frame.head
        request_id: str = head["request_id"]
        logs.begin(request_id)
        if head.get("trace_id"):
            os.environ["_X_AMZN_TRACE_ID"] = head["trace_id"]
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            body = self._answer(frame.body, context_of(head))
            kind = frames.RESULT
        except Exception as error:  # noqa: BLE001 (user code may raise anything)
            result = error_of_exception(error, request_id)
            logs.write_error(result)
            body, kind = json.dumps(result).encode(), frames.ERROR
        self._flush()
        self._write(kind, {"maxrss_kb": maxrss_kb(), "request_id": request_id}, body)

    def _answer(self, payload: bytes, context: LambdaContext) -> bytes:
        """Return the handler's answer as JSON.

        Raises:
            Fault: The payload or the answer cannot be turned from or into JSON.
        """
        try:
            event = json.loads(payload)
        except ValueError as error:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
        response = self._handler(event, context)
        if isinstance(response, bytes):
            body = response
        else:
            try:
                body = self._encoder.encode(response).encode(errors="surrogatepass")
            except Exception as error:  # noqa: BLE001 (default() of user types may raise anything)
                why = f"Unable to marshal response: {error}"
                raise Fault("Runtime.MarshalError", why) from None
        if len(body) > frames.RESPONSE_BYTES_MAX:
            raise Fault(
                "Function.ResponseSizeTooLarge",
                "Response payload size exceeded maximum allowed payload size "
                f"({frames.RESPONSE_BYTES_MAX} bytes).",
            )
        return body

    def _flush(self) -> None:
        """Push out what was printed, so that it arrives before the frame that follows."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the user may have replaced or closed it
                stream.flush()

    def _read(self) -> frames.Frame:
        kind, head_bytes, body_bytes = frames.lengths(self._exactly(frames.PREFIX.size))
        head = frames.head_of(self._exactly(head_bytes))
        return frames.Frame(kind, head, self._exactly(body_bytes))

    def _exactly(self, count: int) -> bytes:
        raw = self._in.read(count)
        while len(raw) < count:
            more = self._in.read(count - len(raw))
            if not more:
                os._exit(0)  # the client is gone, and this sandbox with it
            raw += more
        return raw

    def _write(self, kind: int, head: dict[str, Any], body: bytes = b"") -> None:
        left = memoryview(frames.encode(kind, head, body))
        while left:
            left = left[os.write(_FRAMES_FD, left) :]


def _listen_for_debugger() -> None:
    """Have debugpy listen, where the function is to be debugged and has it among its packages."""
    port = os.environ.get(_DEBUG_PORT, "")
    if not port:
        return
    try:
        debugpy: Any = importlib.import_module("debugpy")
    except ImportError:
        logging.getLogger().warning("no debugger: the package has no debugpy")
        return
    debugpy.listen(("127.0.0.1", int(port)))


def maxrss_kb() -> int:
    """Return the largest amount of memory this process, or a child that ended, ever held."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def rehearse() -> None:
    """Do once, before a function is known, what every invocation does.

    The pages that are written to on the way are this process's own from then on, and need not be
    copied while a caller waits. Nothing of it is seen by user code.
    """
    forget(_OURS)
    body = _Encoder().encode(json.loads(b'{"a": [1.5, null, true, "b"]}')).encode()
    head = {"request_id": "", "deadline_ms": 0}
    frames.head_of(frames.encode(frames.INVOKE, head, body)[frames.PREFIX.size : -len(body)])
    context_of(head).get_remaining_time_in_millis()
    os.environ.update({"_REHEARSAL": ""})
    os.environ.clear()
    time.tzset()
    with contextlib.suppress(ImportError):
        importlib.import_module("_rehearsal_of_an_import")
    maxrss_kb()


def _forget_shipped(folders: Sequence[str]) -> None:
    """Take preloaded libraries that the user ships too off the import table."""
    for folder in folders:
        with contextlib.suppress(OSError):
            shipped = (path.name.removesuffix(".py") for path in Path(folder).iterdir())
            if not _PRELOADED.isdisjoint(shipped):
                for name in _PRELOADED:
                    forget(name)


def forget(prefix: str) -> None:
    """Take a package off the import table; its modules go on working for whoever has them."""
    names = [n for n in sys.modules if n == prefix or n.startswith(f"{prefix}.")]
    _KEPT.extend(sys.modules.pop(name) for name in names)


def run(place: Place, steps: Steps) -> NoReturn:
    """Run a function in this process, for as long as the client wants it.

    A ``SystemExit`` of the user's code, or any other error past ``Exception``, ends the process
    as it would end AWS's.
    """
    sys.stdout = os.fdopen(
        1, "w", encoding="utf-8", errors="surrogateescape", closefd=False, buffering=1
    )
    sys.stderr = os.fdopen(
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
    )
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
    Bootstrap(place, steps).run()
