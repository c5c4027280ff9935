"""What a search of vectors costs: processor time of one process for each vector that it looks at.

    benchmarks/vectors.py [--vectors N] [--searches N]

A cloud in this process over the embedded engine (``inprocess``), with an index of each width and as many
vectors in each. Searches ask for the ten nearest by cosine, and what one of an empty index takes is
taken off; the first, which loads what it needs, is not counted. The least of the searches is told:
others share the machine.
"""

from __future__ import annotations

import argparse
import json
import random
from typing import Any

import inprocess
from load import signed_json

WIDTHS = (256, 768, 1_536)
BATCH = 10


def vector(seeded: random.Random, width: int) -> list[dict[str, str]]:
    """Return a vector as requests have it."""
    return [{"N": f"{seeded.uniform(-1, 1):.7f}"} for _ in range(width)]


async def ask(cloud: inprocess.InProcess, operation: str, body: dict[str, Any]) -> float:
    """Return the processor time of a request, in microseconds."""
    return await cloud.ask([signed_json(cloud, operation, json.dumps(body).encode())], 1)


async def make(cloud: inprocess.InProcess, width: int) -> str:
    """Make a table with an index of a width; return its name."""
    name = f"w{width}"
    index = {
        "IndexName": "vix",
        "VectorAttribute": {"AttributeName": "v"},
        "Dimensions": width,
        "DistanceFunction": "COSINE",
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    body = {
        "TableName": name,
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "VectorIndexes": [index],
    }
    await ask(cloud, "CreateTable", body)
    return name


async def fill(
    cloud: inprocess.InProcess, name: str, seeded: random.Random, width: int, vectors: int
) -> float:
    """Fill a table; return what writing an item took, in microseconds."""
    took = 0.0
    for begin in range(0, vectors, BATCH):
        puts = [
            {"PutRequest": {"Item": {"k": {"S": f"{at}"}, "v": {"L": vector(seeded, width)}}}}
            for at in range(begin, begin + BATCH)
        ]
        took += await ask(cloud, "BatchWriteItem", {"RequestItems": {name: puts}})
    return took / vectors


async def measure(cloud: inprocess.InProcess, vectors: int, searches: int) -> dict[str, Any]:
    """Return what an item and a vector that is looked at cost, by width, in microseconds."""
    seeded = random.Random(1)
    found: dict[str, Any] = {}
    for width in WIDTHS:
        name = await make(cloud, width)
        body = {
            "TableName": name,
            "IndexName": "vix",
            "SearchVector": vector(seeded, width),
            "TopK": 10,
        }

        async def search(body: dict[str, Any] = body) -> float:
            return min([await ask(cloud, "SearchVectors", body) for _ in range(searches)])

        empty = await search()
        written = await fill(cloud, name, seeded, width, vectors)
        await ask(cloud, "SearchVectors", body)
        found[f"{width} numbers"] = {
            "written_us": round(written, 1),
            "request_us": round(empty, 1),
            "compared_us": round((await search() - empty) / vectors, 3),
        }
    return found


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=2_000)
    parser.add_argument("--searches", type=int, default=10)
    given = parser.parse_args()
    found = inprocess.run(lambda cloud: measure(cloud, given.vectors, given.searches))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
