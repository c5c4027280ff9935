"""HTTP/2 frames before anyone parses them: what may come too often, and what may grow.

Rule: a frame that costs us more than its sender, and moves no request on, is paid for from an
allowance that refills with time (resets, pings, settings, priorities, empty frames) or with the
bytes we sent (window updates). Whoever has none left is told to calm down, and closed.

Source: RFC 9113, section 10.5; CVE-2023-44487 (rapid reset), CVE-2024-27316 (continuations),
CVE-2019-9511 to 9518 (pings, settings, priorities, empty frames).
"""

from __future__ import annotations

from typing import Final

from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame, SettingsFrame

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BUSY_GOAWAY: Final = (
    SettingsFrame(0).serialize()
    + GoAwayFrame(0, last_stream_id=0, error_code=ErrorCodes.ENHANCE_YOUR_CALM).serialize()
)
"""What a client hears that there is no room for: none of its requests was taken up."""
FRAME_HEAD_BYTES: Final = 9
UPDATES_MAX: Final = 65_536
"""Window updates that can be saved up."""
UPDATES_PER_KIB: Final = 2
"""Window updates that each KiB we send allows: clients in Go send two for every 4 KiB."""

_DATA, _HEADERS, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 8, 9
_END_STREAM, _END_HEADERS = 0x1, 0x4


class Flood(Exception):
    """A client sends too much of what moves nothing on."""


class FrameMeter:
    """Reads the heads of a client's frames as they come, and keeps its account.

    Args:
        controls_max: Frames of control that may come at once.
        controls_per_second: How fast that allowance refills.
        block_bytes_max: The longest encoded block of headers.
        now_ms: The time.
    """

    __slots__ = (
        "_block_bytes",
        "_block_bytes_max",
        "_controls",
        "_controls_max",
        "_controls_per_second",
        "_partial",
        "_refilled_ms",
        "_skip",
        "_updates",
        "block_open",
        "preface_left",
    )

    def __init__(
        self, controls_max: int, controls_per_second: int, block_bytes_max: int, now_ms: int
    ) -> None:
        self._controls_max = controls_max
        self._controls_per_second = controls_per_second
        self._block_bytes_max = block_bytes_max
        self._controls = float(controls_max)
        self._updates = controls_max
        self._refilled_ms = now_ms
        self._partial = b""
        self._skip = 0
        self._block_bytes = 0
        self.preface_left = len(PREFACE)
        """Bytes that are missing of the client's preface."""
        self.block_open = False
        """Whether a block of headers is incomplete."""

    def refill(self, now_ms: int) -> None:
        """Give what has been earned by time."""
        earned = (now_ms - self._refilled_ms) * self._controls_per_second / 1000
        self._refilled_ms = now_ms
        self._controls = min(self._controls_max, self._controls + max(0.0, earned))

    def sent(self, size: int) -> None:
        """Give what has been earned by sending so many bytes of bodies."""
        earned = UPDATES_PER_KIB * (size // 1024 + 1)
        self._updates = min(UPDATES_MAX, self._updates + earned)

    def charge(self) -> None:
        """Take the price of one frame of control.

        Raises:
            Flood: There is nothing left.
        """
        self._controls -= 1
        if self._controls < 0:
            raise Flood("too many frames of control")

    def take(self, data: bytes) -> None:
        """Count the frames whose heads are in these bytes.

        Raises:
            Flood: They are too many, or a block of headers is too long.
        """
        if self.preface_left:
            taken = min(self.preface_left, len(data))
            self.preface_left -= taken
            data = data[taken:]
        if self._partial:
            data = self._partial + data
            self._partial = b""
        at, size = 0, len(data)
        while True:
            step = min(self._skip, size - at)
            at += step
            self._skip -= step
            if self._skip:
                return
            if size - at < FRAME_HEAD_BYTES:
                self._partial = data[at:]
                return
            length = int.from_bytes(data[at : at + 3], "big")
            self._count(data[at + 3], data[at + 4], length)
            at += FRAME_HEAD_BYTES
            self._skip = length

    def _count(self, kind: int, flags: int, length: int) -> None:
        if kind == _DATA:
            if not length and not flags & _END_STREAM:
                self.charge()
        elif kind in (_HEADERS, _CONTINUATION):
            self._count_block(kind, flags, length)
        elif kind == _WINDOW_UPDATE:
            self._updates -= 1
            if self._updates < 0:
                raise Flood("too many window updates")
        else:
            self.charge()

    def _count_block(self, kind: int, flags: int, length: int) -> None:
        if kind == _HEADERS:
            self._block_bytes = 0
        else:
            self.charge()
        self._block_bytes += length
        if self._block_bytes > self._block_bytes_max:
            raise Flood("a block of headers is too long")
        self.block_open = not flags & _END_HEADERS
