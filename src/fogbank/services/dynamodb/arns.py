"""How DynamoDB writes its ARNs.

Source: Service Authorization Reference, "Resource types defined by Amazon DynamoDB".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from fogbank.base.arn import arn_of, global_arn

SERVICE: Final = "dynamodb"
_REMEMBERED_MAX: Final = 1_024


@lru_cache(maxsize=_REMEMBERED_MAX)
def table_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of a table."""
    return arn_of(SERVICE, region, account, f"table/{name}")


def global_table_arn(partition: str, account: str, name: str) -> str:
    """Return the ARN of a global table of 2017, which is of no region."""
    return global_arn(partition, SERVICE, account, f"global-table/{name}")


def stream_arn(region: str, account: str, table: str, label: str) -> str:
    """Return the ARN of a stream of a table."""
    return arn_of(SERVICE, region, account, f"table/{table}/stream/{label}")


def index_arn(table: str, name: str) -> str:
    """Return the ARN of an index of the table with an ARN."""
    return f"{table}/index/{name}"


def import_arn(table: str, import_id: str) -> str:
    """Return the ARN of an import into the table with an ARN."""
    return f"{table}/import/{import_id}"


def bulk_arn(table: str, bulk_id: str) -> str:
    """Return the ARN of a bulk put into the table with an ARN.

    AWS: how it writes these we have not seen; other ARNs below a table are written so.
    """
    return f"{table}/bulk-operation/{bulk_id}"


def backup_arn(region: str, account: str, table: str, backup: str) -> str:
    """Return the ARN of a backup of a table."""
    return arn_of(SERVICE, region, account, f"table/{table}/backup/{backup}")


def export_arn(table: str, export_id: str) -> str:
    """Return the ARN of an export of the table with an ARN."""
    return f"{table}/export/{export_id}"
