"""botocore over a real socket, through listener and dispatcher, to operations that do little."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.http.listening import run
from tests.unit.gateway.stub import KEY_ID, REGION, SECRET, Gate

from fogbank.base.clock import SystemClock
from fogbank.gateway.listener import Listener
from fogbank.gateway.settings import ListenerSettings

pytestmark = pytest.mark.http


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[tuple[Gate, str]]:
    # Clients sign with the machine's time, so this cloud lives in it.
    gate = await asyncio.to_thread(Gate, clock=SystemClock())
    sock = socket.create_server(("127.0.0.1", 0))
    listener = Listener(gate.dispatcher.handle, ListenerSettings(), SystemClock())
    task = asyncio.create_task(listener.serve([sock]))
    yield gate, f"http://127.0.0.1:{sock.getsockname()[1]}"
    await listener.drain(5)
    await task


def client(service: str, endpoint: str, **options: Any) -> Any:
    return botocore.session.Session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=options.pop("secret", SECRET),
        config=Config(retries={"total_max_attempts": 1}, **options),
    )


def scene(play: Callable[[str], None]) -> Gate:
    """Let a client play in a thread against a cloud on this thread's loop."""
    kept: list[Gate] = []

    async def work() -> None:
        async with serving() as (gate, endpoint):
            kept.append(gate)
            await asyncio.to_thread(play, endpoint)

    run(work())
    return kept[0]


def test_small_calls_reuse_their_connection() -> None:
    def play(endpoint: str) -> None:
        for service, call in (("dynamodb", "list_tables"), ("sts", "get_caller_identity")):
            one = client(service, endpoint)
            for _ in range(5):
                assert getattr(one, call)()["ResponseMetadata"]["HTTPStatusCode"] == 200

    assert len(scene(play).stub.calls) == 10


def test_objects_are_uploaded_with_expectation_and_downloaded() -> None:
    body = bytes(range(256)) * 16_384

    def play(endpoint: str) -> None:
        s3 = client("s3", endpoint)
        s3.put_object(Bucket="bucket", Key="small", Body=b"abc")
        s3.put_object(Bucket="bucket", Key="large", Body=body)
        s3.put_object(Bucket="bucket", Key="file", Body=io.BytesIO(body))
        assert s3.get_object(Bucket="bucket", Key="small")["Body"].read() == b"hello"

    gate = scene(play)
    bodies = [request["Body"] for _, request in gate.stub.calls[:3]]
    digests = [hashlib.md5(each).digest() for each in bodies]
    assert digests == [hashlib.md5(each).digest() for each in (b"abc", body, body)]


def test_a_refused_upload_is_answered_before_its_body_is_sent() -> None:
    def play(endpoint: str) -> None:
        s3 = client("s3", endpoint, secret="x" * 40)
        for size in (3, 300_000, 20 << 20):
            with pytest.raises(ClientError) as caught:
                s3.put_object(Bucket="bucket", Key="key", Body=b"x" * size)
            assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"

    assert not scene(play).stub.calls


def test_a_large_json_request_is_gathered() -> None:
    def play(endpoint: str) -> None:
        logs = client("logs", endpoint)
        # Past the signature, the model's constraint on the list is what refuses it.
        with pytest.raises(ClientError, match="logGroupIdentifiers"):
            logs.describe_log_groups(logGroupIdentifiers=["g" * 500] * 2_000)

    scene(play)


def test_errors_arrive_as_the_clients_know_them() -> None:
    def play(endpoint: str) -> None:
        for service, call in (("s3", "list_objects_v2"), ("dynamodb", "describe_limits")):
            parameters = {"Bucket": "bucket"} if service == "s3" else {}
            with pytest.raises(ClientError) as caught:
                getattr(client(service, endpoint), call)(**parameters)
            response = caught.value.response
            assert response["Error"]["Code"] == "NotImplemented"
            assert response["ResponseMetadata"]["HTTPStatusCode"] == 501
            assert response["ResponseMetadata"]["RequestId"]

    scene(play)
