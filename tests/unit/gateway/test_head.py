"""What is read line by line is what llhttp reads: of every head, or it is left to llhttp."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fogbank.gateway import head
from fogbank.gateway.head import Refused, read_head
from fogbank.gateway.settings import ListenerSettings

LIMITS = ListenerSettings().head
PLAIN = (
    b"POST /a%20b/c?x=1&y=%2F HTTP/1.1\r\nHost: localhost:9000\r\nX-Amz-Target: T.GetItem\r\n"
    b"Content-Type: application/x-amz-json-1.0\r\nUser-Agent: aws \t\r\nX-Meta: caf\xc3\xa9\r\n"
    b"X-Latin: caf\xe9\r\nX-Empty:\r\nX-Meta: twice\r\nConnection: keep-alive\r\n"
    b"Content-Length: 57\r\nExpect: 100-continue\r\n\r\n"
)
PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b"\0", b"\x7f", b"\x80", b"#", b"?", b"/", b"*",
    b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"GET ", b"BREW ", b"OPTIONS ", b"http://b/", b"close",
    b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"Upgrade: h2c\r\n",
    b"Connection: upgrade\r\n", b"Connection: close\r\n", b"X: 1\r\n 2\r\n", b"X : 1\r\n", b": 1\r\n",
    b"0", b"-", b"+", b'"', b"<", b"{", b"^", b"|", b"\\", b"`",
]  # fmt: skip
EDITS = st.lists(
    st.tuples(st.integers(0, len(PLAIN) - 4), st.integers(0, 4), st.sampled_from([b"", *PIECES])),
    max_size=3,
)


def outcome(read: Any, raw: bytes) -> Any:
    """Return what a reader makes of a head, or with which status it refuses it."""
    try:
        found = read(raw, LIMITS)
    except Refused as refused:
        return refused.status
    return {name: getattr(found, name) for name in head.Head.__struct_fields__}


@settings(max_examples=1_000, deadline=None)
@given(EDITS)
@example([])
def test_what_is_read_line_by_line_is_what_llhttp_reads(edits: list[Any]) -> None:
    raw = PLAIN
    for wanted, gone, put in edits:
        end = len(raw) - 4
        at = min(wanted, end)
        raw = raw[:at] + put + raw[min(at + gone, end) :]
    # The listener looks for the first empty line: a head holds no other.
    raw = raw[: raw.index(b"\r\n\r\n") + 4]
    assert outcome(read_head, raw) == outcome(head._parsed_head, raw)


@pytest.mark.parametrize("method", ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"])
def test_what_clients_send_is_read_without_llhttp(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "_parsed_head", None)
    found = read_head(PLAIN.replace(b"POST", method.encode()), LIMITS)
    assert (found.method, found.path, found.query) == (method, "/a%20b/c", "x=1&y=%2F")
    assert found.headers["x-meta"] == "café,twice"
    assert (found.length, found.expects_continue, found.keep_alive) == (57, True, True)


def test_only_100_continue_is_an_expectation_that_is_met() -> None:
    """RFC 9110, section 10.1.1: another may be refused, and need not be."""
    for read in (read_head, head._parsed_head):
        found = read(PLAIN.replace(b"100-continue", b"200"), LIMITS)
        assert (found.length, found.expects_continue) == (57, False)


def test_a_target_past_its_limit_is_refused_however_plain() -> None:
    raw = b"GET /" + b"a" * LIMITS.target_bytes_max + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    assert outcome(read_head, raw) == 414


def test_the_services_of_the_json_protocols_refuse_long_heads_with_400() -> None:
    """Source: ScyllaDB, test/alternator/test_manual_requests.py, whose tests run on AWS too."""
    long = b" HTTP/1.1\r\nHost: a\r\nX-Amz-Target: DynamoDB_20120810.PutItem\r\n\r\n"
    assert outcome(read_head, b"POST /" + b"a" * LIMITS.target_bytes_max + long) == 400
    more = (
        b"X: " + b"a" * (head.NAMED_HEAD_BYTES_MAX - len(b"POST /") - len(long) - 5) + b"\r\n\r\n"
    )
    assert outcome(read_head, b"POST /" + long[:-2] + more) != 400
    assert outcome(read_head, b"POST /" + long[:-2] + b"X" + more) == 400
    other = long.replace(b"X-Amz-Target", b"X-Amz-Tarset")
    assert outcome(read_head, b"POST /" + other[:-2] + b"X" + more) != 400


def test_more_headers_than_there_may_be_are_refused_however_plain() -> None:
    lines = b"".join(b"X-%d: a\r\n" % number for number in range(LIMITS.header_count_max - 1))
    whole = b"GET / HTTP/1.1\r\nHost: a\r\n" + lines
    assert len(read_head(whole + b"\r\n", LIMITS).headers) == LIMITS.header_count_max
    assert outcome(read_head, whole + b"X: a\r\n\r\n") == 431
