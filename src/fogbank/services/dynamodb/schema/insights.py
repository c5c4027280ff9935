"""What is kept of contributor insights."""

from __future__ import annotations

from typing import Final

import msgspec


class InsightsRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Whether the keys of a table or a global index are counted."""

    mode: str = ""
    """``ContributorInsightsMode``; empty: they are not."""
    changed_ms: int = 0
    """When that was last said; 0 if never."""


NO_INSIGHTS: Final = InsightsRecord()
