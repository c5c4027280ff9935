"""The head of an HTTP/1.1 request: from bytes up to the empty line to checked values.

Rule: whatever two parsers could read in two ways is refused (RFC 9112, sections 2.2, 5 and 6.3).
llhttp (through httptools) refuses bare line feeds, folded lines, spaces before colons, control
characters and malformed lengths; this module adds what depends on policy: sizes, doubled headers,
transfer codings and versions.

Theory: only the head is given to the parser. A body of known length is counted past it
(``connection``), which is four times as fast for large uploads and leaves nothing to disagree on.
A head of the plain form that clients send is read here, line by line, because most of its lines came
before; whatever is not plain to the last byte is llhttp's. A test holds both to the same reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import httptools
import msgspec

from fogbank.wire.http import HttpReply

HEAD_END: Final = b"\r\n\r\n"
_LINE_ENDS: Final = (b"\r", b"\n")
_VERSION: Final = b" HTTP/"
_LENGTH_DIGITS_MAX: Final = 18
NAMED_HEAD_BYTES_MAX: Final = 16 << 10
NAMES_OPERATION: Final = "x-amz-target"
"""The header in which requests of the JSON protocols name their operation."""

_KNOWN: Final = (
    "Accept Accept-Encoding Authorization Connection Content-Encoding Content-Length Content-MD5 "
    "Content-Type Expect Host Range Transfer-Encoding User-Agent X-Amz-ACL X-Amz-API-Version "
    "X-Amz-Checksum-CRC32 X-Amz-Content-SHA256 X-Amz-Copy-Source X-Amz-Date "
    "X-Amz-Decoded-Content-Length X-Amz-Sdk-Checksum-Algorithm X-Amz-Security-Token X-Amz-Target "
    "X-Amz-Trailer amz-sdk-invocation-id amz-sdk-request"
)
_NAMES: Final = {
    form.encode(): name.lower()
    for name in _KNOWN.split()
    for form in (name, name.lower(), name.title())
}
"""Lower-case names of the headers that most requests carry, so that they are not decoded again."""

_SINGLE: Final = frozenset(
    ("authorization", "content-length", "expect", "host", "transfer-encoding", "x-amz-date")
)
"""Headers whose repetition is refused: joined, they would mean something else to the next reader."""


_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path"))
_CONNECTION_FIELDS: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_METHODS: Final = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))
_FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
_PLAIN_REQUEST: Final = re.compile(
    rb"(DELETE|GET|HEAD|PATCH|POST|PUT) (/[A-Za-z0-9%&'()*+,\-./:;=?@_~!$]*) HTTP/1\.1"
)
_PLAIN_FIELD: Final = re.compile(rb"([A-Za-z0-9_\-]+):([\t\x20-\x7e\x80-\xff]*)")
_REMEMBERED_BYTES_MAX: Final = 128
_LINES_REMEMBERED_MAX: Final = 4_096
"""Lines of heads that are remembered, of up to ``_REMEMBERED_BYTES_MAX`` each."""


class HeadLimits(NamedTuple):
    """What a head may hold."""

    target_bytes_max: int
    head_bytes_max: int
    header_count_max: int
    body_bytes_max: int


class Refused(Exception):
    """A request that is not answered by any service: malformed, too large or not understood."""

    def __init__(
        self, status: int, code: str, message: str, reply: HttpReply | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reply = reply
        """What is answered, if the service that was asked has words of its own."""


class Head(msgspec.Struct, eq=False):
    """A checked head."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    length: int = 0
    """Bytes of the body, where it is not chunked."""
    chunked: bool = False
    expects_continue: bool = False
    keep_alive: bool = True
    minor: int = 1
    """1 for HTTP/1.1, 0 for HTTP/1.0."""


class _Collector:
    """Takes the parser's call-backs."""

    __slots__ = ("headers", "repeated", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[str, str] = {}
        self.repeated = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key = _NAMES.get(name) or name.decode("latin-1").lower()
        try:
            text = value.decode().strip(" \t")
        except UnicodeDecodeError:
            text = value.decode("latin-1").strip(" \t")
        headers = self.headers
        if key in headers:
            self.repeated = self.repeated or key in _SINGLE
            headers[key] = f"{headers[key]},{text}"
        else:
            headers[key] = text


def head_of_fields(fields: Iterable[tuple[bytes, bytes]], limits: HeadLimits) -> Head:
    """Return the head that the decoded fields of an HTTP/2 request hold, as ``read_head`` does.

    ``:authority`` becomes ``host``. A cookie in pieces is joined (RFC 9113, section 8.2.3).

    Raises:
        Refused: The fields are malformed, ambiguous or past a limit.
    """
    collector = _Collector()
    pseudo: dict[bytes, bytes] = {}
    for count, (name, value) in enumerate(fields, 1):
        if count > limits.header_count_max:
            raise _too_many()
        if name[:1] == b":":
            # RFC 9113, 8.3: before all others, each once, and no unknown ones.
            if collector.headers or name in pseudo or name not in _PSEUDO:
                raise _bad_request("The pseudo-header fields are malformed.")
            pseudo[name] = value
        elif not _FIELD_NAME.fullmatch(name) or name in _CONNECTION_FIELDS:
            raise _bad_request("A header has no place in HTTP/2.")
        elif name == b"cookie" and "cookie" in collector.headers:
            collector.headers["cookie"] += f"; {value.decode('latin-1')}"
        else:
            collector.on_header(name, value)
        if _CONTROL.search(value):
            raise _bad_request("A header holds a control character.")
    return _head_of(pseudo, collector, limits)


def _head_of(pseudo: dict[bytes, bytes], collector: _Collector, limits: HeadLimits) -> Head:
    headers = collector.headers
    if not {b":method", b":path", b":scheme"} <= pseudo.keys():
        raise _bad_request("The pseudo-header fields are incomplete.")
    method, url = pseudo[b":method"].decode("latin-1"), pseudo[b":path"]
    if method not in _METHODS:
        raise _bad_request("The method is unknown.")
    if pseudo[b":scheme"] not in (b"http", b"https"):
        raise _bad_request("The scheme is unknown.")
    if headers.get("te", "trailers") != "trailers":
        raise _bad_request("Only trailers can be asked for in HTTP/2.")
    if len(url) > limits.target_bytes_max:
        raise _long_target(headers)
    if not _TARGET.fullmatch(url) or not (url[:1] == b"/" or (method, url) == ("OPTIONS", b"*")):
        raise _bad_request("Malformed request target.")
    authority = pseudo.get(b":authority", b"").decode("latin-1")
    if authority:
        if headers.get("host", authority) != authority or "@" in authority:
            raise _bad_request("The authority is not the host.")
        headers["host"] = authority
    path, query = _target(url, method, collector)
    head = Head(method, path, query, headers)
    _check(head, limits, repeated=collector.repeated)
    return head


def read_head(raw: bytes, limits: HeadLimits) -> Head:
    """Return the head that these bytes, which end in the empty line, hold.

    Raises:
        Refused: The head is malformed, ambiguous or past a limit.
    """
    # By lines and before they are read: values of one name are joined, each time anew.
    if raw.count(b"\n") - 2 > limits.header_count_max:
        raise _too_many()
    head = _read(raw, limits)
    if len(raw) > NAMED_HEAD_BYTES_MAX:
        _require_short(head)
    return head


def _read(raw: bytes, limits: HeadLimits) -> Head:
    found = _find_plain(raw)
    if found is None:
        return _parsed_head(raw, limits)
    head, repeated = found
    if len(head.path) + len(head.query) >= limits.target_bytes_max:
        return _parsed_head(raw, limits)
    connection = head.headers.get("connection")
    if connection is not None:
        head.keep_alive = _keeps(connection, kept=True)
    _check(head, limits, repeated=repeated)
    return head


def _find_plain(raw: bytes) -> tuple[Head, bool] | None:
    """Return a head of the form that clients send, and whether it says twice what counts once.

    Its lines are read one by one, and most were read before: clients repeat themselves. What is not
    plain to the last byte is None, and llhttp's to read or to refuse; of what is plain llhttp says
    the same.
    """
    lines = raw[:-4].split(b"\r\n")
    first = lines.pop(0)
    asked = _asked_of(first) if len(first) <= _REMEMBERED_BYTES_MAX else _read_asked(first)
    known: list[Any] = list(map(_field_of, lines))
    if asked is None or None in known:
        return None
    method, path, query = asked
    headers: dict[str, str] = dict(known)
    if len(headers) == len(known):
        return Head(method, path, query, headers), False
    headers, repeated = _joined(known)
    return Head(method, path, query, headers), repeated


def _joined(fields: Iterable[tuple[str, str]]) -> tuple[dict[str, str], bool]:
    """Return headers of which some stand more than once, and whether one of these counts once."""
    headers: dict[str, str] = {}
    repeated = False
    for name, text in fields:
        if name in headers:
            repeated = repeated or name in _SINGLE
            headers[name] = f"{headers[name]},{text}"
        else:
            headers[name] = text
    return headers, repeated


def _read_asked(first: bytes) -> tuple[str, str, str] | None:
    """Return method, path and query of a request line, or None if it is not plain."""
    asked = _PLAIN_REQUEST.fullmatch(first)
    if asked is None:
        return None
    path, _, query = asked[2].decode().partition("?")
    return asked[1].decode(), path, query


def _read_field(line: bytes) -> tuple[str, str] | None:
    """Return the name, in lower case, and the value of a line, or None if it is not plain."""
    found = _PLAIN_FIELD.fullmatch(line)
    if found is None:
        return None
    try:
        text = found[2].decode()
    except UnicodeDecodeError:
        text = found[2].decode("latin-1")
    return found[1].decode().lower(), text.strip(" \t")


class _Fields(dict[bytes, "tuple[str, str] | None"]):
    """What ``_read_field`` returns of lines, remembered: so far as they are short, and not too many."""

    def __missing__(self, line: bytes) -> tuple[str, str] | None:
        field = _read_field(line)
        if len(line) <= _REMEMBERED_BYTES_MAX:
            if len(self) >= _LINES_REMEMBERED_MAX:
                self.clear()
            self[line] = field
        return field


_field_of: Final = _Fields().__getitem__
_asked_of: Final = lru_cache(maxsize=_LINES_REMEMBERED_MAX)(_read_asked)


def _parsed_head(raw: bytes, limits: HeadLimits) -> Head:
    """Return the head as llhttp reads it."""
    if raw[:1] in _LINE_ENDS:
        # llhttp passes over any number of them, bare ones too; where they are cut must not matter.
        raise _bad_request("A request begins with its method.")
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        # A server may ignore an offer to upgrade (RFC 9110, 7.8); clients of Java send h2c offers.
        pass
    except httptools.HttpParserError as error:
        raise _bad_request(str(error)) from None
    url = collector.url
    if len(url) > limits.target_bytes_max:
        raise _long_target(collector.headers)
    named = parser.get_method()
    if not raw.startswith(url + _VERSION, len(named) + 1):
        raise _bad_request("One space stands before and behind a request's target.")
    method = named.decode("latin-1")
    path, query = _target(url, method, collector)
    head = Head(method, path, query, collector.headers)
    version = parser.get_http_version()
    if version != "1.1":
        if version != "1.0":
            raise Refused(505, "HTTPVersionNotSupported", "Only HTTP/1.1 is spoken here.")
        head.minor = 0
    head.keep_alive = bool(head.minor)
    connection = collector.headers.get("connection")
    if connection is not None:
        head.keep_alive = _keeps(connection, kept=head.keep_alive)
    _check(head, limits, repeated=collector.repeated)
    return head


def _keeps(connection: str, *, kept: bool) -> bool:
    """Return whether the connection outlives the request (RFC 9112, 9.3)."""
    options = {option.strip() for option in connection.lower().split(",")}
    return "close" not in options and (kept or "keep-alive" in options)


def _require_short(head: Head) -> None:
    """Refuse a long head if it is of a request to a service of the JSON protocols.

    AWS: DynamoDB answers 400 to a head of more than 16 KB (ScyllaDB, test/alternator,
    test_too_large_request_headers); heads of other protocols may be longer.
    """
    if NAMES_OPERATION in head.headers:
        raise Refused(400, "RequestHeaderSectionTooLarge", "The head is too large.")


def _long_target(headers: Mapping[str, str]) -> Refused:
    """Return the refusal of a request target that is too long.

    AWS: S3 says 414; the services of the JSON protocols, whose requests all go to ``/``, 400
    (ScyllaDB, test/alternator, test_too_large_request_line).
    """
    status = 400 if NAMES_OPERATION in headers else 414
    return Refused(status, "RequestURITooLong", "The request target is too long.")


def _too_many() -> Refused:
    return Refused(431, "RequestHeaderSectionTooLarge", "There are too many headers.")


def _bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def _target(url: bytes, method: str, collector: _Collector) -> tuple[str, str]:
    """Return path and query; the authority of an absolute target replaces Host (RFC 9112, 3.2.2)."""
    target = url.decode("latin-1")
    if not target.startswith("/"):
        lower = target[:8].lower()
        if lower.startswith(("http://", "https://")):
            authority, slash, rest = target[target.index("//") + 2 :].partition("/")
            authority, mark, early = authority.partition("?")
            if not authority or "@" in authority:
                raise _bad_request("Malformed request target.")
            collector.headers["host"] = authority
            target = f"/?{early}{slash}{rest}" if mark else f"/{rest}"
        elif not (target == "*" and method == "OPTIONS"):
            raise _bad_request("Malformed request target.")
    if "#" in target:
        raise _bad_request("A request target has no fragment.")
    path, _, query = target.partition("?")
    return path, query


def _check(head: Head, limits: HeadLimits, *, repeated: bool) -> None:
    """Settle how long the body is; refuse what could be read in two ways."""
    headers = head.headers
    if repeated:
        raise _bad_request("A header that may stand once stands twice.")
    host = headers.get("host")
    if not host:
        if head.minor:
            raise _bad_request("Host is missing.")
    elif " " in host or "\t" in host or "@" in host:
        raise _bad_request("Host is malformed.")
    coding = headers.get("transfer-encoding")
    text = headers.get("content-length")
    if coding is not None:
        _check_coding(head, coding, text)
    elif text is not None:
        head.length = _length_of(text, limits)
    # Another expectation may be refused or not be met (RFC 9110, section 10.1.1); AWS does the latter.
    if "expect" in headers and headers["expect"].lower() == "100-continue":
        head.expects_continue = bool(head.minor and (head.length or head.chunked))


def _check_coding(head: Head, coding: str, length: str | None) -> None:
    """Refuse every transfer coding but ``chunked``, and that beside a length."""
    if length is not None:
        raise _bad_request("Transfer-Encoding and Content-Length exclude each other.")
    if not head.minor:
        raise _bad_request("HTTP/1.0 has no transfer codings.")
    if coding.lower() != "chunked":
        raise Refused(501, "NotImplemented", "The only transfer coding is chunked.")
    head.chunked = True


def _length_of(text: str, limits: HeadLimits) -> int:
    """Return the declared length of the body."""
    length = _read_length(text)
    if length is None:
        raise _bad_request("Content-Length is malformed.")
    if length > limits.body_bytes_max:
        raise Refused(413, "EntityTooLarge", "Your proposed upload exceeds the maximum size.")
    return length


@lru_cache(maxsize=_LINES_REMEMBERED_MAX)
def _read_length(text: str) -> int | None:
    """Return the number that a length is, or None if it is malformed."""
    if text.isascii() and text.isdigit() and len(text) <= _LENGTH_DIGITS_MAX:
        return int(text)
    return None
