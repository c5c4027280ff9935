"""Long bodies are decoded off the loop, a bounded number at a time; what comes of it is the same."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest
from tests.unit.gateway.stub import Gate, StreamOf, module_of
from tests.unit.gateway.test_signed_bodies import resign

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.contract.quota import Quota
from fogbank.contract.service import Service
from fogbank.gateway.decoding import LOOP_BYTES_MAX, THREADS_MAX, Decoding
from fogbank.gateway.settings import GatewaySettings
from fogbank.wire.codec.json import PIECE_BYTES
from fogbank.wire.codec.xml import XmlDocuments
from fogbank.wire.compile import codec_of
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import load


class Recording(Executor):
    """Runs what it is given at once, and notes it."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.ran.append(args[0])
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (as executors do)
            done.set_exception(error)
        return done


class Deciding:
    """A gate whose executor is watched."""

    def __init__(self, settings: GatewaySettings | None = None) -> None:
        self.asked: list[dict[str, Any]] = []

        @operation()
        async def batch_write_item(call: Call, request: dict[str, Any]) -> dict[str, Any]:
            self.asked.append(request)
            return {}

        module = module_of("dynamodb", batch_write_item=batch_write_item)
        self.gate = Gate(settings, services=[Service(model="dynamodb", operations=(module,))])
        self.executor = Recording()
        self.gate.dispatcher.decoding = Decoding(self.executor)

    def send(self, items: list[str], *, zipped: bool = False, streamed: bool = False) -> Any:
        """Send a BatchWriteItem of items of some bytes each."""
        request = self.gate.request("dynamodb", "batch_write_item", {"RequestItems": batch(items)})
        if zipped:
            sent = json.dumps({"RequestItems": batch(items)}).encode()
            request.body, request.stream = gzip.compress(sent), None
            request.headers["content-encoding"] = "gzip"
            resign(request)
        if streamed:
            request.body, request.stream = b"", StreamOf(request.body)
        return self.gate.handle(request)


def batch(items: list[str]) -> dict[str, Any]:
    puts = [{"PutRequest": {"Item": {"k": {"S": text}}}} for text in items]
    return {"table": puts}


HALF = "x" * (LOOP_BYTES_MAX // 2)


def test_a_long_body_is_decoded_by_the_executor_and_means_the_same() -> None:
    deciding = Deciding()
    assert deciding.send([HALF, HALF])[0].status == 200
    assert deciding.executor.ran == ["BatchWriteItem"]
    assert deciding.asked == [{"RequestItems": batch([HALF, HALF])}]


def test_a_body_of_the_usual_size_is_decoded_on_the_loop() -> None:
    deciding = Deciding()
    assert deciding.send([HALF])[0].status == 200
    assert deciding.executor.ran == []
    assert deciding.asked == [{"RequestItems": batch([HALF])}]


def test_a_compressed_body_is_inflated_by_the_executor_however_short_it_is() -> None:
    deciding = Deciding()
    assert deciding.send([HALF, HALF], zipped=True)[0].status == 200
    assert deciding.executor.ran == ["BatchWriteItem"]
    assert deciding.asked == [{"RequestItems": batch([HALF, HALF])}]


def test_the_room_of_a_body_that_was_inflated_is_what_it_took() -> None:
    """It was once given back by the length of what was inflated: the bound grew with each."""
    deciding = Deciding()
    assert deciding.send([HALF, HALF], zipped=True, streamed=True)[0].status == 200
    assert deciding.gate.dispatcher._bodies.bytes_held == 0


def test_an_object_in_an_encoding_of_its_own_is_left_to_the_loop() -> None:
    gate = Gate()
    gate.dispatcher.decoding = Decoding(executor := Recording())
    parameters = {"Bucket": "bucket", "Key": "key", "Body": b"bytes", "ContentEncoding": "gzip"}
    assert gate.handle(gate.request("s3", "put_object", parameters))[0].status == 200
    assert executor.ran == []


def test_a_long_body_is_refused_in_the_words_of_a_short_one() -> None:
    answers = []
    for size in (10, LOOP_BYTES_MAX):
        deciding = Deciding()
        request = deciding.gate.request("dynamodb", "batch_write_item", {"RequestItems": {}})
        request.body = json.dumps({"RequestItems": {"table": [["x" * size]]}}).encode()
        resign(request)
        reply, body = deciding.gate.handle(request)
        assert reply.status == 400
        answers.append(body)
        assert bool(deciding.executor.ran) is (size == LOOP_BYTES_MAX)
    assert answers[0] == answers[1]
    assert b"SerializationException" in answers[0]


def test_a_quarter_of_a_megabyte_is_long() -> None:
    assert LOOP_BYTES_MAX == 256 << 10


def test_another_thread_sees_no_half_of_how_a_structure_is_read() -> None:
    documents = XmlDocuments(load("s3"))
    shape = load("s3").operations["DeleteObjects"].input
    assert shape is not None
    inner = shape.members["Delete"].shape
    whole = documents._table(inner)
    documents._decoders.clear()
    seen: list[Any] = []
    read = documents._reader

    def watched(ref: Any) -> Any:
        seen.append(documents._decoders.get(inner.name))
        return read(ref)

    documents._reader = watched  # type: ignore[method-assign]
    assert documents._table(inner).keys() == whole.keys()
    assert seen
    assert seen == [None] * len(seen)


class Slow:
    """A codec that decodes when it is told to, and counts how many decode at once."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.at_once = self.most = 0
        self.threads: set[str] = set()

    def prepare(self, name: str) -> None:
        del name

    def decode(self, *_: object) -> dict[str, Any]:
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            self.threads.add(threading.current_thread().name)
        self.arrived.release()
        assert self.go_on.wait(30)
        with self.lock:
            self.at_once -= 1
        return {}


def test_the_loop_goes_on_while_a_bounded_number_is_decoded() -> None:
    async def scene() -> None:
        slow: Any = Slow()
        decoding = Decoding()
        request = HttpRequest("POST", "/", "", {})
        async with asyncio.TaskGroup() as group:
            for _ in range(3 * THREADS_MAX):
                group.create_task(decoding.decode(slow, "Any", request, {}))
            for _ in range(THREADS_MAX):
                assert await asyncio.to_thread(slow.arrived.acquire, timeout=30)
            slow.go_on.set()  # the loop got here although nobody has decoded
        assert slow.most == THREADS_MAX
        assert len(slow.threads) == THREADS_MAX
        assert all(name.startswith("fogbank-decode") for name in slow.threads)

    asyncio.run(scene())


@pytest.mark.parametrize("service", ["dynamodb", "s3"])
def test_decoders_are_compiled_before_a_thread_decodes(service: str) -> None:
    name = {"dynamodb": "BatchWriteItem", "s3": "DeleteObjects"}[service]
    compiled = []

    class Codec:
        """Notes on which thread what is asked of it."""

        def prepare(self, name: str) -> None:
            compiled.append(threading.current_thread() is threading.main_thread())
            codec_of(service).prepare(name)

        def decode(self, *_: object) -> dict[str, Any]:
            compiled.append(threading.current_thread() is threading.main_thread())
            return {}

    codec: Any = Codec()
    request = HttpRequest("POST", "/", "", {})
    asyncio.run(Decoding().decode(codec, name, request, {}))
    assert compiled == [True, False]


def test_others_are_served_between_the_steps_in_which_a_long_reply_is_encoded() -> None:
    items = [{"k": {"S": str(number)}, "v": {"S": "x" * PIECE_BYTES}} for number in range(20)]

    @operation(reply=Quota("dynamodb.page_bytes_max", 1 << 20))
    async def scan(_call: Call, _request: dict[str, Any]) -> dict[str, Any]:
        return {"Items": items, "Count": 20, "ScannedCount": 20}

    service = Service(model="dynamodb", operations=(module_of("dynamodb", scan=scan),))
    gate = Gate(services=[service])
    request = gate.request("dynamodb", "scan", {"TableName": "tab"})

    async def work() -> tuple[HttpReply, int]:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        reply = await gate.dispatcher.handle(request)
        task.cancel()
        return reply, turns

    reply, turns = asyncio.run(work())
    assert isinstance(reply.body, bytes)
    assert json.loads(reply.body)["Items"] == items
    assert 20 <= turns < 30
