"""Transactions of the embedded engine: reads through the layers, writes kept aside.

No read ever waits, so a body runs from its start to its end without a suspension: transactions are
serial, and there is nothing to validate. ``touched`` says that the body saw the active generation,
which alone may hold what is not durable, and ``touched_system`` that it saw the system subspaces
there: who did not need not wait for commits that wrote nothing else (rows of the audit trail).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NoReturn, cast

from fogbank.base.errors import TransactionTooLarge
from fogbank.engines.bodies import LIMITS, RANGE_ROWS_MAX, PendingEntry, Row
from fogbank.engines.embedded.layers import Layers, Span
from fogbank.engines.embedded.overlay import MISSING
from fogbank.engines.embedded.segment import Writes
from fogbank.platform.store.engine import STAMP_BYTES, SYSTEM_PREFIX, Domain
from fogbank.platform.store.tuples import after_prefix

_KEY_MAX: Final = LIMITS.key_bytes_max
_VALUE_MAX: Final = LIMITS.value_bytes_max
_SYSTEM_END: Final = after_prefix(SYSTEM_PREFIX)
"""Keys below are in the system subspaces."""


class _Over:
    """Stands for the writes of a transaction that is over."""

    __slots__ = ()

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("the transaction is over")

    __contains__ = __getitem__ = __setitem__ = __iter__ = __bool__ = __len__ = _refuse


_OVER: Final = cast("Writes", _Over())


class EmbeddedTransaction:
    """One run of one body."""

    __slots__ = (
        "_homes",
        "_layers",
        "domain",
        "entries",
        "removes",
        "touched",
        "touched_system",
        "writes",
    )

    def __init__(self, layers: Layers, domain: Domain) -> None:
        self._layers = layers
        self._homes = (domain.prefix, SYSTEM_PREFIX)
        self.domain = domain
        self.writes: Writes = {}
        self.entries: list[PendingEntry] | None = None
        self.removes = False
        self.touched = False
        self.touched_system = False

    def close(self) -> None:
        """End the transaction: whoever kept it can do nothing with it."""
        self.writes = _OVER

    async def now_ms(self) -> int:
        """Return the store's time."""
        return self._layers.now_ms()

    async def get(self, key: bytes) -> bytes | None:
        """Return the value at the key, or None."""
        if key in self.writes:
            return self.writes[key]
        layers = self._layers
        value: Any = layers.active.rows.get(key, MISSING)
        if value is MISSING:
            if layers.vanished and key in layers.vanished:
                self._touch(key)
            return layers.find_settled(key)
        # As ``_touch`` does; a call less in every read.
        self.touched = True
        if key < _SYSTEM_END:
            self.touched_system = True
        return value

    def _touch(self, begin: bytes) -> None:
        """Note that the body saw the active generation, from a key on."""
        self.touched = True
        if begin < _SYSTEM_END:
            self.touched_system = True

    async def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of the keys that exist."""
        out: dict[bytes, bytes] = {}
        for key in keys:
            if (value := await self.get(key)) is not None:
                out[key] = value
        return out

    async def range(
        self, begin: bytes, end: bytes, *, limit: int, reverse: bool = False
    ) -> list[Row]:
        """Return up to ``limit`` rows of the half-open range in key order."""
        assert 0 <= limit <= RANGE_ROWS_MAX, f"a range has a limit of 0 to {RANGE_ROWS_MAX}"
        own = self.writes or {}
        if begin >= end or limit == 0:
            return []
        rows, touched = self._layers.range(Span(begin, end, limit, reverse), own)
        if touched:
            self._touch(begin)
        return rows

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value at the key."""
        if (
            type(value) is not bytes
            or len(value) > _VALUE_MAX
            or len(key) > _KEY_MAX
            or not key.startswith(self._homes)
        ):
            self._refuse(key, value)
        self.writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove the key if it is there."""
        if len(key) > _KEY_MAX or not key.startswith(self._homes):
            self._refuse(key, b"")
        self.writes[key] = None
        self.removes = True

    def append(self, prefix: bytes, value: bytes) -> PendingEntry:
        """Add an entry at ``prefix`` + the commit's stamp; invisible to this body itself."""
        if (
            type(value) is not bytes
            or len(value) > _VALUE_MAX
            or len(prefix) + STAMP_BYTES > _KEY_MAX
            or not prefix.startswith(self._homes)
        ):
            self._refuse(prefix + bytes(STAMP_BYTES), value)
        if self.writes is _OVER:
            raise RuntimeError("the transaction is over")
        entry = PendingEntry(prefix, value)
        if self.entries is None:
            self.entries = []
        self.entries.append(entry)
        return entry

    def _refuse(self, key: bytes, value: bytes) -> NoReturn:
        """Raise what is wrong with a key and a value."""
        assert type(key) is bytes, f"a key is bytes, not {type(key).__name__}"
        assert type(value) is bytes, f"a value is bytes, not {type(value).__name__}"
        if len(key) > _KEY_MAX:
            raise TransactionTooLarge(f"a key has {len(key)} bytes of {_KEY_MAX}")
        assert key.startswith(self._homes), (
            f"the key {key!r} is outside {self.domain!r} and the system subspaces"
        )
        raise TransactionTooLarge(f"a value has {len(value)} bytes of {_VALUE_MAX}")


class EmbeddedReading(EmbeddedTransaction):
    """One run of a body that may only read."""

    __slots__ = ()

    def put(self, key: bytes, value: bytes) -> NoReturn:
        """Refuse to write."""
        raise AssertionError(f"this transaction only reads: put of {len(value)} bytes at {key!r}")

    def delete(self, key: bytes) -> NoReturn:
        """Refuse to write."""
        raise AssertionError(f"this transaction only reads: delete at {key!r}")

    def append(self, prefix: bytes, value: bytes) -> NoReturn:
        """Refuse to write."""
        raise AssertionError(f"this transaction only reads: append of {len(value)} to {prefix!r}")
