"""The benchmarks' load generator counts no answer that is another than was expected."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from awscrt.checksums import crc32c

pytestmark = pytest.mark.http

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ASKED = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module("generator")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def answering() -> Iterator[Callable[..., int]]:
    """Give a function that starts a server with one answer, in pieces, and returns its port."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listener: socket.socket, pieces: list[bytes], length: int, close: bool) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    while _read(connection, length):
                        for piece in pieces:
                            connection.sendall(piece)
                        if close:
                            break

    def start(*pieces: bytes, length: int = len(ASKED), close: bool = False) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        thread = threading.Thread(target=serve, args=(listener, list(pieces), length, close))
        thread.start()
        threads.append(thread)
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(10)


def _read(connection: socket.socket, length: int) -> bool:
    """Read so many bytes; return whether they came."""
    left = length
    while left:
        data = connection.recv(min(left, 1 << 16))
        if not data:
            return False
        left -= len(data)
    return True


@pytest.mark.parametrize(
    "pieces",
    [
        [OK],
        [OK[:10], OK[10:40], OK[40:]],
        [b"HTTP/1.1 100 Continue\r\n\r\n", OK],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + OK],
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
            b"3\r\nllo\r\n0\r\n\r\n",
        ],
    ],
)
def test_an_answer_is_read_whole_however_it_comes(
    generator: ModuleType, answering: Callable[..., int], pieces: list[bytes]
) -> None:
    request = generator.Request(ASKED, length=5, crc=crc32c(b"hello"), holds=b"ell")
    tally = generator.generate(answering(*pieces), [request], connections=1, seconds=0.0)
    assert len(tally.times) == 1


@pytest.mark.parametrize(
    ("expected", "pieces"),
    [
        ({}, [OK.replace(b"200 OK", b"503 Slow Down")]),
        ({"length": 6}, [OK]),
        ({"crc": 1}, [OK]),
        ({"holds": b"jello"}, [OK]),
        ({"status": b"202"}, [OK]),
    ],
)
def test_a_wrong_answer_ends_the_load(
    generator: ModuleType,
    answering: Callable[..., int],
    expected: dict[str, object],
    pieces: list[bytes],
) -> None:
    request = generator.Request(ASKED, **expected)
    with pytest.raises(generator.BadAnswer, match=r"^HTTP/1\.1"):
        generator.generate(answering(*pieces), [request], connections=1, seconds=0.0)


def test_an_answer_that_is_cut_off_ends_the_load(
    generator: ModuleType, answering: Callable[..., int]
) -> None:
    port = answering(OK[:-1], close=True)
    with pytest.raises(generator.BadAnswer, match="closed within an answer"):
        generator.generate(port, [generator.Request(ASKED)], connections=1, seconds=0.0)


def test_a_server_that_closes_after_each_answer_is_asked_anew(
    generator: ModuleType, answering: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = SimpleNamespace(perf_counter=count().__next__, process_time=lambda: 0.0)
    monkeypatch.setattr(generator, "time", ticks)
    closing = OK.replace(b"Content", b"Connection: close\r\nContent")
    request = generator.Request(ASKED, length=5)
    tally = generator.generate(answering(closing, close=True), [request], connections=1, seconds=7)
    assert len(tally.times) == 3


def test_a_head_has_no_body_whatever_length_it_names(
    generator: ModuleType, answering: Callable[..., int]
) -> None:
    request = generator.Request(ASKED, length=0, head_only=True)
    tally = generator.generate(
        answering(OK.removesuffix(b"hello")), [request], connections=1, seconds=0.0
    )
    assert len(tally.times) == 1


def test_a_large_body_goes_out_whole_behind_its_head(
    generator: ModuleType, answering: Callable[..., int]
) -> None:
    body = bytes(8 << 20)
    request = generator.Request(ASKED, body=body, length=5)
    port = answering(OK, length=len(ASKED) + len(body))
    assert len(generator.generate(port, [request], connections=1, seconds=0.0).times) == 1


def test_each_request_is_asked_once_where_no_time_is_given(
    generator: ModuleType, answering: Callable[..., int]
) -> None:
    requests = [generator.Request(ASKED, length=5) for _ in range(7)]
    tally = generator.generate(answering(OK), requests, connections=1, seconds=None)
    assert len(tally.times) == len(requests)


@pytest.mark.slow
def test_a_benchmark_that_is_told_to_end_unwinds(tmp_path: Path) -> None:
    script = (
        "import load, signal\nload.unwind_on_sigterm()\n"
        "try:\n print('begun', flush=True)\n signal.pause()\nfinally:\n print('unwound')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.terminate()
        assert process.communicate(timeout=60)[0] == "unwound\n"
    assert process.returncode == 128 + signal.SIGTERM
