"""Faults on order: the next calls of an operation are throttled, fail, are slow, lose their reply.

Rule: a fault takes the place of the operation and of nothing else. The call has been signed,
decoded and authorised before, and is recorded after, so that what a client sees is what a cloud in
trouble says: code, status and protocol are the service's own. Time that a fault takes is virtual.
"""

from __future__ import annotations

import asyncio
import copy
import functools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from fogbank.base.errors import Throttled
from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import Function, Operation
from fogbank.contract.service import Service
from fogbank.gateway.render import error_of
from fogbank.testing.clock import VirtualClock
from fogbank.wire.model import load

STEPS_MAX: Final = 20_000
"""How many sleepers may wake while one slow call lasts."""

Reply = Mapping[str, Any]
Run = Callable[[], Awaitable[Reply]]
Fault = Callable[[Run], Awaitable[Reply]]


class Trip:
    """What became of one request on its way to the cloud and back."""

    __slots__ = ("delay_ms", "lost")

    def __init__(self) -> None:
        self.delay_ms = 0
        """How long faults made it last, in virtual milliseconds."""
        self.lost = False
        """Whether the operation ran and its reply is lost."""


TRIP: Final[ContextVar[Trip | None]] = ContextVar("trip", default=None)
"""The request that the current task answers."""


class Faults:
    """The faults of one cloud: ``cloud.faults``.

    Operations are named as in the API (``PutItem``) or as in boto3 (``put_item``). Faults of one
    operation happen in the order in which they were asked for, one for each attempt of a client:
    a retry is another call.

    Args:
        clock: The time that slow calls take.
        services: What may fail.
    """

    def __init__(self, clock: VirtualClock, services: Sequence[Service]) -> None:
        self._clock = clock
        self._functions: Mapping[str, Mapping[str, Operation]] = {
            each.model: each.functions for each in services
        }
        self._waiting: dict[tuple[str, str], deque[Fault]] = {}
        self.services = [self._over(each) for each in services]
        """The services, with room for faults: what the cloud is to be made of."""

    # Asking for faults.

    def throttle(self, service: str, operation: str, *, times: int = 1) -> None:
        """Refuse the next calls as the service does when it is asked too much."""

        async def refuse(_run: Run) -> Reply:
            raise Throttled("a fault that a test asked for")

        self._plant(service, operation, refuse, times)

    def fail(
        self,
        service: str,
        operation: str,
        *,
        code: str,
        status: int | None = None,
        message: str = "",
        times: int = 1,
    ) -> None:
        """Answer the next calls with an error; the operation does not run.

        Args:
            service: The name that boto3 has for the service.
            operation: The operation.
            code: The wire code of the error (``InternalServerError``).
            status: The HTTP status; that of the service's model, or 400, unless given.
            message: What it says.
            times: How many calls.
        """
        modelled = load(service).errors.get(code)
        if status is None:
            status = 400 if modelled is None else modelled.status

        async def refuse(_run: Run) -> Reply:
            raise error_of(code, status, message)

        self._plant(service, operation, refuse, times)

    def slow(self, service: str, operation: str, *, ms: int, times: int = 1) -> None:
        """Let the next calls take virtual time before the operation runs.

        A client whose read timeout is over by then sees a timeout, although the operation ran.
        """

        async def wait(run: Run) -> Reply:
            await self._pass(ms)
            trip = TRIP.get()
            if trip is not None:
                trip.delay_ms += ms
            return await run()

        self._plant(service, operation, wait, times)

    def lose_reply(self, service: str, operation: str, *, times: int = 1) -> None:
        """Run the next calls and break the connection before the client has the reply."""

        async def lose(run: Run) -> Reply:
            answer = await run()
            trip = TRIP.get()
            if trip is not None:
                trip.lost = True
            return answer

        self._plant(service, operation, lose, times)

    def clear(self) -> None:
        """Forget the faults that have not happened."""
        self._waiting.clear()

    @property
    def waiting(self) -> Mapping[str, int]:
        """Return how many faults have not happened yet, by ``service:function``."""
        return {
            f"{service}:{function}": len(faults)
            for (service, function), faults in self._waiting.items()
            if faults
        }

    # Letting them happen.

    def _plant(self, service: str, operation: str, fault: Fault, times: int) -> None:
        assert times > 0, "a fault happens at least once"
        if service not in self._functions:
            raise ValueError(f"this cloud has no service {service}")
        model = load(service)
        known = model.operations.get(operation)
        function = operation if known is None else known.function
        if function not in self._functions[service]:
            raise ValueError(f"{service} has no operation {operation}, or it is not built")
        self._waiting.setdefault((service, function), deque()).extend([fault] * times)

    def _over(self, service: Service) -> Service:
        """Return a service whose operations look for faults first."""
        double = copy.copy(service)
        double.functions = {
            name: declared._replace(function=self._watched((service.model, name), declared))
            for name, declared in service.functions.items()
        }
        return double

    def _watched(self, key: tuple[str, str], declared: Operation) -> Function:
        function = declared.function

        @functools.wraps(function)
        async def watched(call: Call, request: Wire) -> Reply:
            faults = self._waiting.get(key)
            if not faults:
                return await function(call, request)
            return await faults.popleft()(lambda: function(call, request))

        return watched

    async def _pass(self, milliseconds: int) -> None:
        """Let virtual time go by, waking who sleeps until then."""
        until_ms = self._clock.now_ms() + milliseconds
        for _ in range(STEPS_MAX):
            if self._clock.now_ms() >= until_ms:
                return
            self._clock.advance_to(until_ms)
            await asyncio.sleep(0)
        raise TimeoutError("too many wake-ups in one slow call")
