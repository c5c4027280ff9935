"""The way of a debugger into a sandbox: a port of the machine's loopback, for exactly one environment.

Rule: whoever may connect to the machine's loopback may do with the function what a debugger can; so it is
there only where the operator and the function want it. The keeper connects inside, with the rights of
the sandbox. A bounded number of connections; each holds a piece at a time, either way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from fogbank.engines.sandbox.environment import Environment

CONNECTIONS_MAX: Final = 8
"""Node.js has several: its protocol begins with questions over HTTP."""
RETRY_MS: Final = 200
"""An environment that ends gives its port to the next one."""
_PIECE_BYTES: Final = 64 << 10
log = logging.getLogger("fogbank.functions")


async def serve(environment: Environment) -> None:
    """Serve the port of an environment until cancelled, once it is free."""
    port, clock = environment.spec.debug_port, environment.clock
    passage = _Passage(environment)
    is_told = False
    while True:
        try:
            server = await asyncio.start_server(passage.visited, "127.0.0.1", port)
        except OSError as error:
            if not is_told:
                name = environment.spec.function_name
                log.warning("the debugger of %s waits for port %d: %s", name, port, error.strerror)
            is_told = True
            await clock.sleep_until(clock.now_ms() + RETRY_MS)
            continue
        async with server:
            await server.serve_forever()


class _Passage:
    """The connections to one environment."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._count = 0

    async def visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bring what a visitor says inside, and what is answered out."""
        self._count += 1
        try:
            if self._count <= CONNECTIONS_MAX:
                # Nobody listens inside, or the sandbox is gone: the visitor is hung up on.
                with contextlib.suppress(OSError):
                    await self._passed(reader, writer)
        finally:
            self._count -= 1
            writer.transport.abort()

    async def _passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, inward = await self._environment.connect(self._environment.spec.debug_port)
        try:
            # Whichever end hangs up, both do.
            async with asyncio.TaskGroup() as group:
                ways = [
                    group.create_task(_pumped(reader, inward)),
                    group.create_task(_pumped(inner, writer)),
                ]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        finally:
            inward.transport.abort()


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass everything on until one end hangs up."""
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
