"""The order of the events of one key.

Theory: a sequencer is a time with room below it. It is above that of the version it replaces, so
that events of one key compare as they happened even where a clock stands still or goes back.
Source: Amazon S3 User Guide, "Event message structure" (``sequencer``).
"""

from __future__ import annotations

from typing import Final

from fogbank.services.s3.schema import ObjectRecord

_TICKS_PER_MS: Final = 1 << 20


def sequencer_of(now_ms: int, current: ObjectRecord | None) -> int:
    """Return the sequencer of a change at a time to what is there."""
    now = now_ms * _TICKS_PER_MS
    return now if current is None else max(now, current.sequencer + 1)
