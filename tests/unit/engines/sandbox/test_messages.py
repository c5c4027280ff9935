"""The fixed messages and the frames: nothing but what is listed gets through."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from fogbank.engines.sandbox.daemon import messages
from fogbank.engines.sandbox.inside import frames

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, two:
        yield one, two


def test_a_message_arrives_with_its_descriptors(pair: Pair) -> None:
    read, write = os.pipe()
    messages.send(pair[0], messages.encode("spawned", id=7, note=""), [write])
    os.close(write)
    message = messages.receive(pair[1])
    assert message is not None
    assert (message.op, message.number("id"), message.text("note")) == ("spawned", 7, "")
    os.write(message.fds[0], b"x")
    assert os.read(read, 1) == b"x"
    assert not os.get_inheritable(message.fds[0])
    messages.close_all([*message.fds, read])


def test_the_end_of_the_other_side_is_none(pair: Pair) -> None:
    pair[0].close()
    assert messages.receive(pair[1]) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense",
        b"[]",
        b"{}",
        b'{"op":1}',
        b'{"op":"explode"}',
        b'{"op":"kill"}',
        b'{"op":"kill","id":"1"}',
        b'{"op":"kill","id":true}',
        b'{"op":"kill","id":1.0}',
        b'{"op":"kill","id":1,"more":2}',
        b'{"op":"kill","id":1' + b" " * messages.PACKET_BYTES_MAX + b"}",
    ],
)
def test_anything_else_is_refused_and_its_descriptors_are_closed(pair: Pair, raw: bytes) -> None:
    read, write = os.pipe()
    messages.send(pair[0], raw, [write])
    os.close(write)
    with pytest.raises(messages.Malformed):
        messages.receive(pair[1])
    assert os.read(read, 1) == b""  # nobody holds the other end any more
    os.close(read)


def test_a_message_is_checked_before_it_is_sent() -> None:
    with pytest.raises(messages.Malformed):
        messages.encode("kill", number=1)
    with pytest.raises(messages.Malformed):
        messages.encode("spawned", id=1, note="x" * messages.PACKET_BYTES_MAX)


def test_a_frame_keeps_kind_head_and_body() -> None:
    raw = frames.encode(frames.RESULT, {"a": 1}, b"body")
    kind, head_bytes, body_bytes = frames.lengths(raw[: frames.PREFIX.size])
    assert kind == frames.RESULT
    rest = raw[frames.PREFIX.size :]
    assert frames.head_of(rest[:head_bytes]) == {"a": 1}
    assert rest[head_bytes:] == b"body"
    assert len(rest[head_bytes:]) == body_bytes


@pytest.mark.parametrize(
    "prefix", [(0, 2, 0), (10, 2, 0), (5, 1 << 20, 0), (5, 2, 1 << 30), (255, 0, 0)]
)
def test_a_frame_of_another_kind_or_size_is_not_read(prefix: tuple[int, int, int]) -> None:
    with pytest.raises(frames.Oversized):
        frames.lengths(frames.PREFIX.pack(*prefix))


def test_a_head_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="no object"):
        frames.head_of(b"[]")
