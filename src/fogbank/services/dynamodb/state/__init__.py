"""Every access of DynamoDB to keys; functions take the transaction first and compose."""

from __future__ import annotations

from fogbank.services.dynamodb.state import rows, tables, tags, writing

__all__ = ["rows", "tables", "tags", "writing"]
