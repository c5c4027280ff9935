"""``fogbank trace`` and ``fogbank dead-letters``, with a server and without one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.http.making import make_function, make_role, tell, zipped

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

WAIT_S = 30


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as made:
        yield made


def build(server: Server) -> None:
    """A bucket whose uploads a function is told of."""
    code = {"ZipFile": zipped("def handler(event, context): return 1")}
    arn = make_function(server, make_role(server), code, FunctionName="f")
    server.client("s3").create_bucket(Bucket="told")
    tell(server, arn, "told")


def rows(server: Server, *words: str) -> list[dict[str, Any]]:
    done = server.run(*words, "--format", "json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def until(look: Callable[[], list[Any]], enough: Callable[[list[Any]], bool]) -> list[Any]:
    deadline = time.monotonic() + WAIT_S
    while not enough(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_an_uploads_way_is_told_by_its_request_its_event_and_its_invocation(server: Server) -> None:
    build(server)
    reply = server.client("s3").put_object(Bucket="told", Key="k", Body=b"x")
    request = reply["ResponseMetadata"]["RequestId"]
    steps = until(
        lambda: rows(server, "trace", request),
        lambda found: found[-1:] and found[-1]["step"] == "ran",
    )
    assert [row["step"] for row in steps] == [
        "caused", "accepted", "queued", "became", "delivered", "ran",
    ]  # fmt: skip
    assert steps[0]["detail"] == "s3:ObjectCreated:Put of arn:aws:s3:::told/k"
    event, invocation = steps[1]["id"], steps[-1]["id"]
    assert rows(server, "trace", event) == steps
    text = server.run("trace", invocation)
    assert text.stdout.count("\n") == len(steps)
    assert "ran        attempt 1 in" in text.stdout
    unknown = server.run("trace", "no-such-event")
    assert (unknown.returncode, "nothing is known of no-such-event" in unknown.stderr) == (1, True)
    server.stop()
    assert rows(server, "trace", invocation) == steps


def test_what_no_target_took_is_listed_sent_again_and_dropped(server: Server) -> None:
    build(server)
    server.client("lambda").delete_function(FunctionName="f")
    server.client("s3").put_object(Bucket="told", Key="k", Body=b"x")
    (letter,) = until(lambda: rows(server, "dead-letters", "list"), bool)
    assert letter["reason"].startswith("there is no function")
    assert json.loads(letter["payload"])["Records"][0]["s3"]["object"]["key"] == "k"
    assert rows(server, "dead-letters", "list", "--target", "arn:other") == []
    assert server.run("dead-letters", "redrive", letter["id"]).returncode == 0
    (again,) = until(
        lambda: rows(server, "dead-letters", "list"),
        lambda found: found != [letter] and bool(found),
    )
    assert again["event"] == letter["event"]
    gone = server.run("dead-letters", "drop", letter["id"])
    assert (gone.returncode, "there is no dead letter" in gone.stderr) == (1, True)
    assert "redriven" in [row["step"] for row in rows(server, "trace", letter["event"])]
    server.stop()
    assert again["id"] in server.run("dead-letters", "list").stdout
    assert server.run("dead-letters", "drop", again["id"]).returncode == 0
    assert rows(server, "dead-letters", "list") == []
    for name in ("", "0", "0.xyz", "7." + again["id"][2:], "é." + again["id"][2:]):
        assert server.run("dead-letters", "drop", name).returncode == 1
