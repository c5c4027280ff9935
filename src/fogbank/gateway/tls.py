"""TLS between a socket and a connection: OpenSSL over memory, below our own protocols.

Rule: a client that has not shaken hands is a guest like any other: counted, swept, drained. What is
negotiated decides who serves it (``h2`` or HTTP/1.1). Each connection takes the context that is in
force when it comes, so that a new certificate needs no restart and breaks no connection.

Theory: the event loop's own TLS counts a connection only once its handshake is done, which leaves
handshakes without a bound. Here the layer is the protocol of the raw transport and the transport of
the connection above it; back-pressure passes through in both directions.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import Any, Final, Protocol, cast

from fogbank.gateway.guests import HANDSHAKE, HTTP_2, Guest, Roll, address_of, origin_of

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
"""Of TLS 1.2; those of TLS 1.3 are all sound."""
PROTOCOLS: Final = (HTTP_2, "http/1.1")
_READ_BYTES: Final = 256 << 10
"""How much is decrypted before it is passed on."""
_HANDSHAKE_BYTES_MAX: Final = 128 << 10
"""What a client may send before its handshake is done; a large chain of its own is a tenth."""
_HANDSHAKE_RECORD: Final = 0x16
_SPEAKS_TLS: Final = b"This port speaks HTTPS.\n"
_NOT_TLS: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_SPEAKS_TLS), _SPEAKS_TLS)
)


def server_context(certificate_pem: str, key_pem: str) -> ssl.SSLContext:
    """Return a context that serves with a certificate chain and its key.

    TLS 1.2 and later, forward secrecy only, no compression, no renegotiation (RFC 9325).

    Raises:
        ssl.SSLError: They do not belong together, or OpenSSL does not take them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(list(PROTOCOLS))
    # OpenSSL reads files; a key that was handed to us is not written to a disk for that.
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(f"{key_pem.strip()}\n{certificate_pem.strip()}\n".encode())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    return context


def _no_password() -> str:
    """Refuse a key that wants a password, instead of asking for it on the terminal."""
    raise ssl.SSLError("the key is encrypted")


class Upper(Guest, Protocol):
    """The protocol above: one of HTTP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        ...

    def data_received(self, data: bytes) -> None:
        """Take bytes in the clear."""
        ...

    def eof_received(self) -> bool:
        """Note that no more will come; return whether to keep the other direction open."""
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        ...

    def pause_writing(self) -> None:
        """Hold back."""
        ...

    def resume_writing(self) -> None:
        """Go on."""
        ...


class TlsLayer(asyncio.Protocol, asyncio.Transport):
    """The protocol of a raw transport; the transport of the protocol above."""

    spoken = HANDSHAKE
    streams = 0

    def __init__(self, roll: Roll, context: ssl.SSLContext, sandbox: str = "") -> None:
        super().__init__()
        self._roll = roll
        self._sandbox = sandbox
        self._context = context
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw = cast("asyncio.Transport", None)
        self._upper: Upper | None = None
        self._handshake_bytes = 0
        self._since_ms = roll.now_ms
        self._reading = True
        self._shut = False
        self._registered = False

    # The protocol of the raw transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake, or turn the client away at once: a refusal would cost one."""
        self._raw = cast("asyncio.Transport", transport)
        origin = origin_of(address_of(transport), self._sandbox)
        self._registered = self._roll.joined(self, origin) is not None
        if not self._registered:
            self._raw.abort()

    def data_received(self, data: bytes) -> None:
        """Shake hands with what comes, or decrypt it and pass it on."""
        if self._upper is None:
            if not self._handshake_bytes and data[0] != _HANDSHAKE_RECORD:
                self._answer_in_the_clear(data)
                return
            self._handshake_bytes += len(data)
            self._incoming.write(data)
            self._shake_hands()
        else:
            self._incoming.write(data)
            self._pass_on()

    def eof_received(self) -> bool:
        """Let the protocol above decide; it closes."""
        return self._upper is not None and self._upper.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol above."""
        upper, self._shut = self._upper, True
        if upper is not None:
            upper.connection_lost(exc)
        elif self._registered:
            self._roll.left(self)

    def pause_writing(self) -> None:
        """Pass on that the client does not take what is sent."""
        if self._upper is not None:
            self._upper.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the client takes again."""
        if self._upper is not None:
            self._upper.resume_writing()

    # The handshake.

    def _answer_in_the_clear(self, data: bytes) -> None:
        """Say in HTTP, to a client that seems to speak it, that this port does not."""
        if data[:1].isalpha():
            self._raw.write(_NOT_TLS)
        self._raw.close()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            if self._handshake_bytes > _HANDSHAKE_BYTES_MAX:
                self._raw.abort()
            return
        except ssl.SSLError:
            self._flush()  # the alert that says why
            self._raw.close()
            return
        self._flush()
        upper = self._roll.successor(self._tls.selected_alpn_protocol(), self._sandbox)
        self._upper = upper
        self._roll.succeeded(self, upper)
        upper.connection_made(self)
        self._pass_on()

    def sweep(self, now_ms: int) -> None:
        """End a handshake that takes too long."""
        if now_ms - self._since_ms > self._roll.settings.head_timeout_ms:
            self._raw.abort()

    def retire(self) -> None:
        """End a connection without requests."""
        self._raw.close()

    # Bytes.

    def _pass_on(self) -> None:
        """Decrypt what has come for as long as the protocol above takes it."""
        upper = self._upper
        assert upper is not None
        while self._reading and not self._raw.is_closing():
            data, more = self._decrypt()
            if self._outgoing.pending:
                self._flush()  # an answer to a change of keys
            if data:
                upper.data_received(data)
            if not more:
                return

    def _decrypt(self) -> tuple[bytes, bool]:
        """Return bytes in the clear, and whether there may be more."""
        pieces: list[bytes] = []
        size = 0
        try:
            while size < _READ_BYTES:
                piece = self._tls.read(_READ_BYTES - size)
                if not piece:
                    self._end()
                    return b"".join(pieces), False
                pieces.append(piece)
                size += len(piece)
        except ssl.SSLWantReadError:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces), False
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._end()
            return b"".join(pieces), False
        except ssl.SSLError:
            self._raw.abort()
            return b"", False
        return b"".join(pieces), True

    def _end(self) -> None:
        """Close: the client has said that it sends no more."""
        asyncio.get_running_loop().call_soon(self.close)

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._raw.is_closing():
            self._raw.write(data)

    # The transport of the protocol above.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Encrypt and send, or buffer and send."""
        if self._shut or self._raw.is_closing():
            return
        write, size = self._tls.write, len(data)
        sent = write(data)
        if sent < size:  # one record at a time
            view = memoryview(data)
            while sent < size:
                sent += write(view[sent:])
        self._raw.write(self._outgoing.read())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the raw transport knows, and the context."""
        if name == "sslcontext":
            return self._context
        if name == "ssl_object":
            return self._tls
        return self._raw.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Bound what may be unsent before ``pause_writing``."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are unsent."""
        return self._raw.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Leave the socket alone; what is here already waits encrypted."""
        self._reading = False
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read on, beginning with what is here already."""
        self._reading = True
        self._raw.resume_reading()
        if self._incoming.pending or self._tls.pending():
            asyncio.get_running_loop().call_soon(self._pass_on)

    def is_closing(self) -> bool:
        """Return whether the end has begun."""
        return self._raw.is_closing()

    def can_write_eof(self) -> bool:
        """Return True: TLS has an end of each direction (RFC 8446, section 6.1)."""
        return True

    def write_eof(self) -> None:
        """Say that nothing more will be sent."""
        self._say_end()
        if self._raw.can_write_eof():
            self._raw.write_eof()

    def close(self) -> None:
        """Send what is buffered and the end, and close."""
        if not self._raw.is_closing():
            self._say_end()
            self._raw.close()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def _say_end(self) -> None:
        if self._shut:
            return
        self._shut = True
        # It would wait for the client's own end, or there was no whole handshake.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()
