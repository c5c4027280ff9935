"""The extensions of one sandbox, seen from the store process: their start, their end, their shutdown.

Rule: ``platform/runtime/extensions.py`` keeps the order; here are the processes. What the keeper says
comes out of a sandbox and is checked; nonsense ends the sandbox. Of a sandbox without external
extensions this only knows who registered from within the runtime, and there is no keeper.

Source: Lambda Developer Guide, "Lambda execution environment lifecycle" (phases, durations of the
shutdown); order and shares are those of AWS's runtime interface emulator (``rapid/shutdown.go``).
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from fogbank.base.clock import Clock
from fogbank.base.ids import Ids
from fogbank.engines.sandbox import outcomes
from fogbank.engines.sandbox.birth import Birth
from fogbank.engines.sandbox.courier import Courier
from fogbank.engines.sandbox.daemon import messages
from fogbank.engines.sandbox.extensions_api import ExtensionsApi
from fogbank.engines.sandbox.output import Output
from fogbank.platform.metering.system_log import moment_of
from fogbank.platform.runtime import telemetry
from fogbank.platform.runtime.extensions import Extensions, Loss
from fogbank.platform.runtime.port import LogSink, SandboxSpec, Tell
from fogbank.platform.runtime.telemetry import Relay

SHUTDOWN_MS: Final = 2_000
"""AWS: the shutdown with external extensions; without any there is none."""
_RUNTIME_SHARE: Final = 0.3
"""AWS's emulator: of the shutdown, before the runtime is killed."""
_WORDS_MAX: Final = 1_000
_NAMES_MAX: Final = 16
_SIGNALS: Final = range(65)


class Ended(NamedTuple):
    """How a process in a sandbox ended."""

    cause: str
    """``exited`` or ``signalled``."""
    status: int

    @property
    def words(self) -> str:
        """Return how AWS says that an extension ended."""
        if self.cause == "exited":
            return f"exit status {self.status}" if self.status else "exit code 0"
        return outcomes.exit_words(self.cause, self.status).removeprefix(
            "Runtime exited with error: "
        )

    @property
    def was_killed(self) -> bool:
        """Return whether something killed it: where memory is limited, maybe for want of it."""
        return self == Ended("signalled", signal.SIGKILL)


class Hooks(NamedTuple):
    """Whom to tell."""

    runtime_ended: Callable[[Ended], None]
    extension_lost: Loss
    nonsense: Callable[[], None]


class Keeping:
    """What keeps the processes of one sandbox."""

    def __init__(
        self, spec: SandboxSpec, log: LogSink, birth: Birth, hooks: Hooks, clock: Clock, ids: Ids
    ) -> None:
        """Take whose it is, its log, the socket to the keeper, and whom to tell."""
        self.served = ExtensionsApi(spec, ids.uuid)
        """What answers extensions."""
        self.extensions = Extensions(ids.uuid, self.served.deliver, hooks.extension_lost)
        self.served.extensions = self.extensions
        self._courier = Courier(lambda number, port: birth.send({"dial": [number, port]}))
        self.connect = self._courier.connect
        """Returns a connection to whoever listens inside, where there is a keeper."""
        if spec.extensions_dir:
            self.served.relay = Relay(
                lambda: moment_of(clock.now_ms()),
                self._courier.send,
                json_lines=spec.environment.get("AWS_LAMBDA_LOG_FORMAT") == "JSON",
            )
        self.output = Output(log, self.printed(telemetry.EXTENSION))
        self._clock = clock
        self._birth = birth
        self._hooks = hooks
        self._runtime_over = asyncio.get_running_loop().create_future()
        self.active = False
        """Whether there is a keeper."""
        self.killed = False
        """Whether something killed an extension; what, shows when the sandbox has ended."""
        self.reason = "spindown"
        """Why the environment ends."""

    def printed(self, category: str) -> Callable[[bytes], None] | None:
        """Return what takes the output of a category; None: nobody can subscribe to it."""
        relay = self.served.relay
        return None if relay is None else lambda piece: relay.printed(category, piece)

    @property
    def tell(self) -> Tell | None:
        """Return what takes events of the platform for extensions; None: none could hear of them."""
        relay = self.served.relay
        return None if relay is None else relay.platform

    def started(self) -> None:
        """Let nobody register any more."""
        self.extensions.close_registration()

    def ready(self) -> None:
        """Let nobody subscribe any more: extensions do, up to their first ``next``."""
        if self.served.relay is not None:
            self.served.relay.close()

    def extend(self) -> None:
        """Have the first process of the sandbox keep the others; it waits for this."""
        self.active = True
        self.extensions.launching()
        descriptor = self.output.open()
        try:
            self._birth.send({}, [descriptor])
        finally:
            messages.close_all([descriptor])
        self.output.watch()

    def heard(self, raw: bytes, fds: list[int]) -> None:
        """Take what the keeper says."""
        try:
            said: Any = json.loads(raw)
            if not (self.active and isinstance(said, dict)):
                raise ValueError("nobody was asked")  # noqa: TRY301 (one error for nonsense)
            told = cast("dict[str, Any]", said)
            if "dialled" in told:
                fds = self._courier.dialled(int(told["dialled"]), fds, str(told["why"]))
            else:
                self._take(told)
        except (ValueError, TypeError, KeyError, RecursionError, OSError):
            self._hooks.nonsense()
        finally:
            messages.close_all(fds)

    def _take(self, said: dict[str, Any]) -> None:
        """Do what a packet asks; raises ``ValueError`` or what else nonsense leads to."""
        if "launching" in said:
            names = [str(name)[:_WORDS_MAX] for name in said["launching"][:_NAMES_MAX]]
            self.extensions.announced(names)
        elif "launched" in said:
            names = [str(name)[:_WORDS_MAX] for name in said["launched"][:_NAMES_MAX]]
            self.extensions.launched(names)
        elif "failed" in said:
            name, words = said["failed"]
            self.extensions.launch_failed(str(name)[:_WORDS_MAX], str(words)[:_WORDS_MAX])
        else:
            name, code = said["exited"]
            self._on_exit(str(name), int(code))

    def _on_exit(self, name: str, code: int) -> None:
        if abs(code) not in _SIGNALS and not 0 <= code < 256:  # noqa: PLR2004 (what a status holds)
            raise ValueError("no status")
        ended = Ended("exited" if code >= 0 else "signalled", abs(code))
        self.output.read()
        if not name:
            if not self._runtime_over.done():
                self._runtime_over.set_result(None)
            self._hooks.runtime_ended(ended)
            return
        self.killed = self.killed or ended.was_killed
        self.extensions.exited(name, ended.words)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a process a signal; the runtime's name is empty."""
        self._birth.send({"signal": [name, int(number)]})

    async def shut_down(self) -> None:
        """Let the runtime end, then the extensions; returns at the deadline at the latest."""
        deadline_ms = self._clock.now_ms() + SHUTDOWN_MS
        self.extensions.leaving()
        self.signal("", signal.SIGTERM)
        share_s = SHUTDOWN_MS / 1000 * _RUNTIME_SHARE
        await asyncio.wait([self._runtime_over], timeout=share_s)
        self.signal("", signal.SIGKILL)
        if self.served.relay is not None:
            await self.served.relay.flush()
        if self.extensions.shut_down(self.reason, deadline_ms):
            left_s = max(0.0, (deadline_ms - self._clock.now_ms()) / 1000)
            try:
                async with asyncio.timeout(left_s):
                    await self.extensions.gone()
            except TimeoutError:
                return

    def end(self, error: BaseException) -> None:
        """Note that the sandbox is gone."""
        self.output.read()
        self.output.close()
        self._courier.close()
        if not self._runtime_over.done():
            self._runtime_over.set_result(None)
        self.extensions.end(error)
