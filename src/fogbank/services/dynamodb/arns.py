"""How DynamoDB writes its ARNs.

Source: Service Authorization Reference, "Resource types defined by Amazon DynamoDB".
"""

from __future__ import annotations


def table_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of a table."""
    return f"arn:aws:dynamodb:{region}:{account}:table/{name}"
