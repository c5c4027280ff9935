"""Fresh material for keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fogbank.services.kms.rules.specs import SPECS
from fogbank.services.kms.schema import MaterialRecord

AUTOMATIC: Final = "AUTOMATIC"
ON_DEMAND: Final = "ON_DEMAND"
_ID_BYTES: Final = 32


def fresh(spec: str, draw: Callable[[int], bytes], now_ms: int, kind: str = "") -> MaterialRecord:
    """Return new material for a key of a kind.

    Args:
        spec: The kind of key.
        draw: The source of secrets.
        now_ms: The time.
        kind: Why it comes; empty: with the key.
    """
    secret, name = draw(SPECS[spec].material_bytes), draw(_ID_BYTES)
    return MaterialRecord(secret=secret, id=name.hex(), created_ms=now_ms, kind=kind)
