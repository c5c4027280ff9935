"""Every access of DynamoDB to keys; functions take the transaction first and compose."""

from __future__ import annotations

from fogbank.services.dynamodb.state import (
    admission,
    agreement,
    bodies,
    building,
    changes,
    entries,
    expired,
    expiries,
    history,
    moments,
    pages,
    parts,
    policies,
    retention,
    rows,
    streams,
    tables,
    tags,
    trimming,
    writing,
)

__all__ = [
    "admission",
    "agreement",
    "bodies",
    "building",
    "changes",
    "entries",
    "expired",
    "expiries",
    "history",
    "moments",
    "pages",
    "parts",
    "policies",
    "retention",
    "rows",
    "streams",
    "tables",
    "tags",
    "trimming",
    "writing",
]
