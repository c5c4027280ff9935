"""Serves what sandboxes find on their loopback: the cloud's endpoint and the Runtime API.

Rule: each listener is served in a task of its own for as long as its sandbox lives; an error there
is reported and ends nothing else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable

from fogbank.engines.sandbox import debugging
from fogbank.engines.sandbox.daemon import messages
from fogbank.engines.sandbox.environment import Environment
from fogbank.platform.runtime.port import Connect


class Serving:
    """The listeners inside of all sandboxes."""

    def __init__(self, tasks: asyncio.TaskGroup, serve: Connect | None) -> None:
        """Take the group that owns the tasks, and what serves the endpoint."""
        self._tasks = tasks
        self._serve = serve
        self._closed = False

    def close(self) -> None:
        """Serve no new listener."""
        self._closed = True

    def listen(self, environment: Environment, fds: list[int]) -> None:
        """Serve the listeners that a sandbox handed out: endpoint and, maybe, Runtime API."""
        endpoint, *others = fds
        for fd in others:
            self.api(environment, socket.socket(fileno=fd))
        if environment.spec.debug_port and not self._closed and not environment.ended.done():
            self._begin(environment, debugging.serve(environment))
        owned = [endpoint]
        if self._serve is None or self._closed or environment.ended.done():
            messages.close_all(owned)
            return
        arn = environment.spec.function_arn
        task = self._begin(environment, _endpoint(self._serve, owned, arn))
        task.add_done_callback(lambda _: messages.close_all(owned))  # cancelled before it began

    def api(self, environment: Environment, listener: socket.socket) -> None:
        """Serve the Runtime API to a sandbox, from its first connection on."""
        if self._closed or environment.ended.done():
            listener.close()
            return
        loop = asyncio.get_running_loop()

        def begin() -> None:
            loop.remove_reader(listener)
            environment.ended.remove_done_callback(end)
            task = self._begin(environment, environment.api.serve(listener))
            task.add_done_callback(lambda _: listener.close())  # cancelled before it began

        def end(_: object) -> None:
            loop.remove_reader(listener)
            listener.close()

        # Most environments whose runtime speaks frames never have anybody connect.
        loop.add_reader(listener, begin)
        environment.ended.add_done_callback(end)

    def _begin(self, environment: Environment, work: Awaitable[None]) -> asyncio.Task[None]:
        task = self._tasks.create_task(_reported(work))
        environment.ended.add_done_callback(lambda _: task.cancel())
        return task


async def _endpoint(serve: Connect, owned: list[int], function_arn: str) -> None:
    await serve(owned.pop(), function_arn)


async def _reported(work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 (reported; the other sandboxes go on)
        asyncio.get_running_loop().call_exception_handler(
            {"message": "serving a sandbox's loopback failed", "exception": error}
        )
