"""What fronts and store processes cost and bring: signed GetItem and PutItem over a matrix of them.

Everything runs on one machine in one go, the load generator too, so that only ratios say anything:
requests per second, and processor time of all server processes per request, against one process.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import record
from load import Figures, load, signed

from fogbank.testing.server import Server

MATRIX = ((0, 1), (1, 1), (2, 1), (0, 2), (2, 2))
"""(fronts, store processes), one process first."""
SECONDS = 3.0
CONNECTIONS = 32
ITEMS = 500


def measured(fronts: int, stores: int) -> dict[str, Figures]:
    """Return what requests cost with so many processes."""
    settings = f"[processes]\nstores = {stores}\nfronts = {fronts}\n"
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "data", settings=settings) as server,
    ):
        dynamodb = server.client("dynamodb")
        dynamodb.create_table(
            TableName="items",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        dynamodb.get_waiter("table_exists").wait(
            TableName="items", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
        found = {}
        for name in ("PutItem", "GetItem"):
            requests = [request_of(server, name, number) for number in range(ITEMS)]
            load(server, requests, connections=CONNECTIONS, seconds=0.5)
            found[name] = load(server, requests, connections=CONNECTIONS, seconds=SECONDS)
        return found


def request_of(server: Server, operation: str, number: int) -> bytes:
    """Return a signed request for one item."""
    key = {"k": {"S": f"item-{number}"}}
    body = {"TableName": "items"}
    body |= {"Item": key | {"v": {"S": "x" * 100}}} if operation == "PutItem" else {"Key": key}
    headers = {
        "x-amz-target": f"DynamoDB_20120810.{operation}",
        "content-type": "application/x-amz-json-1.0",
    }
    return signed(server, "dynamodb", "POST", "/", headers, json.dumps(body).encode())


def main() -> int:
    """Measure, print a table and write the figures."""
    figures: dict[str, float] = {}
    first: dict[str, Figures] = {}
    for fronts, stores in MATRIX:
        found = measured(fronts, stores)
        first = first or found
        for name, each in found.items():
            label = f"{name}_fronts_{fronts}_stores_{stores}"
            rate = each.requests / each.seconds
            alone = first[name].requests / first[name].seconds
            cost_us = each.cpu_seconds / each.requests * 1e6
            cost_alone_us = first[name].cpu_seconds / first[name].requests * 1e6
            figures[f"{label}_rate_ratio"] = round(rate / alone, 2)
            figures[f"{label}_cpu_ratio"] = round(cost_us / cost_alone_us, 2)
            figures[f"{label}_cpu_us"] = round(cost_us, 1)
            print(
                f"{label}: {rate:,.0f}/s ({rate / alone:.2f}), {cost_us:.1f} us of processor time"
            )
    record.write("processes", "python benchmarks/processes.py", figures, failures=[], promises={})
    return 0


if __name__ == "__main__":
    sys.exit(main())
