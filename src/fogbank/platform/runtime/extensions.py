"""The extensions of one environment: who is registered, what each has been told, whether all are done.

External extensions are processes that are started before the runtime; internal ones are threads of
the runtime, which register while it starts. Rule: pure but for the futures that it settles; what is
out of order or of another environment is refused in AWS's words and changes nothing. An environment
is ready when its runtime and each of its extensions have asked for what comes next.

Source: Lambda Developer Guide, "Using the Lambda Extensions API to create extensions"; names of states,
refusals and their order are those of AWS's runtime interface emulator (``rapi/handler/agent*.go``,
``core/registrations.go``, ``core/externalagent_states.go``, ``rapid/handlers.go``).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from fogbank.platform.runtime.dialogue import Event, RefusedError
from fogbank.platform.runtime.port import ExtensionReport

EXTENSIONS_MAX: Final = 10
"""AWS: external and internal ones together (``core.MaxAgentsAllowed``)."""
NAME_CHARACTERS_MAX: Final = 128
INVOKE: Final = "INVOKE"
SHUTDOWN: Final = "SHUTDOWN"
CRASH: Final = "Extension.Crash"
INIT_ERROR: Final = "Extension.InitError"
EXIT_ERROR: Final = "Extension.ExitError"
LAUNCH_ERROR: Final = "Extension.LaunchError"
_UUID_CHARACTERS: Final = 36
_NOT_ALLOWED: Final = "State transition is not allowed"


class Stage(enum.Enum):
    """Where an extension is; the values are AWS's names."""

    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"
    LAUNCH_ERROR = "LaunchError"
    EXITED = "Exited"


_ASKING: Final = frozenset((Stage.REGISTERED, Stage.RUNNING))
_FAILING: Final = {
    Stage.INIT_ERROR: frozenset((Stage.REGISTERED, Stage.INIT_ERROR)),
    Stage.EXIT_ERROR: frozenset((Stage.REGISTERED, Stage.READY, Stage.RUNNING, Stage.EXIT_ERROR)),
}
"""From where an extension may tell that it has failed."""


class Extension:
    """One extension."""

    __slots__ = ("dismissed", "error_type", "events", "external", "identifier", "name", "stage")

    def __init__(self, name: str, identifier: str, *, external: bool) -> None:
        self.name = name
        self.identifier = identifier
        self.external = external
        self.events: tuple[str, ...] = ()
        self.stage = Stage.STARTED
        self.error_type = ""
        self.dismissed = False
        """Whether it was told that the environment ends."""

    def report(self) -> ExtensionReport:
        """Return what the log says of it."""
        return ExtensionReport(self.name, self.stage.value, self.events, self.error_type)


Delivery = Callable[[Extension, Mapping[str, object]], None]
"""Given an extension that waits, and the event that it is told."""
Loss = Callable[[str, str], None]
"""Given the type of the error that ends an environment, and its words."""


class Extensions:
    """All extensions of one environment.

    Args:
        identify: Returns a new identifier (a UUID).
        deliver: Tells an extension that waits an event.
        lost: Called once where an extension's end or failure ends the environment.
    """

    def __init__(self, identify: Callable[[], str], deliver: Delivery, lost: Loss) -> None:
        self._identify = identify
        self._deliver = deliver
        self._lost = lost
        self._by_name: dict[str, Extension] = {}
        self._open = True
        """Whether one may still register."""
        self._launching = False
        """Whether processes are still to be started."""
        self._announced: list[str] = []
        """The external ones, in the order in which they are executed."""
        self._fatal = ""
        """The type of the first error that an extension told."""
        self._over = False
        """Whether the environment ends: then an extension that does is not missed."""
        self._settled: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._gone = False
        self._shutdown: Mapping[str, object] | None = None

    @property
    def any(self) -> bool:
        """Return whether there are any."""
        return bool(self._by_name)

    @property
    def any_external(self) -> bool:
        """Return whether there is one in a process of its own."""
        return any(each.external for each in self._by_name.values())

    def reports(self) -> tuple[ExtensionReport, ...]:
        """Return what the log says of all of them."""
        return tuple(each.report() for each in self._by_name.values())

    # -- the platform's side -----------------------------------------------------------------

    def launching(self) -> None:
        """Note that the platform starts external extensions."""
        self._launching = True

    def announced(self, names: Iterable[str]) -> None:
        """Note the external extensions that are about to be executed, in this order."""
        self._announced = list(names)
        self._know(self._announced)

    def _know(self, names: Iterable[str]) -> None:
        for name in names:
            self._by_name.setdefault(name, Extension(name, self._identify(), external=True))

    def launched(self, names: Iterable[str]) -> None:
        """Note the external extensions whose processes run."""
        self._know(names)
        self._launching = False
        self._wake()
        if len(self._by_name) > EXTENSIONS_MAX:
            self._lose(LAUNCH_ERROR, "ErrTooManyExtensions")

    def launch_failed(self, name: str, words: str) -> None:
        """Note that an external extension could not be executed."""
        failed = Extension(name, self._identify(), external=True)
        failed.stage, failed.error_type = Stage.LAUNCH_ERROR, LAUNCH_ERROR
        self._by_name[name] = failed
        if name in self._announced:  # those behind it are not executed
            for never in self._announced[self._announced.index(name) + 1 :]:
                self._by_name.pop(never, None)
        self._lose(LAUNCH_ERROR, words)

    async def registered(self) -> None:
        """Wait until each external extension has registered, before the runtime starts."""
        await self._until(
            lambda: (
                not self._launching
                and all(e.stage is not Stage.STARTED for e in self._by_name.values())
            )
        )

    def close_registration(self) -> None:
        """Let none register any more: the runtime has started."""
        self._open = False

    async def ready(self) -> None:
        """Wait until each extension has asked for what comes next."""
        await self._until(lambda: all(e.stage is Stage.READY for e in self._by_name.values()))

    async def _until(self, settled: Callable[[], bool]) -> None:
        while not settled():
            if self._error is not None:
                raise self._error
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    def _wake(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def begin(self, event: Event) -> None:
        """Tell those that want to know of an invocation."""
        context = event.context
        told: dict[str, object] = {
            "eventType": INVOKE,
            "deadlineMs": event.deadline_ms,
            "requestId": event.request_id,
            "invokedFunctionArn": context.get("invoked_function_arn", ""),
        }
        if context.get("trace_id"):
            told["tracing"] = {"type": "X-Amzn-Trace-Id", "value": context["trace_id"]}
        self._tell(INVOKE, told)

    def leaving(self) -> None:
        """Note that the environment ends: from now on an extension that does is not missed."""
        self._over = True

    def shut_down(self, reason: str, deadline_ms: int) -> bool:
        """Tell those that want to know that the environment ends; return whether any does.

        Args:
            reason: ``spindown``, ``timeout`` or ``failure``.
            deadline_ms: When what is left is killed.
        """
        self.leaving()
        told = {"eventType": SHUTDOWN, "shutdownReason": reason, "deadlineMs": deadline_ms}
        self._shutdown = told
        self._tell(SHUTDOWN, told)
        return any(self._is_leaving(each) for each in self._by_name.values())

    @staticmethod
    def _is_leaving(each: Extension) -> bool:
        """Return whether an extension has still to do with the end.

        One that asks for another event after it has nothing to do any more (AWS's library for Rust
        asks for ever).
        """
        wants = each.external and SHUTDOWN in each.events
        done = each.dismissed and each.stage is Stage.READY
        return wants and not done and each.stage is not Stage.EXITED

    def _tell(self, kind: str, told: Mapping[str, object]) -> None:
        for each in self._by_name.values():
            if kind in each.events and each.stage is Stage.READY and not each.dismissed:
                each.stage = Stage.RUNNING
                each.dismissed = kind == SHUTDOWN
                self._deliver(each, told)

    def exited(self, name: str, words: str) -> None:
        """Note that the process of an external extension has ended."""
        found = self._by_name.get(name)
        if found is None:
            return
        found.stage = Stage.EXITED
        if not self._over:
            found.error_type = self._fatal or CRASH
            self._lose(found.error_type, words)
        self._wake()

    async def gone(self) -> None:
        """Wait until those that were told of the shutdown have ended."""
        while any(self._is_leaving(each) for each in self._by_name.values()):
            if self._gone:
                return
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    def _lose(self, kind: str, words: str) -> None:
        if not self._over:
            self._over = True
            self._lost(kind, words)

    def fall(self, error: BaseException) -> None:
        """Tell whoever waits that the environment serves no more."""
        self._over = True
        self._error = self._error or error
        self._wake()

    def end(self, error: BaseException) -> None:
        """Tell whoever waits that the environment is gone."""
        self._gone = True
        self.fall(error)

    # -- the extensions' side ----------------------------------------------------------------

    def register(self, name: str, events: Iterable[str]) -> Extension:
        """Take a registration: of an external extension, or a new internal one.

        Raises:
            RefusedError: The name or an event is none, or it is too late, or one too many.
        """
        if not name or len(name) > NAME_CHARACTERS_MAX:
            raise _refused("InvalidExtensionName", "Empty extension name")
        found = self._by_name.get(name)
        wanted = tuple(dict.fromkeys(events))
        for event in wanted:
            _check_event(event, external=found is not None and found.external)
        if found is not None and not found.external:
            raise _refused("InvalidExtensionState", "Extension with this name already registered")
        if found is None:
            found = self._internal(name)
        elif found.stage is not Stage.STARTED:
            raise _out_of_order(found, Stage.REGISTERED, name)
        found.events = wanted
        found.stage = Stage.REGISTERED
        self._wake()
        return found

    def _internal(self, name: str) -> Extension:
        if not self._open:
            raise _refused("RegistrationClosed", "Extension registration closed already")
        if len(self._by_name) >= EXTENSIONS_MAX:
            raise _refused("TooManyExtensions", f"Extension limit ({EXTENSIONS_MAX}) reached")
        made = Extension(name, self._identify(), external=False)
        self._by_name[name] = made
        return made

    def known(self, identifier: str) -> Extension:
        """Return the extension that an identifier stands for.

        Raises:
            RefusedError: There is none, or it is of none in this environment.
        """
        if not identifier:
            words = "Missing Lambda-Extension-Identifier header"
            raise _refused("MissingExtensionIdentifier", words)
        lower = identifier.lower()
        if len(lower) != _UUID_CHARACTERS or set(lower) - set("0123456789abcdef-"):
            raise _refused("InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
        for each in self._by_name.values():
            if each.identifier == lower:
                return each
        raise _refused("UnknownExtensionIdentifier", f"Unknown extension {lower}")

    def ask(self, extension: Extension) -> None:
        """Note that an extension is done, and waits for the next event.

        Raises:
            RefusedError: It waits already, or has failed.
        """
        if extension.stage not in _ASKING:
            raise _out_of_order(extension, Stage.READY)
        extension.stage = Stage.READY
        self._wake()
        if self._shutdown is not None:  # it asked only when the end had begun
            self._tell(SHUTDOWN, self._shutdown)

    def fail(self, extension: Extension, stage: Stage, kind: str) -> None:
        """Take the error that an extension tells of its start or its end; it will exit.

        Raises:
            RefusedError: It has not said which, or is not where it may say so.
        """
        if not kind:
            raise _refused("MissingHeader", "Lambda-Extension-Function-Error-Type not found")
        if extension.stage not in _FAILING[stage]:
            # AWS: the emulator names "Exited" as what an exit error wanted to reach.
            raise _out_of_order(extension, Stage.EXITED if stage is Stage.EXIT_ERROR else stage)
        extension.stage, extension.error_type = stage, kind
        told = INIT_ERROR if stage is Stage.INIT_ERROR else EXIT_ERROR
        self._fatal = self._fatal or told
        if not extension.external:  # no process of its own ends with it
            self._lose(self._fatal, kind)
        self._wake()


def _check_event(event: str, *, external: bool) -> None:
    """Refuse an event that an extension cannot have; raises ``RefusedError``."""
    if event == INVOKE or (event == SHUTDOWN and external):
        return
    why = "ShutdownEventNotSupportedForInternalExtension"
    if event != SHUTDOWN:
        why = "ErrorInvalidEventType"
    raise _refused("InvalidEventType", f"{event[:NAME_CHARACTERS_MAX]}: {why}")


def _refused(kind: str, words: str) -> RefusedError:
    return RefusedError(403, f"Extension.{kind}", words)


def _out_of_order(extension: Extension, wanted: Stage, shown: str = "") -> RefusedError:
    return _refused(
        "InvalidExtensionState",
        f"State transition from {extension.stage.value} to {wanted.value} failed for extension "
        f"{shown or extension.identifier}. Error: {_NOT_ALLOWED}",
    )
