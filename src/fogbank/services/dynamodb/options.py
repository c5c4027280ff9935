"""What a deployment chooses of DynamoDB."""

from __future__ import annotations

from typing import Final

from fogbank.contract.option import Option

ENFORCE_THROUGHPUT: Final = Option("dynamodb.enforce_throughput", default=True)
"""Whether provisioned units and the maxima of on-demand tables hold."""
SQL: Final = Option("dynamodb.sql")
"""Whether QuerySql, an operation of our own, is there."""
