"""The fixed messages between client, sandboxd and zygotes: one JSON object per packet.

Rule: a message is one packet of a SEQPACKET socket with a known ``op``, exactly the fields that
are listed here with exactly these types, and the descriptors it carries. Anything else is refused
whole. Nothing of a user's (payloads, environments, credentials, code) ever passes through here.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple, cast

PACKET_BYTES_MAX = 16 * 1024
DESCRIPTORS_MAX = 12
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid

_FIELDS: dict[str, dict[str, type]] = {
    # client to sandboxd
    "start": {
        "id": int,
        "account": str,
        "runtime": str,
        "name": str,
        "memory_mb": int,
        "tmp_mb": int,
        "api": int,
    },
    "bind": {"id": int, "name": str, "memory_mb": int, "tmp_mb": int},
    "expect": {"runtime": str},
    "settle": {"id": int},
    "kill": {"id": int},
    "freeze": {"id": int},
    "thaw": {"id": int},
    "measure": {"id": int},
    # sandboxd to client
    "hello": {"level": int, "uid": int, "cgroup": str, "reasons": str},
    "refused": {"note": str},
    "bound": {"id": int, "note": str},
    "measured": {"id": int, "peak_mb": int},
    "ended": {"id": int, "cause": str, "status": int, "peak_mb": int, "note": str},
    # sandboxd to a zygote
    "spawn": {
        "id": int,
        "spare": int,
        "uid": int,
        "processes": int,
        "file_mb": int,
        "name": str,
        "code": str,
        "layers": str,
        "tmp": str,
        "api": int,
        "trees": int,
    },
    "attach": {"id": int},
    "prepare": {"id": int},
    "drop": {"id": int},
    # a zygote to sandboxd
    "dropped": {"id": int},
    "ready": {"milliseconds": int},
    "spawned": {"id": int, "note": str},
    "attached": {"id": int, "note": str},
    "exited": {"id": int, "status": int},
}


class Malformed(Exception):
    """A packet that is not one of the fixed messages."""


class Message(NamedTuple):
    """One packet: what it says and the descriptors that came with it (ours to close)."""

    op: str
    fields: dict[str, int | str]
    fds: list[int]

    def number(self, name: str) -> int:
        """Return an integer field."""
        value = self.fields[name]
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> str:
        """Return a text field."""
        value = self.fields[name]
        assert isinstance(value, str)
        return value


def encode(op: str, **fields: int | str) -> bytes:
    """Return a packet, checked as strictly as one that arrives."""
    _check(op, cast("dict[str, object]", fields))
    raw = json.dumps({"op": op, **fields}, separators=(",", ":")).encode()
    if len(raw) > PACKET_BYTES_MAX:
        raise Malformed(f"{op}: {len(raw)} bytes are more than {PACKET_BYTES_MAX}")
    return raw


def _check(op: str, fields: dict[str, object]) -> None:
    """Refuse an unknown message, or one whose fields are not exactly the listed ones."""
    expected = _FIELDS.get(op)
    if expected is None:
        raise Malformed(f"unknown message {op!r}")
    if fields.keys() != expected.keys():
        raise Malformed(f"{op}: fields {sorted(fields)} instead of {sorted(expected)}")
    for name, kind in expected.items():
        if type(fields[name]) is not kind:
            raise Malformed(f"{op}: {name} is no {kind.__name__}")


def decode(raw: bytes, fds: list[int]) -> Message:
    """Return the message in a packet.

    Raises:
        Malformed: It is not one of the fixed messages; the descriptors stay the caller's.
    """
    try:
        values = json.loads(raw)
    except ValueError as error:
        raise Malformed(f"no JSON: {error}") from None
    if not isinstance(values, dict):
        raise Malformed("no object")
    fields = cast("dict[str, object]", values)
    op = fields.pop("op", None)
    if not isinstance(op, str):
        raise Malformed("no op")
    _check(op, fields)
    return Message(op, cast("dict[str, int | str]", fields), fds)


def send(sock: socket.socket, packet: bytes, fds: Sequence[int] = ()) -> None:
    """Send one packet with descriptors; raises ``OSError`` (``BlockingIOError`` when full)."""
    socket.send_fds(sock, [packet], fds)


class Packet(NamedTuple):
    """What has come at a socket."""

    raw: bytes
    fds: list[int]
    """The descriptors in it, closed on exec."""
    flags: int
    """Of its arrival."""
    sender: int
    """The process that sent it, as ours numbers it, where the socket is to say (``SO_PASSCRED``); else 0."""


def receive_raw(sock: socket.socket, size: int) -> Packet:
    """Return one packet.

    ``socket.recv_fds`` of Python 3.11 drops the flags it is given, and with them close-on-exec.

    Source: unix(7), ``SCM_CREDENTIALS``: only who is privileged in its namespace may name another sender.
    """
    fds, sender = array.array("i"), 0
    space = socket.CMSG_SPACE(DESCRIPTORS_MAX * fds.itemsize)
    space += socket.CMSG_SPACE(_CREDENTIALS.size)
    raw, ancillary, flags, _ = sock.recvmsg(size, space, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            sender = _CREDENTIALS.unpack(data)[0]
    return Packet(raw, list(fds), flags, sender)


def receive(sock: socket.socket) -> Message | None:
    """Return the next message, or None when the other end is gone.

    Raises:
        Malformed: The packet is not one of the fixed messages; its descriptors are closed.
    """
    try:
        raw, fds, flags, _ = receive_raw(sock, PACKET_BYTES_MAX + 1)
    except ConnectionError:
        return None
    if not raw:
        return None
    whole = len(raw) <= PACKET_BYTES_MAX and not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
    try:
        return decode(raw if whole else b"", fds)
    except Malformed:
        close_all(fds)
        raise


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that came with a message."""
    for fd in fds:
        os.close(fd)
