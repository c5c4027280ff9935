"""A debugger reaches the one sandbox that it is for, by a port of the machine's loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engines.sandbox.conftest import LEVELS, Lab, lab_at
from tests.engines.sandbox.test_node import start

pytestmark = pytest.mark.slow

CODE = "exports.handler = async (event) => event"
ECHO = """
import os, socket, threading

def serve():
    listener = socket.create_server(("127.0.0.1", int(os.environ["_FOGBANK_DEBUG_PORT"])))
    while True:
        connection, _ = listener.accept()
        connection.sendall(connection.recv(1000).upper())
        connection.close()

threading.Thread(target=serve, daemon=True).start()

def handler(event, context):
    return event
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = lab_at(LEVELS[0], slim=True)
    yield made
    made.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


async def asked(port: int, said: bytes, until: bytes = b"") -> bytes:
    """Return what is answered at a port of the machine; nothing if whoever is there hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    try:
        return await asyncio.wait_for(reader.readuntil(until) if until else reader.read(9), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_the_inspector_of_node_is_reached_from_the_machine(lab: Lab) -> None:
    port = free_port()
    sandbox = start(lab, CODE, debug_port=port)
    assert sandbox.init.error is None, lab.logs
    request = f"GET /json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    reply = lab.run(asked(port, request.encode(), b"]"))
    (target,) = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert target["webSocketDebuggerUrl"].startswith(f"ws://127.0.0.1:{port}/")
    assert json.loads(lab.invoke(sandbox, {"a": 1}).payload) == {"a": 1}
    lab.end(sandbox)
    with pytest.raises(ConnectionRefusedError):
        lab.run(asked(port, b"x"))


def test_a_function_that_is_debugged_is_never_frozen_and_gives_its_port_to_the_next(
    lab: Lab,
) -> None:
    port = free_port()
    variables = {"_FOGBANK_DEBUG_PORT": str(port)}
    given: dict[str, Any] = {"debug_port": port, "environment": variables}
    first = lab.start({"app.py": ECHO}, **given)
    assert first.init.error is None, lab.logs
    lab.invoke(first, 1)
    time.sleep(0.3)  # longer than a sandbox that is not debugged stays awake
    assert lab.run(asked(port, b"one")) == b"ONE"
    second = lab.start({"app.py": ECHO.replace(".upper()", ".lower()")}, **given)
    assert json.loads(lab.invoke(second, 2).payload) == 2  # it waits for the port, and runs
    assert lab.run(asked(port, b"One")) == b"ONE"
    lab.end(first)
    answers = b""
    for _ in range(100):
        try:
            answers = lab.run(asked(port, b"Two"))
            break
        except ConnectionRefusedError:
            lab.run(asyncio.sleep(0.05))  # the port is asked for again and again
    assert answers == b"two"
    lab.end(second)


def test_who_visits_where_nobody_listens_is_hung_up_on(lab: Lab) -> None:
    port = free_port()
    sandbox = lab.start("def handler(event, context): return event", debug_port=port)
    assert lab.run(asked(port, b"x")) == b""
    assert json.loads(lab.invoke(sandbox, 1).payload) == 1
    lab.end(sandbox)
