"""Replies of DynamoDB are compressed for clients that ask for it, from 4 KB on."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from fogbank.gateway import decoding

WINDOWS = {"gzip": 31, "deflate": 15}


class Watched:
    """A client whose requests accept a coding, and what came back of each."""

    def __init__(self, client: Any, accepted: str) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        self.client, self.accepted = client, accepted
        client.meta.events.register("before-call", self._ask)
        client.meta.events.register("before-parse", self._open)

    def _ask(self, params: dict[str, Any], **_: object) -> None:
        params["headers"]["Accept-Encoding"] = self.accepted

    def _open(self, response_dict: dict[str, Any], **_: object) -> None:
        self.headers = {name.lower(): value for name, value in response_dict["headers"].items()}
        self.body = response_dict["body"]
        coding = self.headers.get("content-encoding")
        if coding:
            response_dict["body"] = zlib.decompress(self.body, WINDOWS[coding])


@pytest.fixture
def stored(dynamodb: Any, make_table: Any) -> str:
    """Return what an item holds that stands in a table."""
    make_table()
    text = "x" * 5_000
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "x": {"S": text}})
    return text


@pytest.mark.parametrize("coding", WINDOWS)
@pytest.mark.parametrize("loop_bytes_max", [1 << 20, 0])
def test_a_long_reply_comes_in_the_coding_that_its_client_takes(
    dynamodb: Any, stored: str, coding: str, loop_bytes_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "PACKED_LOOP_BYTES_MAX", loop_bytes_max)
    watched = Watched(dynamodb, coding)
    item = dynamodb.get_item(TableName="tab", Key={"p": {"S": "a"}})["Item"]
    assert item["x"]["S"] == stored
    assert watched.headers["content-encoding"] == coding
    assert watched.headers["x-amz-crc32"] == str(zlib.crc32(watched.body))
    assert watched.headers["content-length"] == str(len(watched.body))
    assert len(watched.body) < 200
    page = dynamodb.scan(TableName="tab")
    assert page["Items"] == [item]
    assert watched.headers["content-encoding"] == coding


def test_short_replies_and_those_of_clients_that_take_none_are_as_they_are(
    dynamodb: Any, stored: str
) -> None:
    watched = Watched(dynamodb, "gzip")
    key = {"TableName": "tab", "Key": {"p": {"S": "a"}}}
    assert dynamodb.get_item(**key, ProjectionExpression="p")["Item"] == {"p": {"S": "a"}}
    assert "content-encoding" not in watched.headers
    watched.accepted = "identity"
    assert dynamodb.get_item(**key)["Item"]["x"]["S"] == stored
    assert "content-encoding" not in watched.headers
